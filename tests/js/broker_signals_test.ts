/** What the broker does through the shared page: interrupts, answers, flushes; and the end. */

import assert from "node:assert/strict";

import { concat, encodeBody, unpackAnswer } from "../../pyodide_kernel/js/framing.ts";
import { STDIN_CHUNK_BYTES } from "../../pyodide_kernel/js/messages.ts";
import {
  ANSWER,
  ANSWER_LENGTH,
  DIRTY,
  FUTEX,
  PIECE_LAST,
  PIECE_MORE,
  PIECE_NONE,
  SIGINT,
  SIGNAL,
  SIGUSR1,
} from "../../pyodide_kernel/js/shared_cells.ts";
import { Fixture, woken } from "./fake_worker.ts";

const OK = { status: "ok", execution_count: 1 };

function running(...ids: string[]): Fixture {
  const fixture = Fixture.booted();
  for (const id of ids) fixture.handle("execute_request", { id });
  return fixture;
}

function finish(fixture: Fixture, ...ids: string[]): void {
  for (const id of ids) fixture.worker.say("execute_reply", id, { content: OK });
}

function ask(fixture: Fixture, id: string, question: number): void {
  fixture.worker.say("input_request", "a", { id, question });
}

function answer(fixture: Fixture, parent_id: string, value = "yes"): void {
  fixture.handle("guest_reply", { parent_id, content: { status: "ok", value } });
}

/** Plays the worker that takes the pieces of an answer: their bytes and states. */
async function takePieces(
  fixture: Fixture,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; states: number[] }> {
  const { cells, piece } = fixture.page;
  const pieces: Uint8Array[] = [];
  const states: number[] = [];
  while (true) {
    const seen = Atomics.load(cells, FUTEX);
    const state = Atomics.load(cells, ANSWER);
    if ((state & 3) === PIECE_NONE) {
      await woken(Atomics.waitAsync(cells, FUTEX, seen));
      continue;
    }
    pieces.push(piece.slice(0, Atomics.load(cells, ANSWER_LENGTH)));
    states.push(state);
    Atomics.store(cells, ANSWER, PIECE_NONE);
    Atomics.notify(cells, ANSWER);
    if ((state & 3) === PIECE_LAST) return { bytes: concat(pieces), states };
  }
}

Deno.test("Broker sets the signal, wakes and tells the worker when something runs", () => {
  const fixture = running("a");
  const { cells } = fixture.page;
  fixture.handle("interrupt");
  assert.equal(cells[SIGNAL], SIGINT);
  assert.equal(cells[FUTEX], 1);
  assert.deepEqual(fixture.worker.inbox.at(-1), { interrupt: true });
  finish(fixture, "a");
});

Deno.test("Broker ignores an interrupt while nothing runs", () => {
  const fixture = running("a");
  finish(fixture, "a");
  const posted = fixture.worker.inbox.length;
  fixture.handle("interrupt");
  assert.equal(fixture.page.cells[SIGNAL], 0);
  assert.equal(fixture.worker.inbox.length, posted);
});

Deno.test("Broker ignores an interrupt before boot", () => {
  new Fixture().handle("interrupt");
});

Deno.test("Broker counts no comm message as something that runs", () => {
  const fixture = Fixture.booted();
  fixture.handle("comm_msg", { id: "c" });
  fixture.handle("interrupt");
  assert.equal(fixture.page.cells[SIGNAL], 0);
});

Deno.test("Broker clears the signal after the last reply, not after an earlier one", () => {
  const fixture = running("a", "b");
  const { cells } = fixture.page;
  fixture.handle("interrupt");
  finish(fixture, "a");
  assert.equal(cells[SIGNAL], SIGINT);
  finish(fixture, "b");
  assert.equal(cells[SIGNAL], 0);
});

Deno.test("Broker keeps the signal over forged replies", () => {
  const fixture = running("a");
  fixture.handle("interrupt");
  finish(fixture, "b", "");
  assert.equal(fixture.page.cells[SIGNAL], SIGINT);
  finish(fixture, "a");
});

