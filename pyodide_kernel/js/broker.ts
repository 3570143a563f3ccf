/**
 * The broker: routes frames between the host and the worker, and alone holds the pipe.
 *
 * What comes from the worker is hostile input: it is checked, never parsed further than its
 * envelope, and can be nothing but a guest's message. The rest of the worker's world is the shared
 * page, from which nothing is believed (see shared_cells.ts).
 */

import {
  decodeContent,
  encodeBody,
  encodeFrame,
  type Frame,
  isId,
  isRecord,
  packAnswer,
} from "./framing.ts";
import {
  type BrokerType,
  FRAME_COST_BYTES,
  GUEST_TYPES,
  type GuestType,
  type HostType,
  MAX_BUFFERS,
  MAX_HEADER_BYTES,
  MAX_MESSAGE_BYTES,
  PROTOCOL_VERSION,
  QUESTION_TYPES,
  REPLIES,
  STDIN_CHUNK_BYTES,
} from "./messages.ts";
import {
  ANSWER,
  ANSWER_LENGTH,
  DIRTY,
  IN_FLIGHT,
  PIECE_LAST,
  PIECE_MORE,
  PIECE_NONE,
  sharedPage,
  SIGINT,
  SIGNAL,
  SIGUSR1,
  wake,
} from "./shared_cells.ts";
import { lifeLockReleased } from "./life_lock.ts";
import type { PipeWriter } from "./pipe_writer.ts";
import type { WorkerInit, WorkerPermissions } from "./worker_messages.ts";

/** Milliseconds between two looks at whether a busy guest has output waiting. */
const TICK_MS = 20;

const guestTypes: ReadonlySet<string> = new Set(GUEST_TYPES);
const questionTypes: ReadonlySet<string> = new Set(QUESTION_TYPES);

/** Makes the worker; a parameter so that the broker can be tested without Pyodide. */
export type StartWorker = (permissions: WorkerPermissions) => Worker;

/** Where the broker's part in one Deno process is played. */
export class Broker {
  #page = sharedPage();
  #writer: PipeWriter;
  #startWorker: StartWorker;
  #worker: Worker | undefined;
  #watching = false;
  #died = false;
  /** Ids of the requests that the worker has not answered, and the type of the reply to each. */
  #outstanding = new Map<string, string>();
  /** The question that the guest is blocked on, if any. */
  #question: { id: string; number: number } | undefined;
  #ticking: ReturnType<typeof setInterval> | undefined;

  constructor(writer: PipeWriter, startWorker: StartWorker) {
    this.#writer = writer;
    this.#startWorker = startWorker;
  }

  /** Says the first word on the pipe. */
  hello(): void {
    this.#say("hello", "", { protocol_version: PROTOCOL_VERSION });
  }

  /** Does what one frame of the host asks for. Throws on a frame that makes no sense. */
  handle(frame: Frame<HostType>): void {
    switch (frame.msg_type) {
      case "boot":
        return this.#boot(decodeContent(frame.body));
      case "ping":
        return this.#say("pong", frame.id, {});
      case "interrupt":
        return this.#interrupt();
      case "guest_reply":
        void this.#answer(frame.parent_id, frame.body);
        return;
      case "fetch_reply":
      case "fetch_chunk":
        return this.#answerFetch(frame);
      case "execute_request":
      case "complete_request":
      case "inspect_request":
      case "is_complete_request":
      case "comm_info_request":
      case "shutdown_request":
      case "snapshot_verdict":
      case "comm_open":
      case "comm_msg":
      case "comm_close":
        return this.#passOn(frame);
      default:
        return assertNever(frame.msg_type);
    }
  }

  #boot(content: Record<string, unknown>): void {
    if (this.#worker !== undefined) throw new TypeError("A second boot");
    const worker = this.#startWorker(content.permissions as WorkerPermissions);
    this.#worker = worker;
    worker.onmessage = (event: MessageEvent<unknown>): void => this.#fromWorker(event.data);
    worker.onmessageerror = (): void => undefined;
    worker.onerror = (event: ErrorEvent): void => {
      event.preventDefault();
      this.#workerDied(event.message);
    };
    const init: WorkerInit = {
      page: this.#page.cells.buffer,
      runtime: content.worker as WorkerInit["runtime"],
      guest: content.guest as WorkerInit["guest"],
      snapshot: content.snapshot as WorkerInit["snapshot"],
    };
    worker.postMessage(init);
  }

  #passOn(frame: Frame<HostType>): void {
    if (this.#worker === undefined) throw new TypeError(`A ${frame.msg_type} before boot`);
    const reply = REPLIES[frame.msg_type];
    if (reply !== undefined) {
      this.#outstanding.set(frame.id, reply);
      this.#ticking ??= setInterval(() => this.#tick(), TICK_MS);
    }
    const transfer = [frame.body.buffer, ...frame.buffers.map((buffer) => buffer.buffer)];
    this.#worker.postMessage(frame, transfer);
  }

