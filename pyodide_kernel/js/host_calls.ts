/** Emscripten's functions on paths, for paths on the host. */

import {
  type Attributes,
  type FileSystem,
  type FsNode,
  type FsStream,
  type Lookup,
  type LookupOptions,
  O_NOFOLLOW,
  S_IFDIR,
  S_IFMT,
  S_IFREG,
} from "./emscripten.ts";
import { ERRNO } from "./errno.ts";
import { Walker } from "./host_lookup.ts";
import { guarded, HostNode, type HostSystem, kindsIn } from "./host_node.ts";
import { makeFile, openHostFile } from "./host_open.ts";

/** What Emscripten's callers in JavaScript may say instead of flags. */
// deno-fmt-ignore
const FLAGS_OF_MODE: Readonly<Record<string, number>> = {
  "r": 0, "r+": 2, "w": 0o1101, "w+": 0o1102, "a": 0o2101, "a+": 0o2102,
};

const PERMISSIONS = [["r", 0o444], ["w", 0o222], ["x", 0o111]] as const;

const REPLACED = [
  "lookupPath",
  "stat",
  "open",
  "mknod",
  "rename",
  "unlink",
  "rmdir",
  "symlink",
  "readdir",
  "getPath",
  "nodePermissions",
  "doTruncate",
] as const;

type PathCalls = Pick<FileSystem, typeof REPLACED[number]>;

/** Replaces functions of `FS`; for paths that don't lie in a mount the former ones do the work. */
export function replacePathCalls(system: HostSystem): void {
  const { fs } = system;
  const calls: PathCalls = new HostCalls(system, { ...fs });
  const bound = Object.fromEntries(REPLACED.map((name) => [name, calls[name].bind(calls)]));
  Object.assign(fs, guarded(system.attempt, bound));
}

class HostCalls implements PathCalls {
  readonly #system: HostSystem;
  readonly #former: PathCalls;
  readonly #walker: Walker;

  constructor(system: HostSystem, former: PathCalls) {
    this.#system = system;
    this.#former = former;
    this.#walker = new Walker(system);
  }

  lookupPath(path: string, options: LookupOptions = {}): Lookup {
    const { follow = false, follow_mount = true, parent = false } = options;
    const { node, ...found } = this.#walker.find(path, { follow, enter: follow_mount, parent });
    const there = node instanceof HostNode ? node.exists() : node !== undefined;
    if (there && node) {
      if (!parent) this.#checkSlash(node, path, node.mode);
      return { ...found, node };
    }
    return options.noent_okay === true ? found : this.#system.fail(ERRNO.ENOENT);
  }

  stat(path: string, dontFollow = false): Attributes {
    const last = { follow: !dontFollow, enter: true, parent: false };
    const node = this.#walker.find(path, last).node ?? this.#system.fail(ERRNO.ENOENT);
    const getattr = node.node_ops.getattr ?? this.#system.fail(ERRNO.EPERM);
    const attributes = getattr(node);
    this.#checkSlash(node, path, attributes.mode);
    return attributes;
  }