/** Intervals that go off when the test says so; `restore` must be called. */
function fakeIntervals(): { tick: () => void; restore: () => void } {
  const { setInterval, clearInterval } = globalThis;
  const callbacks = new Map<number, () => void>();
  let count = 0;
  Object.assign(globalThis, {
    setInterval(callback: () => void): number {
      callbacks.set(++count, callback);
      return count;
    },
    clearInterval: (id: number): void => void callbacks.delete(id),
  });
  return {
    tick: () => [...callbacks.values()].forEach((callback) => callback()),
    restore: () => Object.assign(globalThis, { setInterval, clearInterval }),
  };
}

Deno.test("Broker asks a busy guest to flush when output waits", () => {
  const intervals = fakeIntervals();
  try {
    const fixture = running("a");
    const { cells } = fixture.page;
    intervals.tick();
    assert.equal(cells[SIGNAL], 0);
    Atomics.store(cells, DIRTY, 1);
    intervals.tick();
    assert.equal(cells[SIGNAL], SIGUSR1);
    fixture.handle("interrupt");
    intervals.tick();
    assert.equal(cells[SIGNAL], SIGINT, "an interrupt is never overwritten");
    finish(fixture, "a");
    Atomics.store(cells, DIRTY, 1);
    intervals.tick();
    assert.equal(cells[SIGNAL], 0, "nothing runs");
  } finally {
    intervals.restore();
  }
});

Deno.test("Broker hands a short answer over in one piece", async () => {
  const fixture = running("a");
  ask(fixture, "q", 1);
  answer(fixture, "q");
  const { bytes, states } = await takePieces(fixture);
  assert.deepEqual(bytes, encodeBody({ status: "ok", value: "yes" }));
  assert.deepEqual(states, [1 * 4 + PIECE_LAST]);
  finish(fixture, "a");
});

Deno.test("Broker hands a long answer over piece by piece", async () => {
  const fixture = running("a");
  const value = Array.from({ length: 200_000 }, (_, i) => `${i}`).join(" ");
  const body = encodeBody({ status: "ok", value });
  const count = Math.ceil(body.length / STDIN_CHUNK_BYTES);
  assert(count > 3);
  ask(fixture, "q", 7);
  answer(fixture, "q", value);
  const { bytes, states } = await takePieces(fixture);
  assert.deepEqual(bytes, body);
  const more = Array(count - 1).fill(7 * 4 + PIECE_MORE);
  assert.deepEqual(states, [...more, 7 * 4 + PIECE_LAST]);
  finish(fixture, "a");
});

Deno.test("Broker hands an answer over whose last piece is full", async () => {
  const fixture = running("a");
  const around = encodeBody({ status: "ok", value: "" }).length;
  const value = "x".repeat(2 * STDIN_CHUNK_BYTES - around);
  ask(fixture, "q", 1);
  answer(fixture, "q", value);
  const { bytes, states } = await takePieces(fixture);
  assert.equal(bytes.length, 2 * STDIN_CHUNK_BYTES);
  assert.deepEqual(states, [4 + PIECE_MORE, 4 + PIECE_LAST]);
  finish(fixture, "a");
});

Deno.test("Broker ignores an answer to another question, and a second answer", async () => {
  const fixture = running("a");
  const { cells } = fixture.page;
  answer(fixture, "q");
  ask(fixture, "q", 1);
  answer(fixture, "another");
  answer(fixture, "");
  assert.equal(cells[ANSWER], 0);
  answer(fixture, "q");
  await takePieces(fixture);
  answer(fixture, "q");
  assert.equal(cells[ANSWER], PIECE_NONE);
  finish(fixture, "a");
});

Deno.test("Broker stops an answer when the guest has gone on to the next question", async () => {
  const fixture = running("a");
  const { cells } = fixture.page;
  ask(fixture, "q1", 1);
  answer(fixture, "q1", "x".repeat(3 * STDIN_CHUNK_BYTES));
  assert.equal(cells[ANSWER], 4 + PIECE_MORE);
  // The guest was interrupted, and asks again without having taken the piece.
  Atomics.store(cells, ANSWER, PIECE_NONE);
  ask(fixture, "q2", 2);
  answer(fixture, "q2");
  const { bytes, states } = await takePieces(fixture);
  assert.deepEqual(bytes, encodeBody({ status: "ok", value: "yes" }));
  assert.deepEqual(states, [2 * 4 + PIECE_LAST]);
  finish(fixture, "a");
});

