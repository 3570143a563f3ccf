/** The parts of Emscripten's file system that this program uses; upstream publishes no types. */

/** `open` flags, with the numbers of musl for WebAssembly. */
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_APPEND = 0o2000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_PATH = 0o10000000;

export const S_IFMT = 0o170000;
export const S_IFIFO = 0o010000;
export const S_IFCHR = 0o020000;
export const S_IFDIR = 0o040000;
export const S_IFBLK = 0o060000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFSOCK = 0o140000;

export const SEEK_SET = 0;
export const SEEK_CUR = 1;
export const SEEK_END = 2;

/** What `stat` gives. */
export interface Attributes {
  readonly dev: number;
  readonly ino: number;
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly size: number;
  readonly atime: Date;
  readonly mtime: Date;
  readonly ctime: Date;
  readonly blksize: number;
  readonly blocks: number;
}

/** Attributes to change; times in milliseconds, null for one that stays. */
export interface Changes {
  readonly mode?: number;
  readonly size?: number;
  readonly atime?: number | null;
  readonly mtime?: number | null;
  /** Change the link, not what it leads to. */
  readonly dontFollow?: boolean;
}

export interface NodeOperations {
  getattr?(node: FsNode): Attributes;
  setattr?(node: FsNode, changes: Changes): void;
  lookup?(parent: FsNode, name: string): FsNode;
  readdir?(node: FsNode): string[];
  readlink?(node: FsNode): string;
  statfs?(root: unknown): unknown;
  mknod?(parent: FsNode, name: string, mode: number, device: number): FsNode;
  rename?(node: FsNode, parent: FsNode, name: string): void;
  unlink?(parent: FsNode, name: string): void;
  rmdir?(parent: FsNode, name: string): void;
  symlink?(parent: FsNode, name: string, target: string): FsNode;
}

/** Bytes of a caller: usually all of WebAssembly's memory, as signed bytes. */
export type Memory = Int8Array | Uint8Array;

export interface StreamOperations {
  getattr?(stream: FsStream): Attributes;
  setattr?(stream: FsStream, changes: Changes): void;
  close?(stream: FsStream): void;
  dup?(stream: FsStream): void;
  read?(
    stream: FsStream,
    memory: Memory,
    offset: number,
    length: number,
    position: number,
  ): number;
  write?(
    stream: FsStream,
    memory: Memory,
    offset: number,
    length: number,
    position: number,
  ): number;
  llseek?(stream: FsStream, offset: number, whence: number): number;
  mmap?(stream: FsStream, length: number, position: number): { ptr: number; allocated: boolean };
  msync?(
    stream: FsStream,
    memory: Uint8Array,
    offset: number,
    length: number,
    flags: number,
  ): number;
  fsync?(stream: FsStream): number;
}

/** A file or folder while Emscripten looks at it. */
export interface FsNode {
  readonly id: number;
  readonly name: string;
  readonly mode: number;
  readonly parent: FsNode;
  readonly mount: { readonly opts: unknown };
  /** What is mounted here. */
  readonly mounted?: { readonly root: FsNode } | null;
  node_ops: NodeOperations;
  stream_ops: StreamOperations;
}

/** An open descriptor; those that `dup` makes share `shared`. */
export interface FsStream {
  readonly fd: number;
  readonly node: FsNode;
  readonly path: string;
  readonly flags: number;
  readonly position: number;
  /** Names in an open folder, once somebody has asked for them. */
  readonly getdents?: readonly string[] | null;
}

export interface LookupOptions {
  /** Follow a link in the last place. */
  readonly follow?: boolean;
  /** Enter what is mounted in the last place; the default. */
  readonly follow_mount?: boolean;
  /** Look up the folder that holds the last name. */
  readonly parent?: boolean;
  /** Give a path without a node if only the last name is missing. */
  readonly noent_okay?: boolean;
}

export interface Lookup {
  readonly path: string;
  readonly node?: FsNode;
}

export interface FileSystem {
  readonly ErrnoError: new (errno: number) => { readonly errno: number };
  readonly root: FsNode;
  readonly streams: readonly (FsStream | null | undefined)[];
  nextInode: number;
  cwd(): string;
  mount(type: { mount(): FsNode }, options: unknown, path: string): FsNode;
  mkdirTree(path: string): void;
  createNode(parent: FsNode | null, name: string, mode: number, device: number): FsNode;
  createStream(stream: Readonly<Record<string, unknown>>): FsStream;
  lookupNode(parent: FsNode, name: string): FsNode;
  // What follows is replaced while folders of the host are mounted.
  lookupPath(path: string, options?: LookupOptions): Lookup;
  stat(path: string, dontFollow?: boolean): Attributes;
  open(path: string | FsNode, flags: number | string, mode?: number): FsStream;
  mknod(path: string, mode: number, device: number): FsNode;
  rename(from: string, to: string): void;
  unlink(path: string): void;
  rmdir(path: string): void;
  symlink(target: string, path: string): FsNode;
  readdir(path: string): string[];
  lstat(path: string): Attributes;
  readlink(path: string): string;
  mkdir(path: string, mode?: number): FsNode;
  chmod(path: string, mode: number): void;
  utime(path: string, atime: number, mtime: number): void;
  readFile(path: string, options: { encoding: "binary" }): Uint8Array<ArrayBuffer>;
  writeFile(path: string, data: Uint8Array, options: { flags: number; mode?: number }): void;
  read(stream: FsStream, memory: Memory, offset: number, length: number, position?: number): number;
  write(
    stream: FsStream,
    memory: Memory,
    offset: number,
    length: number,
    position?: number,
  ): number;
  close(stream: FsStream): void;
  getPath(node: FsNode): string;
  nodePermissions(node: FsNode, permissions: string): number;
  doTruncate(stream: FsStream | null, node: FsNode, size: number): void;
}

/** The module that Pyodide's glue code makes. */
export interface EmscriptenModule {
  readonly FS: FileSystem;
  readonly SYSCALLS: { getStr(pointer: number): string };
  readonly HEAPU8: Uint8Array;
  _emscripten_builtin_memalign(alignment: number, size: number): number;
  _emscripten_builtin_free(pointer: number): void;
}
