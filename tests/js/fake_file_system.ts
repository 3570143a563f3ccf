/** As much of Emscripten's file system as the shell uses, in memory, with one read-only folder. */

import {
  type Attributes,
  type FileSystem,
  type FsNode,
  type FsStream,
  O_APPEND,
  O_CREAT,
  O_TRUNC,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../pyodide_kernel/js/emscripten.ts";
import { ERRNO } from "../../pyodide_kernel/js/errno.ts";

class ErrnoError {
  readonly name = "ErrnoError";
  constructor(readonly errno: number) {}
}

interface Node {
  mode: number;
  readonly ino: number;
  bytes: Uint8Array<ArrayBuffer>;
  mtime: Date;
  target: string;
}

interface Stream {
  readonly node: Node;
  position: number;
}

/** Nothing below this folder can be changed. */
export const READ_ONLY = "/ro";

const NONE = new Uint8Array(0);

export class FakeFileSystem {
  readonly ErrnoError = ErrnoError;
  readonly nodes = new Map<string, Node>();
  /** Renaming into another top folder is refused, as between two disks. */
  opened = 0;
  #inodes = 0;

  constructor(files: Readonly<Record<string, string>> = {}) {
    this.#add("/", S_IFDIR | 0o755);
    for (const [path, text] of Object.entries(files)) {
      const names = path.split("/");
      for (let count = 2; count < names.length; count++) {
        const folder = names.slice(0, count).join("/");
        if (!this.nodes.has(folder)) this.#add(folder, S_IFDIR | 0o755);
      }
      this.#add(path, S_IFREG | 0o644).bytes = new TextEncoder().encode(text);
    }
  }

  /** As Emscripten's own, which has more. */
  get fs(): FileSystem {
    return this as unknown as FileSystem;
  }

  text(path: string): string {
    return new TextDecoder().decode(this.#follow(path).bytes);
  }

  #add(path: string, mode: number): Node {
    const node = { mode, ino: ++this.#inodes, bytes: NONE, mtime: new Date(0), target: "" };
    this.nodes.set(path, node);
    return node;
  }

  #fail(errno: number): never {
    throw new ErrnoError(errno);
  }

  #get(path: string): Node {
    return this.nodes.get(path) ?? this.#fail(ERRNO.ENOENT);
  }

  #resolve(path: string): string {
    for (let links = 0; links < 8; links++) {
      const node = this.nodes.get(path);
      if (node === undefined || (node.mode & S_IFMT) !== S_IFLNK) return path;
      path = node.target;
    }
    this.#fail(ERRNO.ELOOP);
  }

  #follow(path: string): Node {
    return this.#get(this.#resolve(path));
  }

  #change(path: string): void {
    if (path.startsWith(`${READ_ONLY}/`)) this.#fail(ERRNO.EROFS);
    const parent = this.#get(path.slice(0, path.lastIndexOf("/")) || "/");
    if ((parent.mode & S_IFMT) !== S_IFDIR) this.#fail(ERRNO.ENOTDIR);
  }

  #attributes({ mode, ino, bytes, mtime }: Node): Attributes {
    const rest = { dev: 1, nlink: 1, uid: 0, gid: 0, rdev: 0, blksize: 4096, blocks: 0 };
    return { ...rest, mode, ino, size: bytes.length, atime: mtime, mtime, ctime: mtime };
  }

  stat(path: string): Attributes {
    return this.#attributes(this.#follow(path));
  }

  lstat(path: string): Attributes {
    return this.#attributes(this.#get(path));
  }

  lookupPath(path: string): { path: string } {
    return { path: this.#resolve(path) };
  }

  readFile(path: string): Uint8Array<ArrayBuffer> {
    return this.#follow(path).bytes;
  }

  writeFile(path: string, bytes: Uint8Array, { flags }: { flags: number }): void {
    const stream = this.open(path, flags) as unknown as Stream;
    this.write(stream as unknown as FsStream, bytes, 0, bytes.length);
    this.close();
  }

  open(path: string, flags: number, mode = 0o666): FsStream {
    const real = this.#resolve(path);
    if ((flags & O_CREAT) !== 0) this.#change(real);
    const node = this.nodes.get(real) ??
      ((flags & O_CREAT) !== 0 ? this.#add(real, S_IFREG | mode) : this.#fail(ERRNO.ENOENT));
    if ((node.mode & S_IFMT) === S_IFDIR) this.#fail(ERRNO.EISDIR);
    if ((flags & O_TRUNC) !== 0) node.bytes = NONE;
    this.opened++;
    const position = (flags & O_APPEND) !== 0 ? node.bytes.length : 0;
    return { node, position } as unknown as FsStream;
  }

  close(): void {
    this.opened--;
  }

  read(stream: FsStream, memory: Uint8Array, offset: number, length: number): number {
    const open = stream as unknown as Stream;
    const part = open.node.bytes.subarray(open.position, open.position + length);
    memory.set(part, offset);
    open.position += part.length;
    return part.length;
  }

  write(stream: FsStream, memory: Uint8Array, offset: number, length: number): number {
    const open = stream as unknown as Stream;
    const bytes = new Uint8Array(Math.max(open.node.bytes.length, open.position + length));
    bytes.set(open.node.bytes);
    bytes.set(memory.subarray(offset, offset + length), open.position);
    open.node.bytes = bytes;
    open.position += length;
    return length;
  }

  readdir(path: string): string[] {
    const folder = this.#resolve(path);
    const head = folder === "/" ? "/" : `${folder}/`;
    const below = [...this.nodes.keys()].filter((name) => name.startsWith(head) && name !== head);
    const names = below.map((name) => name.slice(head.length)).filter((name) =>
      !name.includes("/")
    );
    return [".", "..", ...names.reverse()];
  }

  mkdir(path: string, mode = 0o777): FsNode {
    this.#change(path);
    if (this.nodes.has(path)) this.#fail(ERRNO.EEXIST);
    this.#add(path, S_IFDIR | mode);
    return {} as FsNode;
  }

  unlink(path: string): void {
    this.#get(path);
    this.#change(path);
    this.nodes.delete(path);
  }

  rmdir(path: string): void {
    this.#change(path);
    if (this.readdir(path).length > 2) this.#fail(ERRNO.ENOTEMPTY);
    this.nodes.delete(path);
  }

  rename(from: string, to: string): void {
    const node = this.#get(from);
    this.#change(from);
    this.#change(to);
    if (from.split("/")[1] !== to.split("/")[1]) this.#fail(ERRNO.EXDEV);
    this.nodes.delete(from);
    this.nodes.set(to, node);
  }

  symlink(target: string, path: string): FsNode {
    this.#change(path);
    this.#add(path, S_IFLNK | 0o777).target = target;
    return {} as FsNode;
  }

  readlink(path: string): string {
    const node = this.#get(path);
    return (node.mode & S_IFMT) === S_IFLNK ? node.target : this.#fail(ERRNO.EINVAL);
  }

  chmod(path: string, mode: number): void {
    this.#change(path);
    const node = this.#follow(path);
    node.mode = (node.mode & S_IFMT) | mode;
  }

  utime(path: string, _atime: number, mtime: number): void {
    this.#follow(path).mtime = new Date(mtime);
  }
}
