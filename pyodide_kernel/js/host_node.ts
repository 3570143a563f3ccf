/** A place in a mounted folder of the host: nothing but a path, asked for anew at each call. */

import {
  type Attributes,
  type FileSystem,
  type FsNode,
  type NodeOperations,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
  type StreamOperations,
} from "./emscripten.ts";
import { ERRNO, errorName } from "./errno.ts";

/** A folder or file of the host that the guest sees. */
export interface HostMount {
  /** Absolute path on the host, without links. */
  readonly host: string;
  /** `/mnt/NAME` */
  readonly guest: string;
  readonly writable: boolean;
  /** One file instead of a folder. */
  readonly file: boolean;
}

/** Runs something that asks the host; whatever it throws comes out as an ErrnoError. */
export type Attempt = <Result>(action: () => Result) => Result;

/** Makes the one function through which everything goes that asks the host. */
export function attemptWith(fs: Pick<FileSystem, "ErrnoError">): Attempt {
  return (action) => {
    try {
      return action();
    } catch (error) {
      if (error instanceof fs.ErrnoError) throw error;
      throw new fs.ErrnoError(ERRNO[errorName(error)]);
    }
  };
}

/** The same operations, each inside `attempt`. */
export function guarded<Operations extends object>(
  attempt: Attempt,
  operations: Operations,
): Operations {
  const guard = ([name, operation]: [string, (...values: unknown[]) => unknown]) => [
    name,
    (...values: unknown[]): unknown => attempt(() => operation(...values)),
  ];
  return Object.fromEntries(Object.entries(operations).map(guard));
}

/** What all nodes of one file system have in common. */
export interface HostSystem {
  readonly fs: FileSystem;
  readonly attempt: Attempt;
  /** Throws an ErrnoError. */
  fail(errno: number): never;
  /** Notes that some bytes are about to be written. Throws EDQUOT if they are too many. */
  countWrite(bytes: number): void;
  readonly nodeOperations: NodeOperations;
  readonly streamOperations: StreamOperations;
  readonly mounts: readonly HostMount[];
  /** The folder that holds the mounts. */
  readonly root: FsNode;
}

/** Whether a directory entry is a file, a folder, a link or something else (a device, say). */
export type Kind = typeof S_IFREG | typeof S_IFDIR | typeof S_IFLNK | typeof S_IFCHR;

/** A node that stands for a path on the host. */
export class HostNode implements FsNode {
  readonly id: number;
  readonly rdev = 0;
  readonly mounted = null;
  readonly node_ops: NodeOperations;
  readonly stream_ops: StreamOperations;
  readonly #system: HostSystem;
  /** The mount it lies in. */
  readonly place: HostMount;
  /** Names below the mount's root; none for the root. */
  readonly names: readonly string[];
  /** Whether a link in the last place stands for what it leads to. */
  readonly followed: boolean;
  /** For an open folder: what was in it when it was listed. */
  entries: ReadonlyMap<string, Kind> = new Map();
  #mode: number | undefined;

  constructor(
    system: HostSystem,
    place: HostMount,
    names: readonly string[],
    followed: boolean,
    mode?: number,
  ) {
    this.#system = system;
    this.place = place;
    this.names = names;
    this.followed = followed;
    this.#mode = mode;
    this.id = system.fs.nextInode++;
    this.node_ops = system.nodeOperations;
    this.stream_ops = system.streamOperations;
  }

  /** Path on the host. */
  get host(): string {
    return joined(this.place.host, this.names);
  }

  /** Path in the guest. */
  get guest(): string {
    return joined(this.place.guest, this.names);
  }

  get isMountRoot(): boolean {
    return this.names.length === 0;
  }

  get name(): string {
    return this.names.at(-1) ?? this.place.guest.slice(this.place.guest.lastIndexOf("/") + 1);
  }

