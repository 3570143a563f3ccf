/**
 * A Web Lock that the worker holds for life. Its release is the one sure sign of the worker's end:
 * `self.close()` and fatal errors fire no event.
 */

interface LockManager {
  request(name: string, callback: () => unknown): Promise<unknown>;
}

const NAME = "worker-alive";

// Deno has the Web Locks API; its library of types has not.
const locks = (navigator as unknown as { readonly locks: LockManager }).locks;

/** Takes the lock and never gives it back; resolves when it is held. */
export function holdLifeLock(): Promise<void> {
  return new Promise((resolve) => {
    void locks.request(NAME, () => {
      resolve();
      return new Promise(() => undefined);
    });
  });
}

/** Resolves when the lock is free, that is when its holder has ended. */
export async function lifeLockReleased(): Promise<void> {
  await locks.request(NAME, () => undefined);
}
