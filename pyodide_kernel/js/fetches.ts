/** What the worker asks the host's network for: questions that may block, or be awaited. */

import { encodeBody, type Frame, isRecord, unpackAnswer } from "./framing.ts";
import { MAX_MESSAGE_BYTES } from "./messages.ts";

/** Body, as JSON, and buffers of an answer of the host. */
export type Answer = Pick<Frame, "body" | "buffers">;

type Bytes = Uint8Array<ArrayBuffer>;

/** The doors that questions go out through. */
export interface Asking {
  post(
    msg_type: string,
    id: string,
    parent_id: string,
    body: Bytes,
    buffers: readonly Bytes[],
  ): void;
  ask(
    msg_type: string,
    id: string,
    parent_id: string,
    body: Bytes,
    buffers: readonly Bytes[],
  ): Bytes | undefined;
}

/** Questions to the host, by ids that no other interpreter has. */
export class Fetches {
  #doors: Asking | undefined;
  #prefix = "";
  #count = 0;
  #waiting = new Map<string, (answer: Answer) => void>();

  /** Begins a session; nothing can be asked before. */
  connect(doors: Asking): void {
    this.#doors = doors;
    this.#prefix = crypto.randomUUID();
  }

  /** Asks, and lets the event loop run until the answer is here. Body and buffers are given away. */
  ask(msg_type: string, id: string, body: Bytes, buffers: readonly Bytes[] = []): Promise<Answer> {
    const refusal = refuseLarge(body, buffers);
    if (refusal !== undefined) return Promise.resolve(refusal);
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#open().post(msg_type, id, "", body, buffers);
    });
  }

  /** Asks, and blocks until the answer is here; undefined if interrupted. */
  askNow(
    msg_type: string,
    id: string,
    body: Bytes,
    buffers: readonly Bytes[] = [],
  ): Answer | undefined {
    const refusal = refuseLarge(body, buffers);
    if (refusal !== undefined) return refusal;
    const bytes = this.#open().ask(msg_type, id, "", body, buffers);
    return bytes && unpackAnswer(bytes);
  }

  /** Says that a fetch is not wanted any more. */
  cancel(fetch: string): void {
    this.#open().post("fetch_cancel", "", "", encodeBody({ fetch }), []);
  }

  /** A name for a fetch, or for a question about one. */
  newId(): string {
    return `${this.#prefix}-${++this.#count}`;
  }

  /** Takes what came from the broker; false if it is no answer. */
  take(frame: unknown): boolean {
    if (!isRecord(frame)) return false;
    const { msg_type, parent_id, body, buffers } = frame as unknown as Frame;
    if (msg_type !== "fetch_reply" && msg_type !== "fetch_chunk") return false;
    this.#waiting.get(parent_id)?.({ body, buffers });
    this.#waiting.delete(parent_id);
    return true;
  }

  #open(): Asking {
    if (this.#doors === undefined) throw new TypeError("There is no network before a session");
    return this.#doors;
  }
}

/** The answer to a question that the broker would not pass on, so that nobody waits for one. */
function refuseLarge(body: Bytes, buffers: readonly Bytes[]): Answer | undefined {
  const size = buffers.reduce((sum, buffer) => sum + buffer.length, body.length);
  if (size <= MAX_MESSAGE_BYTES) return undefined;
  const message = `a request of ${size.toLocaleString("en")} bytes is too large to be sent`;
  return { body: encodeBody({ status: "error", kind: "malformed", message }), buffers: [] };
}
