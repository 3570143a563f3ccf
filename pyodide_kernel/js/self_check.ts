/**
 * Proof that both fences stand, before any code of the user runs: the worker tries what its
 * permissions must refuse, the broker what the operating system must.
 */

/** What must be refused, by the name under which it is reported. */
export type Attempts = Readonly<Record<string, () => unknown>>;

/** The root can't be mounted, and nothing is reachable without a network. */
const ATTEMPTS: Attempts = {
  "reading /": () => [...Deno.readDirSync("/")],
  "connecting to 127.0.0.1": () => Deno.connect({ hostname: "127.0.0.1", port: 1 }),
};

/** Throws if anything happens in an attempt but Deno's refusal for want of a permission. */
export async function checkFence(attempts: Attempts = ATTEMPTS): Promise<void> {
  for (const [name, attempt] of Object.entries(attempts)) {
    if (!await isRefused(attempt)) {
      throw new Error(`The self-check failed: ${name} was not refused, so no code is run`);
    }
  }
}

/** Throws unless the operating system refuses to open a file that Deno would let us open. */
export function checkSystemFence(path: string): void {
  try {
    Deno.openSync(path).close();
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return;
    throw new Error(`The self-check failed: ${error}`);
  }
  throw new Error(`The self-check failed: Landlock let ${path} be read, so no code is run`);
}

async function isRefused(attempt: () => unknown): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotCapable;
  }
}
