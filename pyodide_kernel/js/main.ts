/**
 * The Deno process: connects to the host's socket and runs the broker until the pipe ends. Its
 * arguments are the path of the socket and, if it is to be proved that the operating system confines
 * the process, that of a file which it must not be able to open.
 */

import { Broker } from "./broker.ts";
import { FrameDecoder } from "./framing.ts";
import { PipeWriter } from "./pipe_writer.ts";
import { checkSystemFence } from "./self_check.ts";
import type { WorkerPermissions } from "./worker_messages.ts";

const READ_BYTES = 256 * 1024;

function startWorker(permissions: WorkerPermissions): Worker {
  const options = { type: "module", name: "guest", deno: { permissions } } as const;
  return new Worker(new URL("./worker.ts", import.meta.url), options);
}

async function run(path: string): Promise<void> {
  const connection = await Deno.connect({ transport: "unix", path });
  const writer = new PipeWriter(connection, () => Deno.exit(0));
  const broker = new Broker(writer, startWorker);
  const frames = new FrameDecoder();
  broker.hello();
  while (true) {
    const data = new Uint8Array(READ_BYTES);
    const count = await connection.read(data);
    if (count === null) return;
    for (const frame of frames.receive(data.subarray(0, count))) broker.handle(frame);
  }
}

function proveConfinement(path: string): void {
  try {
    checkSystemFence(path);
  } catch (error) {
    // One line, without a stack: the host tells the user the last one.
    Deno.stderr.writeSync(new TextEncoder().encode(`${error}\n`));
    Deno.exit(1);
  }
}

const [path = "", fence] = Deno.args;
if (fence !== undefined) proveConfinement(fence);
await run(path);
Deno.exit(0);