  open(path: string | FsNode, flags: number | string, mode = 0o666): FsStream {
    const bits = typeof flags === "string" ? FLAGS_OF_MODE[flags] : flags;
    if (typeof path === "string" && path !== "" && bits !== undefined) {
      const node = this.#hostNode(path, (bits & O_NOFOLLOW) === 0);
      if (node) return openHostFile(this.#system, node, bits, mode, path.endsWith("/"));
    }
    return this.#former.open(path, flags, mode);
  }

  mknod(path: string, mode: number, device: number): FsNode {
    const node = this.#hostNode(path);
    if (node === undefined) return this.#former.mknod(path, mode, device);
    this.#checkFree(node);
    const type = mode & S_IFMT;
    const permissions = mode & 0o777;
    if (type === S_IFDIR) Deno.mkdirSync(node.host, { mode: permissions });
    else if (type === S_IFREG || type === 0) makeFile(node.host, permissions, true);
    else this.#system.fail(ERRNO.EPERM);
    return node;
  }

  rename(from: string, to: string): void {
    const source = this.#hostNode(from);
    const target = this.#hostNode(to);
    if (!source && !target) return this.#former.rename(from, to);
    if (source?.isMountRoot) this.#system.fail(ERRNO.EBUSY);
    if (!source || source.place !== target?.place) return this.#system.fail(ERRNO.EXDEV);
    if (!/[^./]$/.test(from) || !/[^./]$/.test(to) || !source.place.writable) {
      this.#checkRename(source, from, target, to);
    }
    this.#checkRemovable(source);
    this.#checkRemovable(target);
    Deno.renameSync(source.host, target.host);
  }

  unlink(path: string): void {
    const node = this.#hostNode(path);
    if (node === undefined) return this.#former.unlink(path);
    if (this.#isFolder(node, path)) this.#system.fail(ERRNO.EISDIR);
    this.#remove(node);
  }

  rmdir(path: string): void {
    const node = this.#hostNode(path);
    if (node === undefined) return this.#former.rmdir(path);
    if (endsInDots(path)) this.#system.fail(ERRNO.EINVAL);
    if (!this.#isFolder(node, path)) this.#system.fail(ERRNO.ENOTDIR);
    this.#remove(node);
  }

  symlink(target: string, path: string): FsNode {
    const node = this.#hostNode(path);
    if (node === undefined) return this.#former.symlink(target, path);
    this.#checkFree(node);
    if (node.exists()) this.#system.fail(ERRNO.EEXIST);
    this.#checkParent(node);
    // Deno makes links only for programs that may read and write everything.
    return this.#system.fail(ERRNO.EPERM);
  }

  readdir(path: string): string[] {
    const node = this.#hostNode(path, true);
    if (node === undefined) return this.#former.readdir(path);
    const entries = kindsIn(node.host);
    // What comes next is a lookup of each name in the open folder that is listed, for its kind.
    for (const stream of this.#system.fs.streams) {
      if (stream?.path !== path || stream.getdents) continue;
      if (stream.node instanceof HostNode) stream.node.entries = entries;
    }
    return [".", "..", ...entries.keys()];
  }

  getPath(node: FsNode): string {
    return node instanceof HostNode ? node.guest : this.#former.getPath(node);
  }

  /** What `access` asks; the host decides anew about each call. */
  nodePermissions(node: FsNode, permissions: string): number {
    if (!(node instanceof HostNode)) return this.#former.nodePermissions(node, permissions);
    if (permissions.includes("w") && !node.place.writable) return ERRNO.EROFS;
    const wanted = PERMISSIONS.filter(([letter]) => permissions.includes(letter));
    return wanted.every(([, bits]) => (node.mode & bits) !== 0) ? 0 : ERRNO.EACCES;
  }

  doTruncate(stream: FsStream | null, node: FsNode, size: number): void {
    if (!(node instanceof HostNode)) return this.#former.doTruncate(stream, node, size);
    const type = node.mode & S_IFMT;
    if (type === S_IFDIR) this.#system.fail(ERRNO.EISDIR);
    if (type !== S_IFREG) this.#system.fail(ERRNO.EINVAL);
    if (stream) node.stream_ops.setattr?.(stream, { size });
    else node.node_ops.setattr?.(node, { size });
  }

  /** The node if the path lies in a mount; it need not exist. */
  #hostNode(path: string, follow = false): HostNode | undefined {
    const { node } = this.#walker.find(path, { follow, enter: true, parent: false });
    return node instanceof HostNode ? node : undefined;
  }

  /** Refuses to make something where something is, or where nothing may be made. */
  #checkFree(node: HostNode): void {
    if (node.isMountRoot) this.#system.fail(ERRNO.EEXIST);
    if (node.place.writable) return;
    this.#system.fail(node.exists() ? ERRNO.EEXIST : ERRNO.EROFS);
  }

  /** A slash at the end of a path asks for a folder. */
  #checkSlash(node: FsNode, path: string, mode: number): void {
    const asked = path.endsWith("/") && node instanceof HostNode;
    if (asked && (mode & S_IFMT) !== S_IFDIR) this.#system.fail(ERRNO.ENOTDIR);
  }

  #checkParent(node: HostNode): void {
    if ((node.parent.mode & S_IFMT) !== S_IFDIR) this.#system.fail(ERRNO.ENOTDIR);
  }

  /** What the host can't say: it never sees dots and slashes at the end, nor what may not change. */
  #checkRename(source: HostNode, from: string, target: HostNode, to: string): void {
    this.#checkParent(source);
    this.#checkParent(target);
    if (endsInDots(from) || endsInDots(to)) this.#system.fail(ERRNO.EBUSY);
    const isFolder = this.#isFolder(source, from);
    if (to.endsWith("/") && !isFolder) this.#system.fail(ERRNO.ENOTDIR);
  }

  /** Whether what is there, to be moved or removed, is a folder. */
  #isFolder(node: HostNode, path: string): boolean {
    const isFolder = (node.withoutFollowing().mode & S_IFMT) === S_IFDIR;
    if (path.endsWith("/") && !isFolder) this.#system.fail(ERRNO.ENOTDIR);
    return isFolder;
  }

  #checkRemovable(node: HostNode): void {
    if (node.isMountRoot) this.#system.fail(ERRNO.EBUSY);
    if (!node.place.writable) this.#system.fail(ERRNO.EROFS);
  }

  #remove(node: HostNode): void {
    this.#checkRemovable(node);
    Deno.removeSync(node.host);
  }
}

function endsInDots(path: string): boolean {
  return /(^|\/)\.\.?\/*$/.test(path);
}
