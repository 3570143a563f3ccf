import assert from "node:assert/strict";

import { OpenFile } from "../../pyodide_kernel/js/host_streams.ts";

/** A file in memory that notes each call. */
class FakeFile {
  readonly calls: string[] = [];
  bytes: number[] = [];
  at = 0;
  fails = false;

  seekSync(offset: number, whence: Deno.SeekMode): number {
    this.calls.push(`seek ${offset} ${whence}`);
    return this.at = offset + (whence === Deno.SeekMode.End ? this.bytes.length : 0);
  }

  readSync(target: Uint8Array): number | null {
    this.calls.push("read");
    if (this.fails) throw new Error("Broken (os error 5)");
    const found = this.bytes.slice(this.at, this.at + target.length);
    target.set(found);
    this.at += found.length;
    return found.length || null;
  }

  writeSync(source: Uint8Array): number {
    this.calls.push("write");
    this.bytes.splice(this.at, source.length, ...source);
    this.at += source.length;
    return source.length;
  }

  close(): void {
    this.calls.push("close");
  }
}

function open(appends = false): { fake: FakeFile; file: OpenFile } {
  const fake = new FakeFile();
  return { fake, file: new OpenFile(fake as unknown as Deno.FsFile, appends) };
}

Deno.test("OpenFile reads on without asking for the position again", () => {
  const { fake, file } = open();
  fake.bytes = [1, 2, 3, 4, 5];
  const target = new Uint8Array(2);
  assert.deepEqual([file.read(target, 0), file.read(target, 2), file.read(target, 4)], [2, 2, 1]);
  assert.equal(file.read(target, 5), 0);
  assert.deepEqual(fake.calls, ["read", "read", "read", "read"]);
});

Deno.test("OpenFile seeks when somebody wants to be elsewhere", () => {
  const { fake, file } = open();
  file.write(new Uint8Array([1, 2, 3]), 5 * 2 ** 30);
  assert.equal(file.fromEnd(-1), 2);
  file.read(new Uint8Array(1), 0);
  assert.deepEqual(fake.calls, ["seek 5368709120 0", "write", "seek -1 2", "seek 0 0", "read"]);
});

Deno.test("OpenFile leaves the position of appended bytes to the host", () => {
  const { fake, file } = open(true);
  file.write(new Uint8Array([1]), 100);
  file.write(new Uint8Array([2]), 0);
  file.read(new Uint8Array(1), 2);
  assert.deepEqual(fake.calls, ["write", "write", "seek 2 0", "read"]);
});

Deno.test("OpenFile does not trust a position after an error", () => {
  const { fake, file } = open();
  fake.fails = true;
  assert.throws(() => file.read(new Uint8Array(1), 0));
  fake.fails = false;
  file.read(new Uint8Array(1), 0);
  assert.deepEqual(fake.calls, ["read", "seek 0 0", "read"]);
});

Deno.test("OpenFile is closed by the last of its descriptors", () => {
  const { fake, file } = open();
  file.share();
  file.close();
  assert.deepEqual(fake.calls, []);
  file.close();
  assert.deepEqual(fake.calls, ["close"]);
});
