/** How the broker learns of the end of a worker, tried on real ones. */

import assert from "node:assert/strict";

import { Broker } from "../../pyodide_kernel/js/broker.ts";
import { encodeBody } from "../../pyodide_kernel/js/framing.ts";
import { PipeWriter } from "../../pyodide_kernel/js/pipe_writer.ts";
import { Fixture, type Heard, parse } from "./fake_worker.ts";

/** Everything that a broker says until it says that its worker died. */
async function lastWords(way: string): Promise<Heard[]> {
  const said: Heard[] = [];
  let worker: Worker | undefined;
  await new Promise<void>((resolve) => {
    const write = (data: Uint8Array): Promise<number> => {
      said.push(...parse(data.slice()));
      if (said.some((message) => message.msg_type === "worker_died")) resolve();
      return Promise.resolve(data.length);
    };
    const writer = new PipeWriter({ write }, (error) => assert.fail(String(error)));
    const broker = new Broker(writer, () => {
      worker = new Worker(new URL("./mortal_worker.ts", import.meta.url), { type: "module" });
      return worker;
    });
    const boot = { worker: {}, permissions: {}, guest: {} };
    const envelope = { id: "", parent_id: "", buffers: [] };
    broker.handle({ ...envelope, msg_type: "boot", body: encodeBody(boot) });
    broker.handle({ ...envelope, msg_type: "comm_msg", id: way, body: encodeBody({}) });
  });
  worker?.terminate();
  return said;
}

const WAYS = {
  "closes": "the worker ended without a word",
  "throws": "thrown in the worker",
  "rejects": "rejected in the worker",
  "posts odd values": "the worker ended without a word",
};

for (const [way, cause] of Object.entries(WAYS)) {
  Deno.test(`Broker learns of the death of a worker that ${way}`, async () => {
    const said = await lastWords(way);
    assert.deepEqual(said.map((message) => message.msg_type), ["worker_died"]);
    assert(String(said[0]?.content.cause).includes(cause), `${said[0]?.content.cause}`);
  });
}

/** Web Locks, which Deno has and its library of types has not. */
interface Locks {
  request(name: string, callback: () => unknown): Promise<unknown>;
  query(): Promise<{ pending: { name: string }[] }>;
}

const locks = (navigator as unknown as { readonly locks: Locks }).locks;

Deno.test("Broker waits for the lock once, however often the worker says that it lives", async () => {
  let release: (value?: unknown) => void = () => undefined;
  const held = new Promise((resolve) => {
    release = resolve;
  });
  const ended = locks.request("worker-alive", () => held);
  const fixture = Fixture.booted();
  for (let i = 0; i < 100; i++) fixture.worker.post({ alive: true });
  const { pending } = await locks.query();
  assert.equal(pending.length, 1);
  release();
  await ended;
});
