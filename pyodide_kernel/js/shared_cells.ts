/**
 * The one page of memory that broker and worker share, every index of it.
 *
 * The worker can write all of it at any time, so the broker takes from it no length, no index and
 * nothing that it trusts: only states that it compares with constants.
 */

import { STDIN_CHUNK_BYTES } from "./messages.ts";

/** Signal number that Pyodide polls (0: none), set by the broker and taken by the worker. */
export const SIGNAL = 0;
/** Counts up with every event that a blocked worker has to look at; the worker waits on it. */
export const FUTEX = 1;
/** Number of the question that the piece of an answer belongs to, times 4, plus a PIECE state. */
export const ANSWER = 2;
/** Bytes of the piece of an answer. */
export const ANSWER_LENGTH = 3;
/** Bytes that the worker has under way to the host. */
export const IN_FLIGHT = 4;
/** 1 while output waits in a buffer of the guest. */
export const DIRTY = 5;

/** No piece is there, or the worker has taken it. */
export const PIECE_NONE = 0;
/** A piece is there and more will follow. */
export const PIECE_MORE = 1;
/** The last piece is there. */
export const PIECE_LAST = 2;

export const SIGINT = 2;
/** Asks the guest to send its buffered output. */
export const SIGUSR1 = 10;

const CELLS = 16;

/** The shared page: 32-bit cells, then room for one piece of an answer. */
export interface SharedPage {
  readonly cells: Int32Array<SharedArrayBuffer>;
  readonly piece: Uint8Array<SharedArrayBuffer>;
}

/** Views on the page in `buffer`, which is newly made if it isn't given. */
export function sharedPage(
  buffer: SharedArrayBuffer = new SharedArrayBuffer(CELLS * 4 + STDIN_CHUNK_BYTES),
): SharedPage {
  return {
    cells: new Int32Array(buffer, 0, CELLS),
    piece: new Uint8Array(buffer, CELLS * 4, STDIN_CHUNK_BYTES),
  };
}

/** Wakes whoever waits on the futex cell. */
export function wake(page: SharedPage): void {
  Atomics.add(page.cells, FUTEX, 1);
  Atomics.notify(page.cells, FUTEX);
}
