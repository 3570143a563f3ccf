/** Finds the node of a path, in Emscripten's own file systems and in mounted folders of the host. */

import { type FsNode, S_IFDIR, S_IFLNK, S_IFMT } from "./emscripten.ts";
import { ERRNO } from "./errno.ts";
import { HostNode, type HostSystem } from "./host_node.ts";

/** As Linux has it. */
const MOST_LINKS = 40;

/** What to do with the last name of a path. */
export interface LastName {
  /** Follow it if it is a link. */
  readonly follow: boolean;
  /** Enter what is mounted there. */
  readonly enter: boolean;
  /** Leave it away. */
  readonly parent: boolean;
}

export interface Found {
  /** Absolute, without links of the guest. */
  readonly path: string;
  /** Missing if only the last name does not exist. A node of the host need not exist. */
  readonly node: FsNode | undefined;
}

/** A path with what it was reached through, outermost first. */
interface Step {
  readonly node: FsNode;
  readonly name: string;
}

/**
 * Walks paths as Emscripten does, but leaves what lies below a mount to the host, which follows links
 * there itself. So one call of the host is enough for any depth, and a link means in the guest what
 * it means outside.
 */
export class Walker {
  readonly #system: HostSystem;

  constructor(system: HostSystem) {
    this.#system = system;
  }

  /** Throws an ErrnoError. */
  find(path: string, last: LastName): Found {
    const { fs } = this.#system;
    if (path === "") this.#system.fail(ERRNO.ENOENT);
    let rest = path.startsWith("/") ? path : `${fs.cwd()}/${path}`;
    for (let links = 0; links <= MOST_LINKS; links++) {
      const found = this.#walk(rest, last);
      if (typeof found !== "string") return found;
      rest = found;
    }
    this.#system.fail(ERRNO.ELOOP);
  }

  /** What is there, or the path to go on with after a link. */
  #walk(path: string, last: LastName): Found | string {
    const { fs } = this.#system;
    const names = path.split("/").filter((name) => name !== "");
    const count = last.parent ? names.length - 1 : names.length;
    const steps: Step[] = [];
    for (let index = 0; index < count; index++) {
      const name = names[index] ?? "";
      if (name === ".") continue;
      if (name === "..") {
        steps.pop();
        continue;
      }
      const isLast = index === names.length - 1;
      const child = this.#child(steps.at(-1)?.node ?? fs.root, name, isLast);
      if (child === undefined) return { path: pathOf([...steps, { name }]), node: undefined };
      if (child instanceof HostNode) {
        return this.#enter(child, names.slice(index + 1, count), names.slice(count), path, last);
      }
      const node = child.mounted && (!isLast || last.enter) ? child.mounted.root : child;
      if ((node.mode & S_IFMT) === S_IFLNK && (!isLast || last.follow)) {
        return this.#linked(node, pathOf(steps), names.slice(index + 1));
      }
      steps.push({ node, name });
    }
    return { path: pathOf(steps), node: steps.at(-1)?.node ?? fs.root };
  }

  #child(parent: FsNode, name: string, isLast: boolean): FsNode | undefined {
    const { fs } = this.#system;
    try {
      return fs.lookupNode(parent, name);
    } catch (error) {
      const missing = error instanceof fs.ErrnoError && error.errno === ERRNO.ENOENT;
      if (missing && isLast) return undefined;
      throw error;
    }
  }

  #linked(link: FsNode, folder: string, rest: readonly string[]): string {
    const readlink = link.node_ops.readlink;
    if (readlink === undefined) this.#system.fail(ERRNO.ENOSYS);
    const target = readlink(link);
    const start = target.startsWith("/") ? target : `${folder}/${target}`;
    return `${start}/${rest.join("/")}`;
  }

  /** Goes on below a mount, as far as `names` lead; `left` is the name that the caller keeps. */
  #enter(
    mount: HostNode,
    names: readonly string[],
    left: readonly string[],
    path: string,
    last: LastName,
  ): Found | string {
    let place = mount.place;
    let below: string[] = [];
    for (const [index, name] of names.entries()) {
      if (name === ".") continue;
      if (name !== "..") {
        below.push(name);
        continue;
      }
      const node = this.#folder(new HostNode(this.#system, place, below, false));
      ({ place } = node);
      if (node.isMountRoot) {
        return [parentOf(place.guest), ...names.slice(index + 1), ...left].join("/");
      }
      below = node.names.slice(0, -1);
    }
    const follow = last.follow || left.length > 0 || path.endsWith("/");
    const isDot = names.at(-1) === "." && left.length === 0;
    const node = new HostNode(this.#system, place, below, follow || isDot);
    if (isDot && (node.mode & S_IFMT) !== S_IFDIR) this.#system.fail(ERRNO.ENOTDIR);
    return { path: node.guest, node };
  }

  /** The same folder without a link in the last place, so that its parent is that of the path. */
  #folder(node: HostNode): HostNode {
    const type = node.mode & S_IFMT;
    if (type === S_IFDIR) return node;
    if (type !== S_IFLNK) this.#system.fail(ERRNO.ENOTDIR);
    const target = nodeAt(this.#system, Deno.realPathSync(node.host));
    if (target === undefined) this.#system.fail(ERRNO.EACCES);
    if ((target.mode & S_IFMT) !== S_IFDIR) this.#system.fail(ERRNO.ENOTDIR);
    return target;
  }
}

/** The node of a path on the host, if it lies in a mount. */
export function nodeAt(system: HostSystem, host: string): HostNode | undefined {
  for (const place of system.mounts) {
    if (host === place.host) return new HostNode(system, place, [], false);
    if (place.file || !host.startsWith(`${place.host}/`)) continue;
    const names = host.slice(place.host.length + 1).split("/");
    return new HostNode(system, place, names, false);
  }
  return undefined;
}

/**
 * The place where a file is made that nobody has: behind the link, if there is one that leads to
 * nothing. Deno itself makes no file behind such a link. Throws an ErrnoError, or what Deno throws.
 */
export function placeToCreate(system: HostSystem, named: HostNode): HostNode {
  let node = named.withoutFollowing();
  for (let links = 0; links <= MOST_LINKS; links++) {
    if (node.find()?.isSymlink !== true) return node;
    const link = Deno.readLinkSync(node.host);
    const target = link.startsWith("/") ? link : `${parentOf(node.host)}/${link}`;
    const folder = Deno.realPathSync(`${parentOf(target)}/`);
    const host = `${folder === "/" ? "" : folder}${target.slice(target.lastIndexOf("/"))}`;
    node = nodeAt(system, host) ?? system.fail(ERRNO.EACCES);
  }
  return system.fail(ERRNO.ELOOP);
}

function pathOf(steps: readonly Pick<Step, "name">[]): string {
  return `/${steps.map((step) => step.name).join("/")}`;
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
