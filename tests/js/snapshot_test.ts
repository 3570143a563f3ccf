import assert from "node:assert/strict";
import {
  type Memory,
  PAGE_BYTES,
  SnapshotReader,
  writeSnapshot,
} from "../../pyodide_kernel/js/snapshot.ts";

const HEAD_BYTES = 64;
const PAGES = 40;
const SBRK_POINTER = 16;

/** What Pyodide's `makeMemorySnapshot` gives for a memory. */
function made(memory: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES + memory.length);
  new Uint32Array(bytes.buffer, 0, 2).set([1886286592, HEAD_BYTES]);
  bytes.fill(7, 8, HEAD_BYTES);
  bytes.set(memory, HEAD_BYTES);
  return bytes;
}

/** A memory with something on some pages. */
function memoryWith(...pages: number[]): Uint8Array {
  const memory = new Uint8Array(PAGES * PAGE_BYTES);
  for (const page of pages) memory[page * PAGE_BYTES + page] = page + 1;
  return memory;
}

/** A module that has set up its first pages itself. */
class FakeModule implements Memory {
  HEAPU8: Uint8Array;
  constructor(used: number, pages = PAGES / 2) {
    this.HEAPU8 = new Uint8Array(pages * PAGE_BYTES);
    this.HEAPU8.fill(255, 0, used);
    this.HEAPU32[SBRK_POINTER >>> 2] = used;
  }
  get HEAPU32(): Uint32Array {
    return new Uint32Array(this.HEAPU8.buffer);
  }
  growMemory(size: number): void {
    const grown = new Uint8Array(size);
    grown.set(this.HEAPU8);
    this.HEAPU8 = grown;
  }
  _emscripten_get_sbrk_ptr(): number {
    return SBRK_POINTER;
  }
}

function withFile(bytes: Uint8Array, use: (path: string) => void): void {
  // The test may read its own folder alone, so the file is played.
  const original = Deno.openSync;
  let position = 0;
  const file = {
    readSync(target: Uint8Array): number | null {
      if (position >= bytes.length) return null;
      const part = bytes.subarray(position, position + Math.min(target.length, 1000));
      target.set(part);
      position += part.length;
      return part.length;
    },
    statSync: () => ({ size: bytes.length }),
    close: () => undefined,
  };
  Deno.openSync = (() => file) as unknown as typeof Deno.openSync;
  try {
    use("/snapshot");
  } finally {
    Deno.openSync = original;
  }
}

function restored(bytes: Uint8Array, module: FakeModule): Uint8Array {
  withFile(bytes, (path) => new SnapshotReader(path).fill(module));
  return module.HEAPU8;
}

for (const pages of [[], [0], [39], [0, 39], [3, 4, 5], [1, 9, 20, 30], [2, 5, 8, 11]]) {
  Deno.test(`a snapshot with pages ${pages} gives the same memory again`, () => {
    const memory = memoryWith(...pages);
    for (const used of [SBRK_POINTER + 4, PAGE_BYTES * 7, PAGE_BYTES * 19 + 5]) {
      const found = restored(writeSnapshot(made(memory)), new FakeModule(used));
      assert.deepEqual(found, memory);
    }
  });
}

Deno.test("pages of zeros are not stored", () => {
  const file = writeSnapshot(made(memoryWith(1, 30)));
  assert(file.length < 3 * PAGE_BYTES);
});

Deno.test("the head comes back as it was", () => {
  withFile(writeSnapshot(made(memoryWith(1))), (path) => {
    assert.deepEqual(new SnapshotReader(path).head, made(new Uint8Array(0)));
  });
});

Deno.test("a file cut anywhere is refused", () => {
  const file = writeSnapshot(made(memoryWith(1, 20)));
  for (const length of [0, 1, 19, 20, 30, 40, 100, 5000, file.length - 1]) {
    assert.throws(() => restored(file.subarray(0, length), new FakeModule(100)));
  }
});

Deno.test("a file of another format is refused", () => {
  for (const index of [0, 1]) {
    const file = writeSnapshot(made(memoryWith(1)));
    const words = new Uint32Array(file.buffer, 0, 5);
    words[index] = (words[index] ?? 0) + 1;
    assert.throws(() => restored(file, new FakeModule(100)), /not a snapshot of this format/);
  }
});

Deno.test("a memory that can't grow is told", () => {
  const module = new FakeModule(100);
  module.growMemory = (): void => undefined;
  const file = writeSnapshot(made(memoryWith(1)));
  assert.throws(() => restored(file, module), /memory can't have/);
});
