/** Writes frames to the pipe in order, many in one system call. */

import { concat } from "./framing.ts";

/** Chunks up to this size are joined before they are written. */
const JOIN_BYTES = 256 * 1024;

interface Entry {
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
  readonly written: (() => void) | undefined;
}

/** A queue in front of one end of a connection. */
export class PipeWriter {
  #sink: { write(data: Uint8Array): Promise<number> };
  #failed: (error: unknown) => void;
  #queue: Entry[] = [];
  #busy = false;
  #broken = false;

  /** `failed` is called once, when the connection does not take any more. */
  constructor(
    sink: { write(data: Uint8Array): Promise<number> },
    failed: (error: unknown) => void,
  ) {
    this.#sink = sink;
    this.#failed = failed;
  }

  /** Queues the chunks of one frame; `written` is called when the system has taken them. */
  write(chunks: readonly Uint8Array[], written?: () => void): void {
    if (this.#broken) return;
    const size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#queue.push({ chunks, size, written });
    if (!this.#busy) void this.#pump();
  }

  async #pump(): Promise<void> {
    this.#busy = true;
    try {
      while (this.#queue.length > 0) {
        const entries = this.#takeBatch();
        const size = entries.reduce((sum, entry) => sum + entry.size, 0);
        const chunks = entries.flatMap((entry) => entry.chunks);
        if (size <= JOIN_BYTES) await this.#writeAll(concat(chunks, size));
        else for (const chunk of chunks) await this.#writeAll(chunk);
        for (const entry of entries) entry.written?.();
      }
    } catch (error) {
      this.#broken = true;
      this.#queue = [];
      this.#failed(error);
    } finally {
      this.#busy = false;
    }
  }

  #takeBatch(): Entry[] {
    let size = 0;
    let count = 0;
    for (const entry of this.#queue) {
      if (count > 0 && size + entry.size > JOIN_BYTES) break;
      size += entry.size;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #writeAll(data: Uint8Array): Promise<void> {
    for (let offset = 0; offset < data.length;) {
      offset += await this.#sink.write(data.subarray(offset));
    }
  }
}
