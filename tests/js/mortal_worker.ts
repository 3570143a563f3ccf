/** A real worker without Pyodide, that ends in the way that a request's id names. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import { isRecord } from "../../pyodide_kernel/js/framing.ts";
import { holdLifeLock } from "../../pyodide_kernel/js/life_lock.ts";

function die(way: unknown): void {
  switch (way) {
    case "closes":
      return self.close();
    case "throws":
      throw new Error("thrown in the worker");
    case "rejects":
      void Promise.reject(new Error("rejected in the worker"));
      return;
    case "posts odd values": {
      const body = new Uint8Array(new SharedArrayBuffer(8));
      const cycle: Record<string, unknown> = {};
      cycle.fatal = cycle;
      const envelope = { msg_type: "stream", id: "", parent_id: "", body, buffers: [] };
      for (const value of [envelope, cycle, 1n, null, new Map()]) postMessage(value);
      return self.close();
    }
  }
}

onmessage = async (event: MessageEvent<unknown>): Promise<void> => {
  if (isRecord(event.data) && "page" in event.data) {
    await holdLifeLock();
    postMessage({ alive: true });
  } else if (isRecord(event.data)) {
    const { id } = event.data;
    setTimeout(() => die(id));
  }
};
