/** What can be asked and set about a path on the host. */

import {
  type Attributes,
  type FsNode,
  type NodeOperations,
  S_IFLNK,
  S_IFMT,
} from "./emscripten.ts";
import { ERRNO } from "./errno.ts";
import { nodeAt } from "./host_lookup.ts";
import { attributesOf, guarded, HostNode, type HostSystem } from "./host_node.ts";
import type { SetAttributes } from "./host_streams.ts";

/** The operations on nodes; those on names are in `host_calls.ts`. */
export function nodeOperations(system: HostSystem, setAttributes: SetAttributes): NodeOperations {
  const hostOf = (node: FsNode): HostNode => node as HostNode;
  return guarded<NodeOperations>(system.attempt, {
    getattr: (node): Attributes => attributesOf(hostOf(node).info()),
    setattr: (node, changes): void => setAttributes(hostOf(node), changes),

    /** Only asked while an open folder is listed; a name that is gone by then is passed over. */
    lookup(parent, name): FsNode {
      const { place, names, entries } = hostOf(parent);
      const node = new HostNode(system, place, [...names, name], false, entries.get(name));
      return entries.has(name) || node.exists() ? node : system.fail(ERRNO.EINVAL);
    },

    /** A link to a place in a mount is shown as the guest sees that place. */
    readlink(node): string {
      const target = Deno.readLinkSync(hostOf(node).host);
      const isPlain = !/(^|\/)\.\.?(\/|$)/.test(target);
      return (isPlain ? nodeAt(system, target)?.guest : undefined) ?? target;
    },

    // Deno has no call for it, and numbers that are made up would do harm.
    statfs: (): never => system.fail(ERRNO.ENOSYS),
  });
}

/** Makes what `chmod`, `truncate` and `utime` do. */
export function attributeSetter(system: HostSystem): SetAttributes {
  /**
   * What a change is about. Landlock guards what is opened, not who changes modes and times, so a
   * link that leads out of the mounts is refused here.
   */
  function target(node: HostNode): HostNode {
    if (!node.place.writable) system.fail(ERRNO.EROFS);
    const real = nodeAt(system, Deno.realPathSync(node.host)) ?? system.fail(ERRNO.EACCES);
    return real.place.writable ? real : system.fail(ERRNO.EROFS);
  }

  return (node, { mode, size, atime, mtime, dontFollow = false }) => {
    if (dontFollow && (node.mode & S_IFMT) === S_IFLNK) system.fail(ERRNO.EOPNOTSUPP);
    const { host } = target(node);
    if (mode !== undefined) Deno.chmodSync(host, mode & 0o7777);
    if (size !== undefined) Deno.truncateSync(host, size);
    if (typeof atime === "number" || typeof mtime === "number") setTimes(host, atime, mtime);
  };
}

/** Deno sets times in whole milliseconds; it also shows no more of them. */
function setTimes(path: string, atime?: number | null, mtime?: number | null): void {
  const both = typeof atime === "number" && typeof mtime === "number";
  const info = both ? undefined : Deno.statSync(path);
  const date = (time: number | null | undefined, present: Date | null | undefined): Date =>
    typeof time === "number" ? new Date(Math.floor(time)) : present ?? new Date();
  Deno.utimeSync(path, date(atime, info?.atime), date(mtime, info?.mtime));
}
