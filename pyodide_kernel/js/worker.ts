/**
 * The worker: boots Pyodide or restores it, gives the guest its few doors to the outside, and hands
 * it the frames of the broker, one request at a time.
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import { BashDoor } from "./bash_door.ts";
import { Doors, interruptBuffer } from "./doors.ts";
import { nameRefusals } from "./errno.ts";
import { Fetches } from "./fetches.ts";
import { decodeContent, encodeBody, type Frame, isRecord } from "./framing.ts";
import { mountHostFolders } from "./host_files.ts";
import { holdLifeLock } from "./life_lock.ts";
import { mark, marks } from "./marks.ts";
import { limitMemoryFiles } from "./memory_files.ts";
import { REPLIES } from "./messages.ts";
import { PackageImages } from "./package_images.ts";
import { addGuestPath, load, type Pyodide, type Runtime, snapshotOf } from "./pyodide.ts";
import { checkFence } from "./self_check.ts";
import { type SharedPage, sharedPage } from "./shared_cells.ts";
import { SnapshotReader } from "./snapshot.ts";
import { makeFetch } from "./web_fetch.ts";
import type { WorkerInit } from "./worker_messages.ts";

/** Functions of the guest that the worker calls. */
interface Guest {
  handle: { callPromising(...values: unknown[]): Promise<void> };
  interrupt(): void;
  flush(): void;
  write(fd: number, bytes: Uint8Array): void;
}

/** An interpreter whose guest is prepared. */
interface Interpreter {
  readonly pyodide: Pyodide;
  /** Why the snapshot was not used, if there was one. */
  readonly problem?: string;
}

const ENTRY = "pyodide_kernel.guest.entry";

async function boot(
  init: WorkerInit,
  page: SharedPage,
  verdict: Promise<boolean>,
  fetches: Fetches,
): Promise<Guest> {
  mark("worker");
  const { pyodide, problem } = await makeInterpreter(init, verdict);
  mark("interpreter");
  pyodide._api.on_fatal = (error: unknown): void => postMessage({ fatal: String(error) });
  limitMemoryFiles(pyodide._module, init.guest.memory_limit);
  const lock = mountHostFolders(
    pyodide._module,
    init.guest.mounts ?? [],
    init.guest.write_limit,
  );
  pyodide.setStdin({ stdin: () => null, isatty: false });
  const entry = pyodide.pyimport(ENTRY);
  const bash = new BashDoor(init.runtime.folder, pyodide._module.FS);
  const doors = new Doors(page, lock, fetches, new PackageImages(pyodide._module), bash);
  fetches.connect(doors);
  const { sources: _, ...options } = init.guest;
  const started = entry.start(doors, pyodide.toPy({ ...options, problem: problem ?? "", marks }));
  entry.destroy();
  const guest: Guest = {
    handle: started.get("handle"),
    interrupt: started.get("interrupt"),
    flush: started.get("flush"),
    write: started.get("write"),
  };
  started.destroy();
  doors.onCheck = guest.interrupt;
  const output = (fd: number): unknown => ({
    write(bytes: Uint8Array): number {
      guest.write(fd, bytes.slice());
      return bytes.length;
    },
    isatty: false,
  });
  pyodide.setStdout(output(1));
  pyodide.setStderr(output(2));
  pyodide.setInterruptBuffer(interruptBuffer(page));
  return guest;
}

/** Characters of an error of the user's JavaScript. */
const MOST_SHOWN = 2000;

/** Restores the snapshot if there is one that can be; boots otherwise. */
async function makeInterpreter(
  init: WorkerInit,
  verdict: Promise<boolean>,
): Promise<Interpreter> {
  const runtime: Runtime = { folder: init.runtime.folder, ...init.guest };
  if (init.snapshot?.use !== "restore") return { pyodide: await prepare(runtime) };
  const { path } = init.snapshot;
  try {
    const restore = new SnapshotReader(path);
    return { pyodide: await load(runtime, { restore, verdict }) };
  } catch (error) {
    const problem = String(error).split("\n")[0] ?? "";
    return { pyodide: await prepare(runtime), problem };
  } finally {
    // It was the kernel's to read, not the user's.
    await Deno.permissions.revoke({ name: "read", path });
  }
}

