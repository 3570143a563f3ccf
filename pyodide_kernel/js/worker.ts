/**
 * The worker: boots Pyodide, gives the guest its few doors to the outside, and hands it the frames
 * of the broker, one request at a time.
 */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />

import { nameRefusals } from "./errno.ts";
import { type ImageIndex, mountImage } from "./files.ts";
import { concat, type Frame, isRecord } from "./framing.ts";
import { mountHostFolders } from "./host_files.ts";
import type { Lock } from "./host_locks.ts";
import { holdLifeLock } from "./life_lock.ts";
import { CREDIT_BYTES, FRAME_COST_BYTES, REPLIES } from "./messages.ts";
import { PackageImages } from "./package_images.ts";
import { checkFence } from "./self_check.ts";
import {
  ANSWER,
  ANSWER_LENGTH,
  DIRTY,
  FUTEX,
  IN_FLIGHT,
  PIECE_LAST,
  PIECE_NONE,
  type SharedPage,
  sharedPage,
  SIGINT,
  SIGNAL,
} from "./shared_cells.ts";
import type { WorkerInit } from "./worker_messages.ts";

// Pyodide's interface reaches into Emscripten's, which has no types: the one cast of this program.
// deno-lint-ignore no-explicit-any
type Pyodide = any;

/** Functions of the guest that the worker calls. */
interface Guest {
  handle: { callPromising(...values: unknown[]): Promise<void> };
  interrupt(): void;
  flush(): void;
  write(fd: number, bytes: Uint8Array): void;
}

const SITE_PACKAGES = "/lib/python3.14/site-packages";
const GUEST_FOLDER = "/lib/guest";

/** The doors of the guest. Everything that it can do outside Python goes through here. */
class Doors {
  #page: SharedPage;
  #question = 0;
  /** Called when the event loop is free after `checkSoon`. */
  onCheck: () => void = () => undefined;
  /** Locks a descriptor of a file of the host, or says why not; never waits. */
  readonly lock: Lock;
  /** Images of packages. */
  readonly packages: PackageImages;

  constructor(page: SharedPage, lock: Lock, packages: PackageImages) {
    this.#page = page;
    this.lock = lock;
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
  ): Uint8Array | undefined {
    const { cells, piece } = this.#page;
    const number = this.#question = this.#question % 0xffffff + 1;
    Atomics.store(cells, ANSWER, PIECE_NONE);
    this.post(msg_type, id, parent_id, body, [], number);
    const pieces: Uint8Array[] = [];
    while (true) {
      const seen = Atomics.load(cells, FUTEX);
      const state = Atomics.load(cells, ANSWER);
      if (state >>> 2 === number && (state & 3) !== PIECE_NONE) {
        pieces.push(piece.slice(0, Atomics.load(cells, ANSWER_LENGTH)));
        Atomics.store(cells, ANSWER, PIECE_NONE);
        Atomics.notify(cells, ANSWER);
        if ((state & 3) === PIECE_LAST) return concat(pieces);
        continue;
      }
      if (Atomics.load(cells, SIGNAL) === SIGINT) return undefined;
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
function interruptBuffer(page: SharedPage): object {
  return Object.defineProperty({}, 0, {
    get: () => Atomics.exchange(page.cells, SIGNAL, 0),
    // Pyodide writes 0 after it has read a signal; the read above did that already.
    set: () => undefined,
  });
}

async function boot(init: WorkerInit, page: SharedPage): Promise<Guest> {
  const { folder } = init.runtime;
  nameRefusals();
  const { loadPyodide } = await import(`file://${folder}/pyodide/pyodide.mjs`);
  const pyodide: Pyodide = await loadPyodide({
    indexURL: `${folder}/pyodide/`,
    stdLibURL: `${folder}/python_stdlib.zip`,
    env: { ...init.guest.env },
    checkAPIVersion: false,
  });
  pyodide._api.on_fatal = (error: unknown): void => postMessage({ fatal: String(error) });
  mount(pyodide, folder, init.guest.sources);
  const lock = mountHostFolders(pyodide._module, init.guest.mounts ?? []);
  pyodide.setStdin({ stdin: () => null, isatty: false });
  const entry = pyodide.pyimport("pyodide_kernel.guest.entry");
  const doors = new Doors(page, lock, new PackageImages(pyodide._module));
  const started = entry.start(doors, pyodide.toPy(init.guest));
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

function mount(
  pyodide: Pyodide,
  folder: string,
  sources: Readonly<Record<string, string>>,
): void {
  const index: ImageIndex = JSON.parse(Deno.readTextFileSync(`${folder}/site-packages.json`));
  pyodide.FS.mkdirTree(SITE_PACKAGES);
  mountImage(pyodide._module, SITE_PACKAGES, index, Deno.openSync(`${folder}/site-packages.bin`));
  for (const [path, text] of Object.entries(sources)) {
    const target = `${GUEST_FOLDER}/${path}`;
    pyodide.FS.mkdirTree(target.slice(0, target.lastIndexOf("/")));
    pyodide.FS.writeFile(target, text);
  }
  const sys = pyodide.pyimport("sys");
  const path = sys.path;
  path.append(GUEST_FOLDER);
  path.destroy();
  sys.destroy();
}

function serve(guest: Guest): void {
  let last: Promise<void> = Promise.resolve();
  onmessage = (event: MessageEvent<unknown>): void => {
    const data = event.data;
    if (!isRecord(data)) return;
    if (data.interrupt === true) return guest.interrupt();
    const frame = data as unknown as Frame;
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

/** The guest answers its own errors; what reaches JavaScript is the end of the interpreter. */
function report(error: unknown): void {
  postMessage({ fatal: String(error) });
}

onmessage = async (event: MessageEvent<WorkerInit>): Promise<void> => {
  await holdLifeLock();
  postMessage({ alive: true });
  self.addEventListener("unhandledrejection", (rejection) => {
    rejection.preventDefault();
  });
  try {
    await checkFence();
    serve(await boot(event.data, sharedPage(event.data.page)));
  } catch (error) {
    report(error);
  }
};
