import assert from "node:assert/strict";

import { Broker, frameCost } from "../../pyodide_kernel/js/broker.ts";
import { encodeBody, type Frame } from "../../pyodide_kernel/js/framing.ts";
import {
  BROKER_TYPES,
  FRAME_COST_BYTES,
  GUEST_TYPES,
  HOST_TYPES,
  MAX_BUFFERS,
  MAX_MESSAGE_BYTES,
  PROTOCOL_VERSION,
  REPLIES,
  WORKER_BOUND_TYPES,
} from "../../pyodide_kernel/js/messages.ts";
import type { PipeWriter } from "../../pyodide_kernel/js/pipe_writer.ts";
import { IN_FLIGHT } from "../../pyodide_kernel/js/shared_cells.ts";
import { FakeWorker, Fixture, woken } from "./fake_worker.ts";

const OK = { status: "ok", execution_count: 1 };

/** Ends all requests, so that the broker's interval ends too. */
function finish(fixture: Fixture, ...ids: string[]): void {
  for (const id of ids) fixture.worker.say("execute_reply", id, { content: OK });
}

Deno.test("Broker says hello first, with the version of the protocol", async () => {
  const fixture = new Fixture();
  fixture.broker.hello();
  const [hello] = await fixture.heard();
  assert.equal(hello?.msg_type, "hello");
  assert.deepEqual(hello?.content, { protocol_version: PROTOCOL_VERSION });
});

Deno.test("Broker starts the worker with its permissions and tells it what it needs", () => {
  const fixture = new Fixture();
  const content = {
    worker: { folder: "/runtime" },
    permissions: { read: ["/runtime"], net: false },
    guest: { sources: { "a.py": "" }, env: { HOME: "/home" }, cwd: "/home" },
  };
  fixture.handle("boot", { content });
  assert.deepEqual(fixture.permissions, [content.permissions]);
  assert.deepEqual(fixture.worker.init.runtime, content.worker);
  assert.deepEqual(fixture.worker.init.guest, content.guest);
});

Deno.test("Broker throws on a second boot", () => {
  const fixture = Fixture.booted();
  assert.throws(() => fixture.handle("boot"), TypeError);
});

Deno.test("Broker throws on a request before boot", () => {
  const fixture = new Fixture();
  assert.throws(() => fixture.handle("execute_request", { id: "a" }), TypeError);
});

Deno.test("Broker answers a ping, before boot too", async () => {
  const fixture = new Fixture();
  fixture.handle("ping", { id: "p1" });
  const [pong] = await fixture.heard();
  assert.equal(pong?.msg_type, "pong");
  assert.equal(pong?.parent_id, "p1");
});

Deno.test("Broker passes on what is the worker's, body and buffers as they are", () => {
  const fixture = Fixture.booted();
  for (const msg_type of WORKER_BOUND_TYPES) {
    const buffers = [Uint8Array.of(1, 2), new Uint8Array(0)];
    fixture.handle(msg_type, { id: msg_type, content: { of: msg_type }, buffers });
    assert.deepEqual(fixture.worker.inbox.at(-1), {
      msg_type,
      id: msg_type,
      parent_id: "",
      body: encodeBody({ of: msg_type }),
      buffers: [Uint8Array.of(1, 2), new Uint8Array(0)],
    });
  }
  for (const msg_type of WORKER_BOUND_TYPES) {
    if (REPLIES[msg_type] !== undefined) fixture.worker.say(REPLIES[msg_type], msg_type);
  }
});

