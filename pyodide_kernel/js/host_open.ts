/** Opens files of the host with the meaning that POSIX gives to the flags of `open`. */

import {
  type FsStream,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  O_TRUNC,
  O_WRONLY,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "./emscripten.ts";
import { ERRNO } from "./errno.ts";
import { placeToCreate } from "./host_lookup.ts";
import { type HostNode, type HostSystem, modeOf } from "./host_node.ts";
import { OpenFile } from "./host_streams.ts";

const O_ACCMODE = O_WRONLY | O_RDWR;

/**
 * Opens `node`. The host creates, empties and opens in one step; what it must not be asked (a FIFO
 * would block for ever, a device is none of the guest's) is looked at first.
 */
export function openHostFile(
  system: HostSystem,
  named: HostNode,
  flags: number,
  mode: number,
  endsWithSlash: boolean,
): FsStream {
  const exclusive = (flags & O_CREAT) !== 0 && (flags & O_EXCL) !== 0;
  const info = (exclusive ? named.withoutFollowing() : named).find();
  const creates = info === undefined && (flags & O_CREAT) !== 0 && !exclusive;
  const node = creates ? placeToCreate(system, named) : named;
  const type = info && modeOf(info) & S_IFMT;
  const errno = refusal(type, flags, node.place.writable, endsWithSlash);
  if (errno !== 0) system.fail(errno);

  const withFile = type !== S_IFDIR && (flags & O_PATH) === 0;
  const hostFile = withFile ? openFile(node.host, flags, mode) : undefined;
  const known = info ? modeOf(info) : S_IFREG | mode & 0o777;
  try {
    return system.fs.createStream({
      node: node.opened(known),
      path: node.guest,
      flags: flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_NOFOLLOW),
      seekable: true,
      position: 0,
      stream_ops: node.stream_ops,
      ungotten: [],
      error: false,
      hostFile,
    });
  } catch (error) {
    hostFile?.close();
    throw error;
  }
}

/** The reason not to open what has this type (undefined: nothing is there), or 0. */
export function refusal(
  type: number | undefined,
  flags: number,
  writable: boolean,
  endsWithSlash: boolean,
): number {
  const writes = (flags & (O_ACCMODE | O_TRUNC)) !== 0;
  const creates = (flags & O_CREAT) !== 0;
  if (creates && (flags & O_DIRECTORY) !== 0) return ERRNO.EINVAL;
  if (creates && endsWithSlash && type !== S_IFDIR) return ERRNO.EISDIR;
  if (type === undefined) {
    if (!creates) return ERRNO.ENOENT;
    return writable ? 0 : ERRNO.EROFS;
  }
  if (creates && (flags & O_EXCL) !== 0) return ERRNO.EEXIST;
  if (type === S_IFDIR) return writes || creates ? ERRNO.EISDIR : 0;
  if ((flags & O_DIRECTORY) !== 0 || endsWithSlash) return ERRNO.ENOTDIR;
  if ((flags & O_PATH) !== 0) return 0;
  if (type === S_IFLNK) return ERRNO.ELOOP;
  if (type !== S_IFREG) return ERRNO.EACCES;
  return writes && !writable ? ERRNO.EROFS : 0;
}

function openFile(path: string, flags: number, mode: number): OpenFile {
  const appends = (flags & O_APPEND) !== 0;
  const empties = (flags & O_TRUNC) !== 0;
  const creates = (flags & O_CREAT) !== 0;
  const access = flags & O_ACCMODE;
  if (access === 0) {
    // Deno neither creates nor empties what it opens for reading only.
    if (creates) makeFile(path, mode, (flags & O_EXCL) !== 0);
    if (empties) emptyFile(path);
    return new OpenFile(Deno.openSync(path), false);
  }
  const file = Deno.openSync(path, {
    read: access === O_RDWR,
    write: !appends,
    append: appends,
    truncate: empties && !appends,
    create: creates && (flags & O_EXCL) === 0,
    createNew: creates && (flags & O_EXCL) !== 0,
    mode: mode & 0o777,
  });
  if (empties && appends) file.truncateSync();
  return new OpenFile(file, appends);
}

/** Makes an empty file. Throws what Deno throws, also if `fresh` and there is one. */
export function makeFile(path: string, mode: number, fresh: boolean): void {
  Deno.openSync(path, { write: true, create: !fresh, createNew: fresh, mode: mode & 0o777 })
    .close();
}

function emptyFile(path: string): void {
  Deno.openSync(path, { write: true, truncate: true }).close();
}
