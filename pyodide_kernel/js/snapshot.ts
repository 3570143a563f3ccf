/**
 * The file of a memory snapshot.
 *
 * ```
 * u32 × 5, little endian   MAGIC, FORMAT, bytes of the head, bytes of memory, number of runs
 * (u32, u32) × runs        first page of a run and number of its pages
 * head                     what Pyodide puts in front of the memory, its list of objects
 * pages of the runs        one run after the other
 * ```
 *
 * Pages that are in no run hold zeros. They are neither stored nor read, nor do they take memory
 * before something is written there. A later part of the format, with libraries, raises FORMAT.
 */

const MAGIC = 0x504b_5953;
const FORMAT = 1;
const PREFIX_BYTES = 20;
export const PAGE_BYTES = 4096;

/** Zero pages between two runs that are stored with them, so that there are few runs. */
const MAX_GAP_PAGES = 4;

/** Position of the head's own length in what Pyodide makes. */
const HEAD_LENGTH = 1;

/** The parts of Emscripten's module that are needed to fill its memory. */
export interface Memory {
  readonly HEAPU8: Uint8Array;
  readonly HEAPU32: Uint32Array;
  growMemory(size: number): unknown;
  _emscripten_get_sbrk_ptr(): number;
}

/** The form of the file for what Pyodide's `makeMemorySnapshot` gives. */
export function writeSnapshot(made: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const headBytes = new Uint32Array(made.buffer, made.byteOffset, 2)[HEAD_LENGTH] ?? 0;
  const memory = made.subarray(headBytes);
  const runs = runsOf(memory);
  const stored = runs.reduce((sum, [first, pages]) => sum + pageBytes(memory, first, pages), 0);
  const file = new Uint8Array(PREFIX_BYTES + 8 * runs.length + headBytes + stored);
  const prefix = [MAGIC, FORMAT, headBytes, memory.length, runs.length, ...runs.flat()];
  new Uint32Array(file.buffer, 0, prefix.length).set(prefix);
  let offset = prefix.length * 4;
  file.set(made.subarray(0, headBytes), offset);
  offset += headBytes;
  for (const [first, pages] of runs) {
    const part = memory.subarray(first * PAGE_BYTES, (first + pages) * PAGE_BYTES);
    file.set(part, offset);
    offset += part.length;
  }
  return file;
}

/** A snapshot's file, opened to be restored. */
export class SnapshotReader {
  /** What Pyodide needs to know before the memory. */
  readonly head: Uint8Array<ArrayBuffer>;
  #file: Deno.FsFile;
  #memoryBytes: number;
  #runs: Uint32Array;

  /** Throws if the file can't be opened, or is none of this format, or is not complete. */
  constructor(path: string) {
    this.#file = Deno.openSync(path);
    const prefix = new Uint32Array(this.#read(new Uint8Array(PREFIX_BYTES)).buffer);
    const [magic, format, headBytes = 0, memoryBytes = 0, runs = 0] = prefix;
    const size = this.#file.statSync().size;
    if (magic !== MAGIC || format !== FORMAT || headBytes + 8 * runs > size) {
      throw new TypeError("This is not a snapshot of this format");
    }
    this.#memoryBytes = memoryBytes;
    this.#runs = new Uint32Array(this.#read(new Uint8Array(8 * runs)).buffer);
    this.head = this.#read(new Uint8Array(headBytes));
  }

  /** Makes the memory of a module that has run nothing yet that of the snapshot. */
  fill(module: Memory): void {
    const used = module.HEAPU32[module._emscripten_get_sbrk_ptr() >>> 2] ?? 0;
    module.growMemory(this.#memoryBytes);
    const memory = module.HEAPU8;
    if (memory.length !== this.#memoryBytes) {
      throw new RangeError(`The memory can't have the ${this.#memoryBytes} bytes of the snapshot`);
    }
    let end = 0;
    for (let i = 0; i < this.#runs.length; i += 2) {
      const [first = 0, pages = 0] = this.#runs.subarray(i, i + 2);
      // What the module has set up itself lies below `used`; above it there are only zeros.
      if (end < used) memory.fill(0, end, Math.min(used, first * PAGE_BYTES));
      end = (first + pages) * PAGE_BYTES;
      this.#read(memory.subarray(first * PAGE_BYTES, end));
    }
    if (end < used) memory.fill(0, end, used);
    this.#file.close();
  }

  #read<T extends Uint8Array>(target: T): T {
    let done = 0;
    while (done < target.length) {
      const count = this.#file.readSync(target.subarray(done));
      if (count === null) throw new RangeError("The snapshot ends too early");
      done += count;
    }
    return target;
  }
}

/** The pages that are not all zero, as runs: number of the first page and of pages. */
function runsOf(memory: Uint8Array<ArrayBuffer>): [number, number][] {
  const runs: [number, number][] = [];
  const pages = Math.ceil(memory.length / PAGE_BYTES);
  for (let page = 0; page < pages; page++) {
    if (isZero(memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES))) continue;
    const last = runs.at(-1);
    if (last && page - (last[0] + last[1]) <= MAX_GAP_PAGES) last[1] = page - last[0] + 1;
    else runs.push([page, 1]);
  }
  return runs;
}

function isZero(page: Uint8Array): boolean {
  const words = new Uint32Array(page.buffer, page.byteOffset, page.length >>> 2);
  for (let i = 0; i < words.length; i++) if (words[i] !== 0) return false;
  return true;
}

function pageBytes(memory: Uint8Array, first: number, pages: number): number {
  return Math.min((first + pages) * PAGE_BYTES, memory.length) - first * PAGE_BYTES;
}