Deno.test("Broker writes outputs and replies in the order in which they were posted", async () => {
  const fixture = Fixture.booted();
  fixture.handle("execute_request", { id: "a" });
  const { worker } = fixture;
  for (let i = 0; i < 100; i++) worker.say("stream", "a", { content: { text: `${i}` } });
  worker.say("comm_msg", "a", { buffers: [Uint8Array.of(1, 2, 3)] });
  worker.say("execute_reply", "a", { content: OK });
  const heard = await fixture.heard();
  assert.deepEqual(
    heard.slice(0, 100).map((message) => message.content.text),
    Array.from({ length: 100 }, (_, i) => `${i}`),
  );
  assert.deepEqual(heard[100]?.buffers, [Uint8Array.of(1, 2, 3)]);
  assert.equal(heard[101]?.msg_type, "execute_reply");
  assert(heard.every((message) => message.parent_id === "a"));
});

Deno.test("Broker passes outputs on that come while nothing runs", async () => {
  const fixture = Fixture.booted();
  fixture.worker.say("stream", "an earlier cell");
  assert.deepEqual(await fixture.heardTypes(), ["stream"]);
});

Deno.test("Broker drops replies that no request waits for", async () => {
  const fixture = Fixture.booted();
  const { worker } = fixture;
  fixture.handle("execute_request", { id: "a" });
  worker.say("execute_reply", "b", { content: OK });
  worker.say("execute_reply", "", { content: OK });
  finish(fixture, "a");
  worker.say("execute_reply", "a", { content: OK });
  assert.deepEqual(await fixture.heardTypes(), ["execute_reply"]);
});

Deno.test("Broker drops a reply of another type than its request asks for", async () => {
  const fixture = Fixture.booted();
  fixture.handle("execute_request", { id: "a" });
  fixture.worker.say("complete_reply", "a", { content: { status: "ok" } });
  fixture.worker.say("shutdown_reply", "a", { content: { status: "ok" } });
  finish(fixture, "a");
  assert.deepEqual(await fixture.heardTypes(), ["execute_reply"]);
});

Deno.test("Broker drops what only broker or host may say", async () => {
  const fixture = Fixture.booted();
  const both = new Set<string>(GUEST_TYPES);
  const others = [...BROKER_TYPES, ...HOST_TYPES].filter((name) => !both.has(name));
  for (const msg_type of [...others, "", "explode", "constructor", "__proto__"]) {
    fixture.worker.say(msg_type, "a");
  }
  assert.deepEqual(await fixture.heardTypes(), []);
});

function withCycle(): object {
  const value: Record<string, unknown> = { msg_type: "stream" };
  value.self = value;
  return value;
}

const GOOD = {
  msg_type: "stream",
  id: "",
  parent_id: "",
  body: encodeBody({ name: "stdout", text: "" }),
  buffers: [],
};

/** Values that can be posted and are no messages. */
const ODD_VALUES: Readonly<Record<string, unknown>> = {
  "undefined": undefined,
  "null": null,
  "a number": NaN,
  "a string": "stream",
  "a BigInt": 1n,
  "a boolean": true,
  "an array": [GOOD],
  "a Map": new Map(Object.entries(GOOD)),
  "a Set": new Set(["stream"]),
  "a Date": new Date(NaN),
  "an Error": new Error("stream"),
  "a shared buffer": new SharedArrayBuffer(8),
  "a RegExp": /stream/,
  "an empty object": {},
  "a cycle": withCycle(),
  "a boxed type": { ...GOOD, msg_type: new String("stream") },
  "a type in an array": { ...GOOD, msg_type: ["stream"] },
  "an id that is a BigInt": { ...GOOD, id: 1n },
  "an id that is too long": { ...GOOD, id: "a".repeat(129) },
  "a parent id that is a cycle": { ...GOOD, parent_id: withCycle() },
  "no body": { ...GOOD, body: undefined },
  "a body of text": { ...GOOD, body: "{}" },
  "a body that is a buffer": { ...GOOD, body: new ArrayBuffer(8) },
  "a body of wide numbers": { ...GOOD, body: new Float64Array(8) },
  "a body in shared memory": { ...GOOD, body: new Uint8Array(new SharedArrayBuffer(8)) },
  "buffers that are an object": { ...GOOD, buffers: { length: 1, 0: new Uint8Array(1) } },
  "buffers that are a Set": { ...GOOD, buffers: new Set([new Uint8Array(1)]) },
  "a buffer that is null": { ...GOOD, buffers: [null] },
  "a buffer in shared memory": { ...GOOD, buffers: [new Uint8Array(new SharedArrayBuffer(8))] },
  "buffers with holes": { ...GOOD, buffers: new Array(3) },
  "too many buffers": { ...GOOD, buffers: Array(MAX_BUFFERS + 1).fill(new Uint8Array(0)) },
  "a fatal that is an object": { fatal: {} },
  "an alive that is a number": { alive: 1 },
};