/** Boots an interpreter and prepares its guest, as a snapshot holds it. */
async function prepare(runtime: Runtime, makeSnapshot = false): Promise<Pyodide> {
  const pyodide = await load(runtime, { makeSnapshot });
  addGuestPath(pyodide);
  const entry = pyodide.pyimport(ENTRY);
  entry.prepare();
  entry.destroy();
  return pyodide;
}

/** Makes a snapshot and sends it. */
async function makeSnapshot(init: WorkerInit, page: SharedPage): Promise<void> {
  const pyodide = await prepare({ folder: init.runtime.folder, ...init.guest }, true);
  const entry = pyodide.pyimport(ENTRY);
  entry.rehearse();
  entry.destroy();
  const lock = (): number => 0;
  const bash = new BashDoor(init.runtime.folder, pyodide._module.FS);
  const images = new PackageImages(pyodide._module);
  const doors = new Doors(page, lock, new Fetches(), images, bash);
  // Nothing of it is in the snapshot, but what Deno and V8 compile is kept beside that.
  await doors.bash();
  doors.post("snapshot", "", "", encodeBody({}), [snapshotOf(pyodide)]);
}

/** Whether the host finds the snapshot good. Nothing else is sent to an interpreter that starts. */
function hearVerdict(): Promise<boolean> {
  return new Promise((resolve) => {
    onmessage = (event: MessageEvent<unknown>): void => {
      const data = event.data;
      if (!isRecord(data) || data.msg_type !== "snapshot_verdict") return;
      resolve(decodeContent((data as unknown as Frame).body).good === true);
    };
  });
}

function serve(guest: Guest, fetches: Fetches): void {
  showUncaughtErrors(guest);
  let last: Promise<void> = Promise.resolve();
  onmessage = (event: MessageEvent<unknown>): void => {
    const data = event.data;
    if (!isRecord(data)) return;
    if (data.interrupt === true) return guest.interrupt();
    if (fetches.take(data)) return;
    const frame = data as unknown as Frame;
    // The snapshot could not even be opened, so nobody waited for the verdict on it.
    if (frame.msg_type === "snapshot_verdict") return;
    const run = (): Promise<void> =>
      guest.handle.callPromising(
        frame.msg_type,
        frame.id,
        frame.parent_id,
        frame.body,
        frame.buffers,
      );
    // Requests run one after the other; comm messages run while a request waits.
    if (frame.msg_type in REPLIES) last = last.then(run).catch(report);
    else run().catch(report);
  };
}

/**
 * Shows what nobody catches in a timer or a listener of the user's. Without this it would end the
 * interpreter, and with it all variables.
 */
function showUncaughtErrors(guest: Guest): void {
  self.addEventListener("error", (event) => {
    event.preventDefault();
    try {
      guest.write(2, new TextEncoder().encode(`${event.message.slice(0, MOST_SHOWN)}\n`));
    } catch (error) {
      report(error);
    }
  });
}

/** The guest answers its own errors; what reaches JavaScript is the end of the interpreter. */
function report(error: unknown): void {
  postMessage({ fatal: String(error) });
}

onmessage = async (event: MessageEvent<WorkerInit>): Promise<void> => {
  const init = event.data;
  const verdict = hearVerdict();
  await holdLifeLock();
  postMessage({ alive: true });
  self.addEventListener("unhandledrejection", (rejection) => {
    rejection.preventDefault();
  });
  try {
    await checkFence();
    nameRefusals();
    const fetches = new Fetches();
    // Before Python is there, whose modules keep the one that they find.
    globalThis.fetch = makeFetch(fetches, globalThis.fetch);
    const page = sharedPage(init.page);
    if (init.snapshot?.use === "make") await makeSnapshot(init, page);
    else serve(await boot(init, page, verdict, fetches), fetches);
  } catch (error) {
    report(error);
  }
};
