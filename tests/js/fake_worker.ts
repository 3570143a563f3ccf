/** A worker without Pyodide, the pipe it talks to, and a broker between the two. */

import assert from "node:assert/strict";

import { Broker } from "../../pyodide_kernel/js/broker.ts";
import {
  concat,
  decodeContent,
  encodeBody,
  type Frame,
  isRecord,
} from "../../pyodide_kernel/js/framing.ts";
import type { HostType } from "../../pyodide_kernel/js/messages.ts";
import { PipeWriter } from "../../pyodide_kernel/js/pipe_writer.ts";
import { type SharedPage, sharedPage } from "../../pyodide_kernel/js/shared_cells.ts";
import type { WorkerInit, WorkerPermissions } from "../../pyodide_kernel/js/worker_messages.ts";

/** What the broker sees of a Worker. Values pass through the structured clone, as in a real one. */
export class FakeWorker {
  onmessage: (event: { data: unknown }) => void = () => assert.fail("Nobody listens");
  onmessageerror: () => void = () => assert.fail("Nobody listens");
  onerror: (event: { message: string; preventDefault(): void }) => void = () =>
    assert.fail("Nobody listens");
  /** What the broker has posted to the worker. */
  readonly inbox: unknown[] = [];

  postMessage(value: unknown, transfer: Transferable[] = []): void {
    this.inbox.push(structuredClone(value, { transfer }));
  }

  /** Posts a value to the broker. */
  post(value: unknown): void {
    this.onmessage({ data: structuredClone(value) });
  }

  /** Posts a message of the guest. */
  say(
    msg_type: string,
    parent_id: string,
    { content = {}, buffers = [], ...more }: {
      content?: Record<string, unknown>;
      buffers?: Uint8Array[];
      id?: string;
      question?: number;
    } = {},
  ): void {
    const body = encodeBody(content);
    this.post({ msg_type, id: "", parent_id, body, buffers, ...more });
  }

  /** The first message of the broker. */
  get init(): WorkerInit {
    const [init] = this.inbox;
    assert(isRecord(init) && init.page instanceof SharedArrayBuffer);
    return init as unknown as WorkerInit;
  }
}

/** A frame as the host sees it. */
export interface Heard {
  readonly msg_type: string;
  readonly id: string;
  readonly parent_id: string;
  readonly content: Record<string, unknown>;
  readonly buffers: readonly Uint8Array[];
}

/** A broker with a fake worker and a pipe that keeps what is written to it. */
export class Fixture {
  readonly worker = new FakeWorker();
  readonly broker: Broker;
  readonly permissions: WorkerPermissions[] = [];
  readonly #writer: PipeWriter;
  readonly #written: Uint8Array[] = [];
  #gate: Promise<void> = Promise.resolve();

  constructor() {
    const write = async (data: Uint8Array): Promise<number> => {
      await this.#gate;
      this.#written.push(data.slice());
      return data.length;
    };
    this.#writer = new PipeWriter({ write }, (error) => assert.fail(String(error)));
    this.broker = new Broker(this.#writer, (permissions) => {
      this.permissions.push(permissions);
      return this.worker as unknown as Worker;
    });
  }

  /** A broker whose worker is started. */
  static booted(): Fixture {
    const fixture = new Fixture();
    fixture.handle("boot", { content: { worker: {}, permissions: {}, guest: {} } });
    return fixture;
  }

  /** The page that broker and worker share. */
  get page(): SharedPage {
    return sharedPage(this.worker.init.page);
  }

  /** Gives the broker a frame of the host. */
  handle(
    msg_type: HostType,
    { id = "", parent_id = "", content = {}, buffers = [] }: {
      id?: string;
      parent_id?: string;
      content?: Record<string, unknown>;
      buffers?: Uint8Array<ArrayBuffer>[];
    } = {},
  ): void {
    this.broker.handle({ msg_type, id, parent_id, body: encodeBody(content), buffers });
  }

  /** Makes writes to the pipe wait; the function returned lets them go on. */
  pause(): () => void {
    let resume: () => void = () => undefined;
    this.#gate = new Promise((resolve) => {
      resume = resolve;
    });
    return resume;
  }

  /** Everything that the host has heard so far. */
  async heard(): Promise<Heard[]> {
    await new Promise<void>((resolve) => this.#writer.write([], resolve));
    return parse(concat(this.#written));
  }

  /** Types of everything that the host has heard so far. */
  async heardTypes(): Promise<string[]> {
    return (await this.heard()).map((message) => message.msg_type);
  }
}

/** Takes a stream of well-formed frames apart; FrameDecoder takes those of the host only. */
export function parse(data: Uint8Array): Heard[] {
  const messages: Heard[] = [];
  const view = new DataView(data.buffer);
  for (let offset = 0; offset < data.length;) {
    const begin = offset + 4;
    let end = begin + view.getUint32(offset);
    const header = JSON.parse(new TextDecoder().decode(data.subarray(begin, end)));
    const [body = new Uint8Array(), ...buffers] = header.lengths.map((length: number) => {
      const part = data.slice(end, end + length);
      end += length;
      return part;
    });
    const { msg_type, id, parent_id } = header as Frame;
    messages.push({ msg_type, id, parent_id, content: decodeContent(body), buffers });
    offset = end;
  }
  return messages;
}

/** Waits for a result of `Atomics.waitAsync`, which alone does not keep Deno's event loop going. */
export async function woken(
  waiting: ReturnType<typeof Atomics.waitAsync>,
): Promise<"ok" | "not-equal" | "timed-out"> {
  const keepingOn = setInterval(() => undefined, 1000);
  try {
    return await waiting.value;
  } finally {
    clearInterval(keepingOn);
  }
}