for (const [name, value] of Object.entries(ODD_VALUES)) {
  Deno.test(`Broker drops ${name} from the worker and goes on`, async () => {
    const fixture = Fixture.booted();
    fixture.worker.post(value);
    fixture.worker.post(GOOD);
    assert.deepEqual(await fixture.heardTypes(), ["stream"]);
  });
}

Deno.test("Broker takes a getter for what the structured clone makes of it", async () => {
  const fixture = Fixture.booted();
  fixture.worker.post({
    ...GOOD,
    get id(): string {
      return "from a getter";
    },
  });
  const [message] = await fixture.heard();
  assert.equal(message?.id, "from a getter");
});

Deno.test("Broker ignores a value that could not be cloned", async () => {
  const fixture = Fixture.booted();
  fixture.worker.onmessageerror();
  fixture.worker.post(GOOD);
  assert.deepEqual(await fixture.heardTypes(), ["stream"]);
});

Deno.test("frameCost() counts body, buffers and a fixed cost", () => {
  const buffers = [new Uint8Array(10), new Uint8Array(5)];
  const frame: Pick<Frame, "body" | "buffers"> = { body: new Uint8Array(100), buffers };
  assert.equal(frameCost(frame), 115 + FRAME_COST_BYTES);
});

Deno.test("Broker gives credit back when the pipe has taken a frame, and not before", async () => {
  const fixture = Fixture.booted();
  const { cells } = fixture.page;
  const frames = [GOOD, { ...GOOD, buffers: [new Uint8Array(1000)] }];
  const cost = frames.reduce((sum, frame) => sum + frameCost(frame), 0);
  const resume = fixture.pause();
  Atomics.add(cells, IN_FLIGHT, cost);
  const waiting = Atomics.waitAsync(cells, IN_FLIGHT, cost);
  for (const frame of frames) fixture.worker.post(frame);
  await Promise.resolve();
  assert.equal(cells[IN_FLIGHT], cost);
  resume();
  assert.deepEqual(await fixture.heardTypes(), ["stream", "stream"]);
  assert.equal(cells[IN_FLIGHT], 0);
  assert.equal(await woken(waiting), "ok");
});

Deno.test("Broker passes on a message of the limit, which the guest may send", () => {
  const sizes: number[] = [];
  const writer = {
    write(chunks: readonly Uint8Array[]): void {
      sizes.push(chunks.slice(1).reduce((sum, chunk) => sum + chunk.length, 0));
    },
  };
  const worker = new FakeWorker();
  const broker = new Broker(
    writer as unknown as PipeWriter,
    () => worker as unknown as Worker,
  );
  const body = encodeBody({ worker: {}, permissions: {}, guest: {} });
  broker.handle({ msg_type: "boot", id: "", parent_id: "", body, buffers: [] });
  // Not through the structured clone, which would touch all of the memory.
  const most = new Uint8Array(MAX_MESSAGE_BYTES - GOOD.body.length);
  worker.onmessage({ data: { ...GOOD, buffers: [most] } });
  worker.onmessage({ data: { ...GOOD, buffers: [most, new Uint8Array(1)] } });
  assert.deepEqual(sizes, [MAX_MESSAGE_BYTES]);
});
