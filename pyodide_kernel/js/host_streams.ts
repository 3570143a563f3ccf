/** Open files of the host: what the guest's descriptors do. */

import {
  type Attributes,
  type Changes,
  type EmscriptenModule,
  type FsStream,
  type Memory,
  S_IFDIR,
  S_IFMT,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
  type StreamOperations,
} from "./emscripten.ts";
import { ERRNO } from "./errno.ts";
import { attributesOf, guarded, type HostNode, type HostSystem } from "./host_node.ts";

/** WebAssembly's page, to which C code may expect a mapping to be aligned. */
const PAGE_BYTES = 65536;

/** One open file of the host; the descriptors that `dup` makes share it. */
export class OpenFile {
  readonly #file: Deno.FsFile;
  /** Whether the host puts every write at the end. */
  readonly #appends: boolean;
  /** Where the host would read or write next; NaN if that is not known. */
  #position = 0;
  #users = 1;

  constructor(file: Deno.FsFile, appends: boolean) {
    this.#file = file;
    this.#appends = appends;
  }

  get file(): Deno.FsFile {
    return this.#file;
  }

  share(): void {
    this.#users += 1;
  }

  /** The last of its users closes it. */
  close(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#file.close();
  }

  /** Fills as much of `bytes` as there is; 0 at the end of the file. */
  read(bytes: Uint8Array, position: number): number {
    this.#moveTo(position);
    this.#position = NaN;
    const count = this.#file.readSync(bytes) ?? 0;
    this.#position = position + count;
    return count;
  }

  write(bytes: Uint8Array, position: number): number {
    if (!this.#appends) this.#moveTo(position);
    this.#position = NaN;
    const count = this.#file.writeSync(bytes);
    if (!this.#appends) this.#position = position + count;
    return count;
  }

  /** The position `offset` away from the end. */
  fromEnd(offset: number): number {
    this.#position = NaN;
    return this.#position = this.#file.seekSync(offset, Deno.SeekMode.End);
  }

  #moveTo(position: number): void {
    if (this.#position === position) return;
    this.#position = NaN;
    this.#file.seekSync(position, Deno.SeekMode.Start);
    this.#position = position;
  }
}

/** A descriptor of the guest for something in a mount; a folder has no file. */
export interface HostStream extends FsStream {
  readonly node: HostNode;
  readonly hostFile?: OpenFile;
}

/** Sets what `chmod`, `truncate` and `utime` set, by path. */
export type SetAttributes = (node: HostNode, changes: Changes) => void;

/** The operations on descriptors. */
export function streamOperations(
  module: EmscriptenModule,
  system: HostSystem,
  setAttributes: SetAttributes,
): StreamOperations {
  function opened(stream: FsStream): OpenFile {
    return (stream as HostStream).hostFile ?? system.fail(ERRNO.EBADF);
  }

  return guarded<StreamOperations>(system.attempt, {
    getattr(stream): Attributes {
      const { node, hostFile } = stream as HostStream;
      return attributesOf(hostFile ? hostFile.file.statSync() : node.info());
    },

    setattr(stream, changes): void {
      const { node, hostFile } = stream as HostStream;
      const { size, ...others } = changes;
      if (size === undefined) return setAttributes(node, others);
      if (hostFile === undefined) system.fail(ERRNO.EINVAL);
      hostFile.file.truncateSync(size);
    },

    close(stream): void {
      (stream as HostStream).hostFile?.close();
    },

    dup(stream): void {
      (stream as HostStream).hostFile?.share();
    },

    read(stream, memory, offset, length, position): number {
      return opened(stream).read(view(memory, offset, length), position);
    },

    write(stream, memory, offset, length, position): number {
      system.countWrite(length);
      return opened(stream).write(view(memory, offset, length), position);
    },

    llseek(stream, offset, whence): number {
      const isFolder = (stream.node.mode & S_IFMT) === S_IFDIR;
      let position = offset;
      if (whence === SEEK_CUR) position += stream.position;
      else if (whence === SEEK_END && !isFolder) {
        position = opened(stream).fromEnd(offset);
      } else if (whence !== SEEK_SET && whence !== SEEK_END) system.fail(ERRNO.EINVAL);
      if (position < 0) system.fail(ERRNO.EINVAL);
      return position;
    },

    mmap(stream, length, position): { ptr: number; allocated: boolean } {
      const file = opened(stream);
      const size = Math.ceil(length / PAGE_BYTES) * PAGE_BYTES;
      const ptr = module._emscripten_builtin_memalign(PAGE_BYTES, size) >>> 0;
      if (ptr === 0) system.fail(ERRNO.ENOMEM);
      try {
        const mapping = module.HEAPU8.subarray(ptr, ptr + size).fill(0);
        transfer(length, (done) => file.read(mapping.subarray(done, length), position + done));
      } catch (error) {
        module._emscripten_builtin_free(ptr);
        throw error;
      }
      return { ptr, allocated: true };
    },

    msync(stream, memory, offset, length): number {
      const file = opened(stream);
      // As for a real mapping, what lies behind the end of the file is not written.
      const end = Math.max(0, Math.min(length, file.file.statSync().size - offset));
      system.countWrite(end);
      transfer(end, (done) => file.write(memory.subarray(done, end), offset + done));
      return 0;
    },

    fsync(stream): number {
      (stream as HostStream).hostFile?.file.syncSync();
      return 0;
    },
  });
}

/** Repeats a step until it has moved `length` bytes, or moves no more. */
function transfer(length: number, step: (done: number) => number): void {
  for (let done = 0, count = 1; done < length && count > 0; done += count) count = step(done);
}

/** Emscripten hands signed bytes over, Deno takes unsigned ones. */
function view(memory: Memory, offset: number, length: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(memory.buffer as ArrayBuffer, memory.byteOffset + offset, length);
}
