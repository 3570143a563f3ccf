/**
 * The guest's own disk, which is in memory: what does not fit any more is ENOSPC.
 *
 * Emscripten ends the interpreter for every exception of a file system that is not an ErrnoError, and
 * V8 throws a RangeError, or ends the whole process, where there is no room. So files are counted here
 * and refused before that, and their memory is given back when they go, not when V8 gets round to it:
 * what has to be collected first would fill the process beyond its limit. It is a courtesy to code that behaves: the fence is the operating system's
 * limit on the process, which JavaScript meets that goes round this.
 */

import type { EmscriptenModule, FsNode, FsStream, Memory } from "./emscripten.ts";
import { ERRNO } from "./errno.ts";

/** What a file, folder or link costs beside its contents. */
const NODE_BYTES = 1024;

/** What V8 needs to go on when all else is full; a part of small limits. */
const RESERVE_BYTES = 128 * 2 ** 20;
const LEAST_RESERVED_PART = 4;

/** Emscripten's way for a file to grow: twice as large, from this size on by an eighth. */
const DOUBLING_MAX = 2 ** 20;

/** Signed where Emscripten made them by `slice`. */
type Contents = Uint8Array<ArrayBuffer> | Int8Array<ArrayBuffer>;

/** A file in memory. */
interface MemoryNode extends FsNode {
  contents?: unknown;
  usedBytes: number;
  readonly name_next?: MemoryNode;
}

/** A file whose contents are there. */
interface MemoryFile extends MemoryNode {
  contents: Contents;
}

type Write = (
  stream: FsStream,
  memory: Memory,
  offset: number,
  length: number,
  position: number,
  mayOwn?: boolean,
) => number;

/** How names go. */
interface FolderOperations {
  unlink(parent: FsNode, name: string): void;
  rename(node: FsNode, parent: FsNode, name: string): void;
}

/** Emscripten's file system in memory, as far as it is changed here. */
export interface MemoryFileSystem {
  readonly ops_table: {
    readonly dir: { readonly node: FolderOperations };
    readonly file: { readonly stream: { write: Write; close?(stream: FsStream): void } };
  };
  readonly stream_ops: { write: Write };
  createNode(parent: FsNode | null, name: string, mode: number, device: number): FsNode;
  expandFileStorage(node: MemoryFile, capacity: number): void;
  resizeFileStorage(node: MemoryFile, size: number): void;
}

/** The part of the module that is needed. */
export type MemoryModule =
  & Pick<EmscriptenModule, "HEAPU8">
  & {
    readonly FS: {
      readonly ErrnoError: EmscriptenModule["FS"]["ErrnoError"];
      readonly streams: EmscriptenModule["FS"]["streams"];
      readonly nameTable: readonly (FsNode | undefined)[];
    };
    readonly MEMFS: MemoryFileSystem;
    readonly SYSCALLS: {
      doMsync(
        address: number,
        stream: FsStream,
        length: number,
        flags: number,
        offset: number,
      ): void;
    };
  };

/** Keeps Python's memory and the files in memory together within `limit` bytes. */
export function limitMemoryFiles(module: MemoryModule, limit: number): void {
  const disk = new MemoryDisk(module, limit);
  countWhatComes(module, disk);
  freeWhatGoes(module.MEMFS, disk);
}

function countWhatComes({ MEMFS, SYSCALLS }: MemoryModule, disk: MemoryDisk): void {
  const { createNode } = MEMFS;
  const { write } = MEMFS.stream_ops;
  const { doMsync } = SYSCALLS;
  MEMFS.createNode = (parent, name, mode, device) => {
    disk.take(NODE_BYTES);
    return createNode(parent, name, mode, device);
  };
  MEMFS.expandFileStorage = (node, capacity) => disk.expand(node, capacity);
  MEMFS.resizeFileStorage = (node, size) => {
    if (node.usedBytes === size) return;
    disk.move(node, size);
    node.usedBytes = size;
  };
  MEMFS.stream_ops.write = (stream, memory, offset, length, position, mayOwn) => {
    const node = stream.node as MemoryFile;
    // Otherwise `write` calls `expandFileStorage`.
    const copies = node.usedBytes === 0 && position === 0;
    if (copies || mayOwn) disk.take(length);
    const former = node.contents;
    const count = disk.attempt(() => write(stream, memory, offset, length, position, mayOwn));
    if (node.contents !== former && copies && !mayOwn) disk.own(node, former);
    return count;
  };
  MEMFS.ops_table.file.stream.write = MEMFS.stream_ops.write;
  // Copies the whole mapping before it is written.
  SYSCALLS.doMsync = (address, stream, length, flags, offset) =>
    disk.attempt(() => doMsync(address, stream, length, flags, offset));
}

