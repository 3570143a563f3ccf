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

/** Where the contents of an image come from. */
export type Blob = Pick<Deno.FsFile, "readSync" | "seekSync">;

/** An image that is opened. */
export interface Image {
  readonly index: ImageIndex;
  readonly blob: Blob;
}

/**
 * Mounts an image at `mountPoint`, which must exist, in the file system of `module`. It is opened when
 * somebody looks into it.
 */
export function mountImage(module: Emscripten, mountPoint: string, open: () => Image): void {
  const tree = new ImageTree(open);
  module.FS.mount(imageFileSystem(module, tree), {}, mountPoint);
}

/** An image of texts, by path. */
export function imageOfTexts(texts: Readonly<Record<string, string>>): Image {
  const encoder = new TextEncoder();
  const files: Record<string, readonly [number, number]> = {};
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const [path, text] of Object.entries(texts)) {
    const part = encoder.encode(text);
    files[path] = [end, part.length];
    parts.push(part);
    end += part.length;
  }
  const bytes = new Uint8Array(end);
  let place = 0;
  for (const part of parts) {
    bytes.set(part, place);
    place += part.length;
  }
  return { index: { files }, blob: new MemoryBlob(bytes) };
}

class MemoryBlob implements Blob {
  #bytes: Uint8Array;
  #place = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  seekSync(offset: number | bigint): number {
    this.#place = Number(offset);
    return this.#place;
  }

  readSync(target: Uint8Array): number {
    const part = this.#bytes.subarray(this.#place, this.#place + target.length);
    target.set(part);
    this.#place += part.length;
    return part.length;
  }
}

/** A read-only folder in which several images lie over one another. */
export interface ImageFolder {
  /** Adds the files of an image; what is there already by the same path stays. */
  add(index: ImageIndex, blob: Blob): void;
  /** Takes the files of an image away again, and folders that are empty then. */
  remove(index: ImageIndex, blob: Blob): void;
}

/** Mounts an empty folder for images at `mountPoint`, which must exist. */
export function mountImages(module: Emscripten, mountPoint: string): ImageFolder {
  const { FS } = module;
  const tree = new ImageTree();
  FS.mount(imageFileSystem(module, tree), {}, mountPoint);
  return {
    add: (index, blob): void => tree.add(index, blob),
    remove(index, blob): void {
      for (const { node } of tree.remove(index, blob)) {
        if (node !== undefined) FS.hashRemoveNode(node);
      }
    },
  };
}

/** A file or folder of images; Emscripten's node once somebody has asked for it. */
interface Entry {
  readonly contents?: {
    readonly blob: Blob;
    readonly offset: number;
    readonly size: number;
  };
  readonly children?: Map<string, Entry>;
  node?: ImageNode;
}

/** What lies where in images over one another. */
class ImageTree {
  readonly root: Entry = { children: new Map() };
  #open: (() => Image) | undefined;

  constructor(open?: () => Image) {
    this.#open = open;
  }

  /** Opens the image that the tree was made for, if that has not been done. */
  settle(): void {
    if (this.#open === undefined) return;
    const { index, blob } = this.#open();
    this.#open = undefined;
    this.add(index, blob);
  }

  add(index: ImageIndex, blob: Blob): void {
    const folders = new Map<string, Map<string, Entry> | undefined>();
    for (const path in index.files) {
      const [parent, name] = split(path);
      if (!folders.has(parent)) folders.set(parent, this.#folder(parent, true));
      const children = folders.get(parent);
      const place = index.files[path];
      if (children === undefined || place === undefined || children.has(name)) continue;
      children.set(name, { contents: { blob, offset: place[0], size: place[1] } });
    }
  }

  /** Gives what was taken away. */
  remove(index: ImageIndex, blob: Blob): Entry[] {
    const removed: Entry[] = [];
    const take = (path: string, goes: (entry: Entry) => boolean): boolean => {
      const [parent, name] = split(path);
      const children = this.#folder(parent);
      const entry = children?.get(name);
      if (entry === undefined || !goes(entry)) return false;
      children?.delete(name);
      removed.push(entry);
      return true;
    };
    for (const path in index.files) {
      if (!take(path, (entry) => entry.contents?.blob === blob)) continue;
      let [parent] = split(path);
      while (parent !== "" && take(parent, (entry) => entry.children?.size === 0)) {
        [parent] = split(parent);
      }
    }
    return removed;
  }

  /** What is in a folder; undefined if there is none, or a file in its place. */
  #folder(path: string, make = false): Map<string, Entry> | undefined {
    let children = this.root.children;
    for (const name of path === "" ? [] : path.split("/")) {
      if (make && children?.has(name) === false) children.set(name, { children: new Map() });
      children = children?.get(name)?.children;
    }
    return children;
  }
}

function split(path: string): [parent: string, name: string] {
  const slash = path.lastIndexOf("/");
  return [path.slice(0, Math.max(0, slash)), path.slice(slash + 1)];
}

function imageFileSystem(module: Emscripten, tree: ImageTree): Emscripten {
  const FS = module.FS;
  const settle = (): void => {
    try {
      tree.settle();
    } catch {
      throw new FS.ErrnoError(EACCES);
    }
  };
  const refuse = (): never => {
    throw new FS.ErrnoError(EROFS);
  };

  const nodeOperations = {
    getattr(node: ImageNode): Record<string, unknown> {
      const size = node.entry.contents?.size ?? 0;
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
      settle();
      const entry = parent.entry.children.get(name);
      if (entry === undefined) throw new FS.ErrnoError(ENOENT);
      return createNode(parent, name, entry);
    },
    readdir(node: ImageNode): string[] {
      settle();
      return [".", "..", ...node.entry.children.keys()];
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
      const { blob, offset: begin, size } = stream.node.entry.contents;
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
      else if (whence === 2) position += stream.node.entry.contents.size;
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

  function createNode(parent: ImageNode | null, name: string, entry: Entry): ImageNode {
    const mode = entry.contents === undefined ? S_IFDIR | 0o555 : S_IFREG | 0o444;
    const node = FS.createNode(parent, name, mode, 0);
    node.node_ops = nodeOperations;
    node.stream_ops = streamOperations;
    node.entry = entry;
    entry.node = node;
    return node;
  }

  return { mount: (): ImageNode => createNode(null, "/", tree.root) };
}
