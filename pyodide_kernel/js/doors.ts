/** The doors of the guest: all that it can do outside Python. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import type { Bash } from "./bash.ts";
import type { BashDoor } from "./bash_door.ts";
import type { Fetches } from "./fetches.ts";
import { concat } from "./framing.ts";
import type { Lock } from "./host_locks.ts";
import { CREDIT_BYTES, FRAME_COST_BYTES } from "./messages.ts";
import type { PackageImages } from "./package_images.ts";
import {
  ANSWER,
  ANSWER_LENGTH,
  DIRTY,
  FUTEX,
  IN_FLIGHT,
  PIECE_LAST,
  PIECE_NONE,
  type SharedPage,
  SIGINT,
  SIGNAL,
} from "./shared_cells.ts";

/** The doors of the guest. Everything that it can do outside Python goes through here. */
export class Doors {
  #page: SharedPage;
  #question = 0;
  /** Called when the event loop is free after `checkSoon`. */
  onCheck: () => void = () => undefined;
  /** Locks a descriptor of a file of the host, or says why not; never waits. */
  readonly lock: Lock;
  /** What the host fetches. */
  readonly fetches: Fetches;
  /** Images of packages. */
  readonly packages: PackageImages;
  readonly #bash: BashDoor;

  constructor(
    page: SharedPage,
    lock: Lock,
    fetches: Fetches,
    packages: PackageImages,
    bash: BashDoor,
  ) {
    this.#page = page;
    this.#bash = bash;
    this.lock = lock;
    this.fetches = fetches;
    this.packages = packages;
  }

  /** Sends a message; blocks while too much is under way. Body and buffers are given away. */
  post(
    msg_type: string,
    id: string,
    parent_id: string,
    body: Uint8Array<ArrayBuffer>,
    buffers: readonly Uint8Array<ArrayBuffer>[],
    question = 0,
  ): void {
    const parts = [body, ...buffers];
    this.#waitForCredit(parts.reduce((sum, part) => sum + part.length, FRAME_COST_BYTES));
    postMessage(
      { msg_type, id, parent_id, body, buffers: [...buffers], question },
      parts.map((part) => part.buffer),
    );
  }

  /** Sends a question and blocks until its answer is here; undefined if interrupted. */
  ask(
    msg_type: string,
    id: string,
    parent_id: string,
    body: Uint8Array<ArrayBuffer>,
    buffers: readonly Uint8Array<ArrayBuffer>[] = [],
  ): Uint8Array<ArrayBuffer> | undefined {
    const { cells, piece } = this.#page;
    const number = this.#question = this.#question % 0xffffff + 1;
    Atomics.store(cells, ANSWER, PIECE_NONE);
    this.post(msg_type, id, parent_id, body, buffers, number);
    const pieces: Uint8Array[] = [];
    while (true) {
      const seen = Atomics.load(cells, FUTEX);
      // First, since an interrupt also has the host answer what it ends.
      if (Atomics.load(cells, SIGNAL) === SIGINT) return undefined;
      const state = Atomics.load(cells, ANSWER);
      if (state >>> 2 === number && (state & 3) !== PIECE_NONE) {
        pieces.push(piece.slice(0, Atomics.load(cells, ANSWER_LENGTH)));
        Atomics.store(cells, ANSWER, PIECE_NONE);
        Atomics.notify(cells, ANSWER);
        if ((state & 3) === PIECE_LAST) return concat(pieces);
        continue;
      }
      Atomics.wait(cells, FUTEX, seen);
    }
  }

  /** Blocks for up to `milliseconds`; false if an interrupt came before or during it. */
  sleep(milliseconds: number): boolean {
    const { cells } = this.#page;
    const end = performance.now() + milliseconds;
    while (true) {
      const seen = Atomics.load(cells, FUTEX);
      if (Atomics.load(cells, SIGNAL) === SIGINT) return false;
      const rest = end - performance.now();
      if (rest <= 0) return true;
      Atomics.wait(cells, FUTEX, seen, rest);
    }
  }

  /** Takes a waiting interrupt away; true if there was one. */
  takeInterrupt(): boolean {
    return Atomics.exchange(this.#page.cells, SIGNAL, 0) === SIGINT;
  }

  /** Whether an interrupt waits. */
  interruptWaits(): boolean {
    return Atomics.load(this.#page.cells, SIGNAL) === SIGINT;
  }

  /** Puts an interrupt back that came at a bad moment. */
  rearmInterrupt(): void {
    Atomics.store(this.#page.cells, SIGNAL, SIGINT);
  }

  /** Has the guest look again, when the event loop is free, whether an interrupt waits. */
  checkSoon(): void {
    setTimeout(() => this.onCheck());
  }

  /** Tells the broker whether output waits in a buffer of the guest. */
  setDirty(dirty: boolean): void {
    Atomics.store(this.#page.cells, DIRTY, dirty ? 1 : 0);
  }

  /** The shell; it is loaded now if it has not been used. */
  bash(): Promise<Bash> {
    return this.#bash.load(this);
  }

  #waitForCredit(cost: number): void {
    const { cells } = this.#page;
    while (true) {
      const inFlight = Atomics.load(cells, IN_FLIGHT);
      if (inFlight <= 0 || inFlight + cost <= CREDIT_BYTES) break;
      Atomics.wait(cells, IN_FLIGHT, inFlight);
    }
    Atomics.add(cells, IN_FLIGHT, cost);
  }
}

/** What Pyodide polls for signals: reading takes the signal away in one step, so none is lost. */
export function interruptBuffer(page: SharedPage): object {
  return Object.defineProperty({}, 0, {
    get: () => Atomics.exchange(page.cells, SIGNAL, 0),
    // Pyodide writes 0 after it has read a signal; the read above did that already.
    set: () => undefined,
  });
}
