import assert from "node:assert/strict";

import { concat } from "../../pyodide_kernel/js/framing.ts";
import { PipeWriter } from "../../pyodide_kernel/js/pipe_writer.ts";

/** A connection that takes what it is offered when it is told to. */
class FakeConnection {
  readonly written: Uint8Array[] = [];
  readonly #most: number;
  #pass: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;
  error: Error | undefined;

  /** `most` bytes are taken in one call. */
  constructor(most = Infinity) {
    this.#most = most;
  }

  /** Makes writes wait until `resume`. */
  pause(): void {
    this.#pass = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  resume(): void {
    this.#open();
  }

  async write(data: Uint8Array): Promise<number> {
    await this.#pass;
    if (this.error !== undefined) throw this.error;
    const part = data.slice(0, this.#most);
    this.written.push(part);
    return part.length;
  }
}

function never(error: unknown): void {
  throw new Error("The connection failed", { cause: error });
}

/** Writes a last frame and resolves when the system has taken it, and all frames before it. */
function flushed(writer: PipeWriter): Promise<void> {
  return new Promise((resolve) => writer.write([], resolve));
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

Deno.test("PipeWriter writes the chunks of all frames in order", async () => {
  const connection = new FakeConnection();
  const writer = new PipeWriter(connection, never);
  for (let i = 0; i < 1000; i++) writer.write([bytes(`${i},`), new Uint8Array(0), bytes(`${i};`)]);
  await flushed(writer);
  const expected = Array.from({ length: 1000 }, (_, i) => `${i},${i};`).join("");
  assert.equal(new TextDecoder().decode(concat(connection.written)), expected);
});

Deno.test("PipeWriter goes on after a write that took only a part", async () => {
  const connection = new FakeConnection(3);
  const writer = new PipeWriter(connection, never);
  writer.write([bytes("abcdefgh"), bytes("ij")]);
  await flushed(writer);
  assert.equal(new TextDecoder().decode(concat(connection.written)), "abcdefghij");
});

Deno.test("PipeWriter joins what was queued during a write", async () => {
  const connection = new FakeConnection();
  connection.pause();
  const writer = new PipeWriter(connection, never);
  for (let i = 0; i < 1000; i++) writer.write([bytes("frame")]);
  const done = flushed(writer);
  connection.resume();
  await done;
  assert.equal(connection.written.length, 2);
});

Deno.test("PipeWriter writes a large frame chunk by chunk without copying it together", async () => {
  const connection = new FakeConnection();
  const writer = new PipeWriter(connection, never);
  const large = new Uint8Array(1024 * 1024).fill(7);
  writer.write([bytes("header"), large]);
  writer.write([bytes("next")]);
  await flushed(writer);
  const sizes = connection.written.map((chunk) => chunk.length);
  assert.deepEqual(sizes.slice(0, 2), [6, large.length]);
  assert.equal(concat(connection.written).length, 6 + large.length + 4);
});

Deno.test("PipeWriter says that a frame is written when it is, and not before", async () => {
  const connection = new FakeConnection();
  connection.pause();
  const writer = new PipeWriter(connection, never);
  const events: string[] = [];
  writer.write([bytes("a")], () => events.push("a"));
  writer.write([bytes("b")], () => events.push("b"));
  const done = flushed(writer);
  await Promise.resolve();
  assert.deepEqual(events, []);
  connection.resume();
  await done;
  assert.deepEqual(events, ["a", "b"]);
});

Deno.test("PipeWriter takes a frame that is written from within a callback", async () => {
  const connection = new FakeConnection();
  const writer = new PipeWriter(connection, never);
  await new Promise<void>((resolve) => {
    writer.write([bytes("a")], () => writer.write([bytes("b")], resolve));
  });
  assert.equal(new TextDecoder().decode(concat(connection.written)), "ab");
});

Deno.test("PipeWriter says once that the connection failed, and writes no more", async () => {
  const connection = new FakeConnection();
  connection.error = new Error("broken pipe");
  const failures: unknown[] = [];
  let tell: () => void = () => undefined;
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const writer = new PipeWriter(connection, (error) => {
    failures.push(error);
    tell();
  });
  const unwritten = (): never => assert.fail("It was not written");
  writer.write([bytes("a")], unwritten);
  writer.write([bytes("b")], unwritten);
  await told;
  connection.error = undefined;
  writer.write([bytes("c")], unwritten);
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(failures, [new Error("broken pipe")]);
  assert.deepEqual(connection.written, []);
});
