/** `/mnt` itself: a folder that holds the mounts and takes nothing else. */

import { type Attributes, type FileSystem, type FsNode, S_IFDIR, SEEK_CUR } from "./emscripten.ts";
import { ERRNO } from "./errno.ts";

/** Makes the folder; `names` are in it, `lookup` gives their nodes. */
export function mountsFolder(
  fs: FileSystem,
  names: readonly string[],
  lookup: (name: string) => FsNode,
): FsNode {
  const refuse = (): never => {
    throw new fs.ErrnoError(ERRNO.EROFS);
  };
  const now = new Date();
  const root = fs.createNode(null, "/", S_IFDIR | 0o555, 0);
  root.node_ops = {
    getattr(node): Attributes {
      const fixed = { dev: 1, nlink: 1, uid: 0, gid: 0, rdev: 0, size: 4096, blocks: 0 };
      const times = { atime: now, mtime: now, ctime: now };
      return { ...fixed, ...times, ino: node.id, mode: node.mode, blksize: 4096 };
    },
    lookup: (_parent, name): FsNode => lookup(name),
    readdir: (): string[] => [".", "..", ...names],
    setattr: refuse,
    mknod: refuse,
    rename: refuse,
    unlink: refuse,
    rmdir: refuse,
    symlink: refuse,
  };
  root.stream_ops = {
    llseek(stream, offset, whence): number {
      const position = whence === SEEK_CUR ? stream.position + offset : offset;
      if (position < 0) throw new fs.ErrnoError(ERRNO.EINVAL);
      return position;
    },
  };
  return root;
}