function freeWhatGoes({ ops_table }: MemoryFileSystem, disk: MemoryDisk): void {
  const operations = ops_table.dir.node;
  const { unlink, rename } = operations;
  const at = (parent: FsNode, name: string): MemoryNode | undefined => {
    const names = (parent as MemoryNode).contents as Record<string, MemoryNode>;
    return Object.hasOwn(names, name) ? names[name] : undefined;
  };
  operations.unlink = (parent, name) => {
    const node = at(parent, name);
    unlink(parent, name);
    if (node) disk.nameGoes(node);
  };
  operations.rename = (node, parent, name) => {
    const replaced = at(parent, name);
    rename(node, parent, name);
    if (replaced && replaced !== node) disk.nameGoes(replaced);
  };
  ops_table.file.stream.close = (stream) => disk.streamGoes(stream);
}

/** Counts what files in memory take. */
class MemoryDisk {
  readonly #module: MemoryModule;
  readonly #limit: number;
  /** No less than what there is: what is given back is only seen by `#count`. */
  #used = Infinity;
  /** Contents that nobody else may hold. */
  readonly #own = new WeakSet<ArrayBuffer>();
  /** Files without a name. */
  readonly #nameless = new WeakSet<FsNode>();

  constructor(module: MemoryModule, limit: number) {
    this.#module = module;
    this.#limit = limit - Math.min(RESERVE_BYTES, limit / LEAST_RESERVED_PART);
  }

  /** Notes that some bytes more are needed. Throws ENOSPC if they are not there. */
  take(bytes: number): void {
    const room = this.#limit - this.#module.HEAPU8.length;
    if (this.#used + bytes > room) {
      this.#used = this.#count();
      if (this.#used + bytes > room) throw new this.#module.FS.ErrnoError(ERRNO.ENOSPC);
    }
    this.#used += bytes;
  }

  /** Does something for which V8 may have no memory; that is ENOSPC too. */
  attempt<Result>(action: () => Result): Result {
    try {
      return action();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new this.#module.FS.ErrnoError(ERRNO.ENOSPC);
    }
  }

  /** Makes room for `capacity` bytes, and for some more if there is room for more. */
  expand(node: MemoryFile, capacity: number): void {
    const former = node.contents.length;
    if (former >= capacity) return;
    const generous = Math.ceil(former * (former < DOUBLING_MAX ? 2 : 1.125));
    if (generous > capacity) {
      try {
        return this.move(node, generous);
      } catch (error) {
        if (!(error instanceof this.#module.FS.ErrnoError)) throw error;
      }
    }
    this.move(node, capacity);
  }

  /** Moves the contents to a place of another size. */
  move(node: MemoryFile, size: number): void {
    this.take(size);
    const former = node.contents;
    const contents = this.attempt(() => new Uint8Array(size));
    contents.set(former.subarray(0, Math.min(size, node.usedBytes)));
    node.contents = contents;
    this.own(node, former);
  }

  /** Notes that a file has got contents that only it has; the former ones are given back. */
  own(node: MemoryFile, former: Contents): void {
    this.#own.add(node.contents.buffer);
    this.#free(former);
  }

  /** A name of a node is gone. */
  nameGoes(node: MemoryNode): void {
    this.#nameless.add(node);
    this.#release(node, undefined);
  }

  /** A descriptor is about to be closed. */
  streamGoes(stream: FsStream): void {
    if (this.#nameless.has(stream.node)) this.#release(stream.node as MemoryNode, stream);
  }

  /** Gives the contents back of a file that has no name, unless a stream has it open. */
  #release(node: MemoryNode, closing: FsStream | undefined): void {
    const { streams } = this.#module.FS;
    if (streams.some((stream) => stream && stream !== closing && stream.node === node)) return;
    const { contents } = node;
    if (!ArrayBuffer.isView(contents)) return;
    node.contents = new Uint8Array(0);
    node.usedBytes = 0;
    this.#free(contents as Contents);
  }

  #free({ buffer }: Contents): void {
    if (this.#own.delete(buffer)) buffer.transfer(0);
  }

  /** What all files take: those with a name, and those that are only open any more. */
  #count(): number {
    const { streams, nameTable } = this.#module.FS;
    const nodes = new Set<MemoryNode>();
    for (const first of nameTable) {
      let node = first as MemoryNode | undefined;
      for (; node; node = node.name_next) nodes.add(node);
    }
    for (const stream of streams) if (stream) nodes.add(stream.node as MemoryNode);
    let used = 0;
    for (const { contents } of nodes) {
      used += NODE_BYTES + (ArrayBuffer.isView(contents) ? contents.byteLength : 0);
    }
    return used;
  }
}
