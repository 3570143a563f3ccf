/**
 * A read-only file system in one image: an index and a blob.
 *
 * The index names each file with its offset and size in the blob. Emscripten hears of a file when
 * somebody asks for it; metadata is answered from memory and contents are read with Deno's
 * synchronous seek and read when they are wanted.
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
  module.FS.mount(imageFileSystem(module, index, blob), {}, mountPoint);
}

function imageFileSystem(module: Emscripten, index: ImageIndex, blob: Deno.FsFile): Emscripten {
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
    lookup(parent: ImageNode, name: string): ImageNode {
      if (!parent.children.has(name)) throw new FS.ErrnoError(ENOENT);
      const path = parent.imagePath;
      return createNode(parent, name, path === "" ? name : `${path}/${name}`);
    },
    readdir(node: ImageNode): string[] {
      return [".", "..", ...node.children];
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
      const { offset: begin, size } = stream.node.contents;
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

  const folders = foldersOf(index);

  function createNode(parent: ImageNode | null, name: string, path: string): ImageNode {
    const contents = index.files[path];
    const mode = contents === undefined ? S_IFDIR | 0o555 : S_IFREG | 0o444;
    const node = FS.createNode(parent, name, mode, 0);
    node.node_ops = nodeOperations;
    node.stream_ops = streamOperations;
    if (contents !== undefined) node.contents = { offset: contents[0], size: contents[1] };
    else node.children = folders.get(path);
    node.imagePath = path;
    return node;
  }

  return { mount: (): ImageNode => createNode(null, "/", "") };
}

/** Names in each folder of an image, by its path. */
function foldersOf(index: ImageIndex): Map<string, Set<string>> {
  const folders = new Map([["", new Set<string>()]]);
  const add = (path: string): void => {
    const slash = path.lastIndexOf("/");
    const parent = slash < 0 ? "" : path.slice(0, slash);
    let names = folders.get(parent);
    if (names === undefined) {
      names = new Set();
      folders.set(parent, names);
      add(parent);
    }
    names.add(path.slice(slash + 1));
  };
  for (const path in index.files) add(path);
  return folders;
}
