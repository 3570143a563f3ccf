/**
 * A read-only file system in one image: an index and a blob.
 *
 * The index names each file with its offset and size in the blob; metadata is answered from memory
 * and file contents are read with Deno's synchronous seek and read when somebody wants them.
 */

/** `{"files": {"a/b.py": [offset, size]}}` */
export interface ImageIndex {
  readonly files: Readonly<Record<string, readonly [offset: number, size: number]>>;
}

// Emscripten's file-system interface has no published types; these are the parts used here.
// deno-lint-ignore no-explicit-any
type Emscripten = any;

interface ImageNode {
  // deno-lint-ignore no-explicit-any
  [member: string]: any;
}

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const EACCES = 2;
const ENOENT = 44;
const EINVAL = 28;
const EROFS = 69;

/** Mounts the image at `mountPoint`, which must exist, in the file system of `module`. */
export function mountImage(
  module: Emscripten,
  mountPoint: string,
  index: ImageIndex,
  blob: Deno.FsFile,
): void {
  mountImages(module, mountPoint).add(index, blob);
}

/** A read-only folder in which several images lie over one another. */
export interface ImageFolder {
  /** Adds the files of an image; what is there already by the same path stays. */
  add(index: ImageIndex, blob: Deno.FsFile): void;
  /** Takes the files of an image away again, and folders that are empty then. */
  remove(index: ImageIndex): void;
}

/** Mounts an empty folder for images at `mountPoint`, which must exist. */
export function mountImages(module: Emscripten, mountPoint: string): ImageFolder {
  const { fileSystem, folder } = imageFileSystem(module);
  module.FS.mount(fileSystem, {}, mountPoint);
  return folder;
}

function imageFileSystem(
  module: Emscripten,
): { fileSystem: Emscripten; folder: ImageFolder } {
  const FS = module.FS;
  const refuse = (): never => {
    throw new FS.ErrnoError(EROFS);
  };

  const nodeOperations = {
    getattr(node: ImageNode): Record<string, unknown> {
      const size = node.contents?.size ?? 0;
      const time = new Date(0);
      return {
        dev: 1,
        ino: node.id,
        mode: node.mode,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        size,
        atime: time,
        mtime: time,
        ctime: time,
        blksize: 4096,
        blocks: Math.ceil(size / 512),
      };
    },
    lookup(): never {
      throw new FS.ErrnoError(ENOENT);
    },
    readdir(node: ImageNode): string[] {
      return [".", "..", ...node.children.keys()];
    },
    setattr: refuse,
    mknod: refuse,
    rename: refuse,
    unlink: refuse,
    rmdir: refuse,
    symlink: refuse,
  };

  const streamOperations = {
    open(stream: ImageNode): void {
      if ((stream.flags & 3) !== 0) throw new FS.ErrnoError(EROFS);
    },
    read(
      stream: ImageNode,
      target: Int8Array,
      offset: number,
      length: number,
      position: number,
    ): number {
      const { blob, offset: begin, size } = stream.node.contents;
      const wanted = Math.min(length, size - position);
      if (wanted <= 0) return 0;
      const bytes = new Uint8Array(target.buffer, target.byteOffset + offset, wanted);
      try {
        blob.seekSync(begin + position, Deno.SeekMode.Start);
        return blob.readSync(bytes) ?? 0;
      } catch {
        throw new FS.ErrnoError(EACCES);
      }
    },
    llseek(stream: ImageNode, offset: number, whence: number): number {
      let position = offset;
      if (whence === 1) position += stream.position;
      else if (whence === 2) position += stream.node.contents.size;
      if (position < 0) throw new FS.ErrnoError(EINVAL);
      return position;
    },
    mmap(
      stream: ImageNode,
      length: number,
      position: number,
      _protection: number,
      _flags: number,
    ): { ptr: number; allocated: boolean } {
      const ptr = module._malloc(length);
      module.HEAPU8.fill(0, ptr, ptr + length);
      streamOperations.read(stream, module.HEAP8, ptr, length, position);
      return { ptr, allocated: true };
    },
    msync: (): number => 0,
  };

  function createNode(parent: ImageNode | null, name: string, mode: number): ImageNode {
    const node = FS.createNode(parent, name, mode, 0);
    node.node_ops = nodeOperations;
    node.stream_ops = streamOperations;
    return node;
  }

  function createDirectory(parent: ImageNode | null, name: string): ImageNode {
    const node = createNode(parent, name, S_IFDIR | 0o555);
    node.children = new Map<string, ImageNode>();
    return node;
  }

  const directories = new Map<string, ImageNode>();
  const directory = (path: string): ImageNode => {
    const known = directories.get(path);
    if (known !== undefined) return known;
    const [parent, name] = placeOf(path);
    const made = createDirectory(parent, name);
    parent.children.set(name, made);
    directories.set(path, made);
    return made;
  };
  const placeOf = (path: string): [parent: ImageNode, name: string] => {
    const slash = path.lastIndexOf("/");
    return [directory(slash < 0 ? "" : path.slice(0, slash)), path.slice(slash + 1)];
  };
  const forget = (parent: ImageNode, name: string): void => {
    const node = parent.children.get(name);
    if (node === undefined) return;
    parent.children.delete(name);
    FS.hashRemoveNode(node);
  };

  const folder: ImageFolder = {
    add(index, blob): void {
      for (const [path, [offset, size]] of Object.entries(index.files)) {
        const [parent, name] = placeOf(path);
        if (parent.children.has(name)) continue;
        const node = createNode(parent, name, S_IFREG | 0o444);
        node.contents = { blob, offset, size };
        parent.children.set(name, node);
      }
    },
    remove(index): void {
      const parents = new Set<string>();
      for (const path of Object.keys(index.files)) {
        const [parent, name] = placeOf(path);
        forget(parent, name);
        parents.add(path.slice(0, Math.max(0, path.lastIndexOf("/"))));
      }
      for (let path of [...parents].sort((a, b) => b.length - a.length)) {
        while (path !== "" && directories.get(path)?.children.size === 0) {
          directories.delete(path);
          const [parent, name] = placeOf(path);
          forget(parent, name);
          path = path.slice(0, Math.max(0, path.lastIndexOf("/")));
        }
      }
    },
  };
  const fileSystem = {
    mount(): ImageNode {
      const root = createDirectory(null, "/");
      directories.set("", root);
      return root;
    },
  };
  return { fileSystem, folder };
}
