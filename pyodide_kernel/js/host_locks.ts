/** Locks on files of the host that other programs see, as `flock` makes them. */

import { ERRNO } from "./errno.ts";
import { HostNode, type HostSystem } from "./host_node.ts";
import type { HostStream } from "./host_streams.ts";

export const LOCK_SH = 1;
export const LOCK_EX = 2;
export const LOCK_UN = 8;

/** Takes or releases the lock of a descriptor: 0, EAGAIN if another holds it, or why it can't. */
export type Lock = (descriptor: number, operation: number) => number;

/** Makes the function that locks; it never waits. */
export function locker(system: HostSystem): Lock {
  function lock(descriptor: number, operation: number): number {
    const stream = system.fs.streams[descriptor] as HostStream | null | undefined;
    if (!stream) return ERRNO.EBADF;
    // Nobody else can open a file of the guest's own.
    if (!(stream.node instanceof HostNode)) return 0;
    const file = stream.hostFile?.file;
    if (file === undefined) return ERRNO.EOPNOTSUPP;
    switch (operation) {
      case LOCK_UN:
        file.unlockSync();
        return 0;
      case LOCK_SH:
      case LOCK_EX:
        return file.tryLockSync(operation === LOCK_EX) ? 0 : ERRNO.EAGAIN;
      default:
        return ERRNO.EINVAL;
    }
  }

  return (descriptor, operation) => {
    try {
      return system.attempt(() => lock(descriptor, operation));
    } catch (error) {
      if (error instanceof system.fs.ErrnoError) return error.errno;
      throw error;
    }
  };
}