Deno.test("Broker forgets a question when its cell is over", () => {
  const fixture = running("a");
  ask(fixture, "q", 1);
  finish(fixture, "a");
  answer(fixture, "q");
  assert.equal(fixture.page.cells[ANSWER], 0);
});

function fetch(fixture: Fixture, id: string, question: number): void {
  const content = { method: "GET", url: "https://example.com/", headers: [] };
  fixture.worker.say("fetch_request", "", { id, question, content });
}

Deno.test("Broker hands what was fetched to a blocked worker through the page", async () => {
  const fixture = running("a");
  fetch(fixture, "f", 3);
  const posted = fixture.worker.inbox.length;
  const buffers = [Uint8Array.from({ length: 2 * STDIN_CHUNK_BYTES }, (_, i) => i % 251)];
  fixture.handle("fetch_reply", { parent_id: "f", content: { status: "ok" }, buffers });
  const { bytes, states } = await takePieces(fixture);
  const answer = unpackAnswer(bytes);
  assert.deepEqual(answer, { body: encodeBody({ status: "ok" }), buffers });
  assert.equal(states.at(-1), 3 * 4 + PIECE_LAST);
  assert.equal(fixture.worker.inbox.length, posted);
  finish(fixture, "a");
});

Deno.test("Broker posts what was fetched to a worker that is not blocked by it", async () => {
  const fixture = running("a");
  fetch(fixture, "f1", 0);
  ask(fixture, "q", 1);
  const content = { status: "ok", last: true };
  const buffers = [Uint8Array.of(1, 2)];
  fixture.handle("fetch_chunk", { parent_id: "f1", content, buffers });
  assert.deepEqual(fixture.worker.inbox.at(-1), {
    msg_type: "fetch_chunk",
    id: "",
    parent_id: "f1",
    body: encodeBody(content),
    buffers: [Uint8Array.of(1, 2)],
  });
  // The question that does block the worker still waits for its own answer.
  answer(fixture, "q");
  assert.deepEqual((await takePieces(fixture)).states, [4 + PIECE_LAST]);
  finish(fixture, "a");
});

const ODD_NUMBERS: readonly unknown[] = [
  undefined,
  null,
  NaN,
  Infinity,
  -1,
  2 ** 40,
  1.5,
  "1",
  1n,
  [1],
  { valueOf: 1, toString: 1 },
  new Map(),
];

Deno.test("Broker takes any number of a question without throwing", async () => {
  const fixture = running("a");
  for (const question of ODD_NUMBERS) {
    const body = encodeBody({ prompt: "", password: false });
    const envelope = { msg_type: "input_request", id: "q", parent_id: "a", body, buffers: [] };
    fixture.worker.post({ ...envelope, question });
    answer(fixture, "q");
    assert.equal(Atomics.load(fixture.page.cells, ANSWER) & 3, PIECE_LAST);
  }
  finish(fixture, "a");
  assert.equal((await fixture.heard()).length, ODD_NUMBERS.length + 1);
});

Deno.test("Broker says once that the worker died, and passes nothing on after it", async () => {
  const fixture = running("a");
  const { worker } = fixture;
  worker.post({ fatal: "RuntimeError: unreachable" });
  worker.post({ fatal: "again" });
  worker.onerror({ message: "again", preventDefault: () => undefined });
  worker.say("stream", "a");
  finish(fixture, "a");
  const heard = await fixture.heard();
  assert.deepEqual(heard.map((message) => message.msg_type), ["worker_died"]);
  assert.deepEqual(heard[0]?.content, { cause: "RuntimeError: unreachable" });
});

Deno.test("Broker takes an uncaught error of the worker for its death", async () => {
  const fixture = running("a");
  let prevented = false;
  fixture.worker.onerror({
    message: "Uncaught RangeError: Maximum call stack size exceeded",
    preventDefault: () => {
      prevented = true;
    },
  });
  assert(prevented, "the error must not end the broker");
  const [died] = await fixture.heard();
  assert.match(String(died?.content.cause), /Maximum call stack/);
});

Deno.test("Broker shortens the last words of the worker", async () => {
  const fixture = Fixture.booted();
  fixture.worker.post({ fatal: "x".repeat(1_000_000) });
  const [died] = await fixture.heard();
  assert.equal(String(died?.content.cause).length, 2000);
});