  #fromWorker(data: unknown): void {
    if (this.#died || !isRecord(data)) return;
    if (data.alive === true) return this.#watch();
    if (typeof data.fatal === "string") return this.#workerDied(data.fatal);
    const frame = guestFrame(data);
    if (frame === undefined) return;
    if (frame.msg_type.endsWith("_reply")) {
      if (this.#outstanding.get(frame.parent_id) !== frame.msg_type) return;
      this.#outstanding.delete(frame.parent_id);
      if (this.#outstanding.size === 0) this.#settle();
    }
    const number = typeof data.question === "number" ? data.question | 0 : 0;
    if (questionTypes.has(frame.msg_type) || number !== 0) {
      this.#question = { id: frame.id, number };
    }
    const cost = frameCost(frame);
    this.#writer.write(encodeFrame(frame), () => {
      Atomics.sub(this.#page.cells, IN_FLIGHT, cost);
      Atomics.notify(this.#page.cells, IN_FLIGHT);
    });
  }

  /** After the last reply: no signal may reach the next request. */
  #settle(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    this.#question = undefined;
    Atomics.store(this.#page.cells, SIGNAL, 0);
  }

  #tick(): void {
    if (Atomics.load(this.#page.cells, DIRTY) === 1) {
      Atomics.compareExchange(this.#page.cells, SIGNAL, 0, SIGUSR1);
    }
  }

  #interrupt(): void {
    if (this.#outstanding.size === 0) return;
    Atomics.store(this.#page.cells, SIGNAL, SIGINT);
    wake(this.#page);
    this.#worker?.postMessage({ interrupt: true });
  }

  /** A worker that is blocked takes the answer from the shared page, a free one as a message. */
  #answerFetch(frame: Frame<HostType>): void {
    if (this.#question?.id !== frame.parent_id) return this.#passOn(frame);
    void this.#answer(frame.parent_id, packAnswer(frame));
  }

  /** Hands the answer to the guest's question over, piece by piece. */
  async #answer(id: string, bytes: Uint8Array): Promise<void> {
    const question = this.#question;
    if (question === undefined || question.id !== id) return;
    const { cells, piece } = this.#page;
    const tag = question.number * 4;
    for (let offset = 0; offset < bytes.length; offset += STDIN_CHUNK_BYTES) {
      const part = bytes.subarray(offset, offset + STDIN_CHUNK_BYTES);
      const last = offset + STDIN_CHUNK_BYTES >= bytes.length;
      piece.set(part);
      Atomics.store(cells, ANSWER_LENGTH, part.length);
      const state = tag + (last ? PIECE_LAST : PIECE_MORE);
      Atomics.store(cells, ANSWER, state);
      wake(this.#page);
      if (last) break;
      const taken = Atomics.waitAsync(cells, ANSWER, state);
      if (taken.async) await taken.value;
      if (Atomics.load(cells, ANSWER) !== PIECE_NONE || this.#question !== question) return;
    }
    if (this.#question === question) this.#question = undefined;
  }

  #watch(): void {
    if (this.#watching) return;
    this.#watching = true;
    void lifeLockReleased().then(() => this.#workerDied("the worker ended without a word"));
  }

  #workerDied(cause: string): void {
    if (this.#died) return;
    this.#died = true;
    clearInterval(this.#ticking);
    this.#say("worker_died", "", { cause: cause.slice(0, 2000) });
  }

  #say(msg_type: BrokerType, parent_id: string, content: Record<string, unknown>): void {
    const frame = { msg_type, id: "", parent_id, body: encodeBody(content), buffers: [] };
    this.#writer.write(encodeFrame(frame));
  }
}

/** What a frame counts in flow control; the worker computes the same. */
export function frameCost(frame: Pick<Frame, "body" | "buffers">): number {
  return frame.buffers.reduce((sum, part) => sum + part.length, frame.body.length) +
    FRAME_COST_BYTES;
}

function guestFrame(data: Record<string, unknown>): Frame<GuestType> | undefined {
  const { msg_type, id, parent_id, body } = data;
  if (typeof msg_type !== "string" || !guestTypes.has(msg_type)) return undefined;
  if (!isId(id) || !isId(parent_id) || !isBytes(body)) return undefined;
  if (!Array.isArray(data.buffers) || data.buffers.length > MAX_BUFFERS) return undefined;
  const buffers = [...data.buffers]; // without the holes that `every` skips
  if (!buffers.every(isBytes)) return undefined;
  const frame = { msg_type: msg_type as GuestType, id, parent_id, body, buffers };
  const size = frameCost(frame) - FRAME_COST_BYTES;
  if (size > MAX_MESSAGE_BYTES || buffers.length * 12 > MAX_HEADER_BYTES) return undefined;
  return frame;
}

function isBytes(value: unknown): value is Uint8Array<ArrayBuffer> {
  return value instanceof Uint8Array && value.buffer instanceof ArrayBuffer;
}

function assertNever(value: never): never {
  throw new TypeError(`Unknown message type "${String(value)}"`);
}
