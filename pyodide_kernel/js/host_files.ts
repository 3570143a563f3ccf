/**
 * Folders and files of the host under `/mnt`, live in both directions.
 *
 * A file system over Deno's synchronous calls. It keeps nothing: a node is a path, looked up on the
 * host whenever the guest asks. No error of the host gets past `attempt`, so none is fatal, and a
 * write into a read-only mount is refused before the host is asked.
 *
 * Emscripten's generic layer opens, creates and renames in several steps (look, then act, then change
 * the mode), keeps nodes by name, and follows links in its own tree. So its functions on paths are
 * replaced by ones that do for a path on the host what one call of the host does.
 */

import type { EmscriptenModule, FileSystem, FsNode } from "./emscripten.ts";
import { ERRNO } from "./errno.ts";
import { replacePathCalls } from "./host_calls.ts";
import { type Lock, locker } from "./host_locks.ts";
import { mountsFolder } from "./host_mounts.ts";
import { attemptWith, type HostMount, HostNode, type HostSystem } from "./host_node.ts";
import { attributeSetter, nodeOperations } from "./host_node_operations.ts";
import { streamOperations } from "./host_streams.ts";

export type { HostMount } from "./host_node.ts";

/** The folder of the guest that holds the mounts. */
const MOUNTS = "/mnt";

/**
 * Makes `mounts` visible in the file system of `module`. Their places are `/mnt/NAME`. After
 * `writeLimit` bytes (0: never), writing is EDQUOT; the host sees to what goes round this.
 *
 * Gives what Emscripten's system calls leave out: the function that locks files.
 */
export function mountHostFolders(
  module: EmscriptenModule,
  mounts: readonly HostMount[],
  writeLimit = 0,
): Lock {
  const files = new HostFiles(module, mounts, writeLimit);
  replacePathCalls(files);
  module.SYSCALLS.getStr = strictText(module);
  return locker(files);
}

class HostFiles implements HostSystem {
  readonly fs: FileSystem;
  readonly mounts: readonly HostMount[];
  readonly root: FsNode;
  readonly attempt: HostSystem["attempt"];
  readonly nodeOperations: HostSystem["nodeOperations"];
  readonly streamOperations: HostSystem["streamOperations"];

  #writable: number;

  constructor(module: EmscriptenModule, mounts: readonly HostMount[], writeLimit: number) {
    this.#writable = writeLimit || Infinity;
    this.fs = module.FS;
    this.mounts = mounts;
    this.attempt = attemptWith(this.fs);
    const setAttributes = attributeSetter(this);
    this.nodeOperations = nodeOperations(this, setAttributes);
    this.streamOperations = streamOperations(module, this, setAttributes);
    this.fs.mkdirTree(MOUNTS);
    const children = new Map(mounts.map((place) => [nameOf(place), place]));
    const lookup = (name: string): FsNode => {
      const place = children.get(name);
      return place ? new HostNode(this, place, [], true) : this.fail(ERRNO.ENOENT);
    };
    const type = { mount: () => mountsFolder(this.fs, [...children.keys()], lookup) };
    this.root = this.fs.mount(type, {}, MOUNTS);
  }

  countWrite(bytes: number): void {
    if (bytes > this.#writable) this.fail(ERRNO.EDQUOT);
    this.#writable -= bytes;
  }

  fail(errno: number): never {
    throw new this.fs.ErrnoError(errno);
  }
}

function nameOf(place: HostMount): string {
  const name = place.guest.slice(MOUNTS.length + 1);
  if (place.guest !== `${MOUNTS}/${name}` || /^\.{0,2}$|\//.test(name)) {
    throw new TypeError(`Mount at "${place.guest}": the place has to be ${MOUNTS}/NAME`);
  }
  return name;
}

/**
 * Reads a path of the guest. Emscripten makes something up for bytes that are no UTF-8, so a file
 * would get a name that nobody gave it, and perhaps one that another file has.
 */
function strictText(module: EmscriptenModule): (pointer: number) => string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return (pointer) => {
    const start = pointer >>> 0;
    const memory = module.HEAPU8;
    try {
      return decoder.decode(memory.subarray(start, memory.indexOf(0, start)));
    } catch {
      throw new module.FS.ErrnoError(ERRNO.EILSEQ);
    }
  };
}
