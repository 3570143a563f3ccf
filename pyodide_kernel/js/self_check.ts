/**
 * Proof that the fence stands, before any code of the user runs: the worker tries what its
 * permissions must refuse.
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

async function isRefused(attempt: () => unknown): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotCapable;
  }
}