  get parent(): FsNode {
    if (this.isMountRoot) return this.#system.root;
    return new HostNode(this.#system, this.place, this.names.slice(0, -1), true);
  }

  get mount(): { readonly opts: unknown } {
    return this.#system.root.mount;
  }

  /** Type and permission bits, asked for once. Throws an ErrnoError if there is nothing. */
  get mode(): number {
    return this.#mode ??= this.#system.attempt(() => modeOf(this.info()));
  }

  /** Whether there is anything. Throws an ErrnoError if that can't be told. */
  exists(): boolean {
    const info = this.find();
    if (info !== undefined) this.#mode = modeOf(info);
    return info !== undefined;
  }

  /** What the host says of it now; undefined if there is nothing. Throws an ErrnoError. */
  find(): Deno.FileInfo | undefined {
    return this.#system.attempt(() => {
      try {
        return this.info();
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return undefined;
        throw error;
      }
    });
  }

  /** The same place, where a link stands for itself. */
  withoutFollowing(): HostNode {
    return new HostNode(this.#system, this.place, this.names, false);
  }

  /** The same place, for a descriptor: its type stays, whatever comes to lie there. */
  opened(mode: number): HostNode {
    return new HostNode(this.#system, this.place, this.names, this.followed, mode);
  }

  get isFolder(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }

  get isDevice(): boolean {
    return (this.mode & S_IFMT) === S_IFCHR;
  }

  /** What the host says of it now; throws what Deno throws. */
  info(): Deno.FileInfo {
    return this.followed ? Deno.statSync(this.host) : Deno.lstatSync(this.host);
  }
}

function joined(root: string, names: readonly string[]): string {
  if (names.length === 0) return root;
  return `${root === "/" ? "" : root}/${names.join("/")}`;
}

/** Type and permission bits; Windows has no such bits, so there they are made up. */
export function modeOf(info: Deno.FileInfo): number {
  if (info.mode !== null && (info.mode & S_IFMT) !== 0) return info.mode;
  return typeOf(info) | (info.isDirectory ? 0o777 : 0o666);
}

function typeOf(info: Deno.FileInfo): number {
  if (info.isDirectory) return S_IFDIR;
  if (info.isSymlink) return S_IFLNK;
  if (info.isFifo) return S_IFIFO;
  if (info.isSocket) return S_IFSOCK;
  if (info.isBlockDevice) return S_IFBLK;
  return info.isCharDevice ? S_IFCHR : S_IFREG;
}

/** What is in a folder of the host. Throws what Deno throws. */
export function kindsIn(folder: string): ReadonlyMap<string, Kind> {
  const entries = new Map<string, Kind>();
  for (const { name, isFile, isDirectory, isSymlink } of Deno.readDirSync(folder)) {
    const kind = isFile ? S_IFREG : isDirectory ? S_IFDIR : isSymlink ? S_IFLNK : S_IFCHR;
    entries.set(name, kind);
  }
  return entries;
}

/** Emscripten's form of what Deno says of a file. */
export function attributesOf(info: Deno.FileInfo): Attributes {
  const mtime = time(info.mtime);
  return {
    dev: info.dev,
    ino: info.ino ?? 0,
    mode: modeOf(info),
    nlink: info.nlink ?? 1,
    uid: info.uid ?? 0,
    gid: info.gid ?? 0,
    rdev: info.rdev ?? 0,
    size: info.size,
    atime: time(info.atime ?? mtime),
    mtime,
    ctime: time(info.ctime ?? mtime),
    blksize: info.blksize ?? 4096,
    blocks: info.blocks ?? Math.ceil(info.size / 512),
  };
}

/** Emscripten splits a time before 1970 wrongly, unless it is a whole second. */
function time(date: Date | null): Date {
  if (date === null) return new Date(0);
  const milliseconds = date.getTime();
  return milliseconds < 0 ? new Date(Math.floor(milliseconds / 1000) * 1000) : date;
}
