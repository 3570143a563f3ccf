import assert from "node:assert/strict";

import {
  type EmscriptenModule,
  type FsNode,
  type FsStream,
  type NodeOperations,
  S_IFDIR,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from "../../pyodide_kernel/js/emscripten.ts";
import { ERRNO } from "../../pyodide_kernel/js/errno.ts";
import { type HostMount, mountHostFolders } from "../../pyodide_kernel/js/host_files.ts";
import { HostNode } from "../../pyodide_kernel/js/host_node.ts";

const FOLDER = Deno.realPathSync("tests/js");
const GOLDEN = Deno.realPathSync("tests/golden");

class ErrnoError {
  readonly name = "ErrnoError";
  constructor(readonly errno: number) {}
}

/** A node of the guest's own file system. */
interface FakeNode extends FsNode {
  children: Map<string, FakeNode>;
  mounted: { root: FsNode } | null;
}

/** As much of Emscripten as finding files takes. */
class FakeFs {
  readonly ErrnoError = ErrnoError;
  readonly streams: FsStream[] = [];
  readonly root: FakeNode;
  nextInode = 1;
  folder = "/";

  constructor() {
    this.root = this.createNode(null, "/", S_IFDIR);
    const home = this.add(this.root, "home", S_IFDIR);
    this.add(home, "file", S_IFREG);
    for (
      const [name, target] of Object.entries({
        way: "/mnt/js",
        relative: "../mnt/js",
        round: "round",
        nowhere: "nothing",
      })
    ) this.add(home, name, S_IFLNK).node_ops = { readlink: () => target };
  }

  cwd(): string {
    return this.folder;
  }

  createNode(parent: FakeNode | null, name: string, mode: number): FakeNode {
    const node_ops: NodeOperations = {};
    const id = this.nextInode++;
    const made = { id, name, mode, mount: { opts: {} }, node_ops, stream_ops: {}, mounted: null };
    const node = { ...made, children: new Map() } as unknown as FakeNode;
    return Object.assign(node, { parent: parent ?? node });
  }

  add(parent: FakeNode, name: string, mode: number): FakeNode {
    const node = this.createNode(parent, name, mode);
    parent.children.set(name, node);
    return node;
  }

  mkdirTree(path: string): void {
    this.add(this.root, path.slice(1), S_IFDIR);
  }

  mount(type: { mount(): FsNode }, _options: unknown, path: string): FsNode {
    const node = this.root.children.get(path.slice(1)) ?? assert.fail(path);
    node.mounted = { root: type.mount() };
    return node.mounted.root;
  }

  lookupNode(parent: FakeNode, name: string): FsNode {
    if ((parent.mode & S_IFMT) !== S_IFDIR) throw new ErrnoError(ERRNO.ENOTDIR);
    const child = parent.node_ops.lookup?.(parent, name) ?? parent.children.get(name);
    if (child === undefined) throw new ErrnoError(ERRNO.ENOENT);
    return child;
  }

  getPath = (node: FsNode): string => `own ${node.name}`;
  readdir = (): string[] => ["own"];
  nodePermissions = (): number => 0;
  lookupPath = (): never => assert.fail("Is replaced");
  [name: string]: unknown;
}

interface World {
  module: EmscriptenModule;
  fs: EmscriptenModule["FS"];
  fake: FakeFs;
}

const MOUNTS: readonly HostMount[] = [
  { host: FOLDER, guest: "/mnt/js", writable: false, file: false },
  { host: GOLDEN, guest: "/mnt/golden", writable: true, file: false },
  { host: `${FOLDER}/framing_test.ts`, guest: "/mnt/one.ts", writable: true, file: true },
];

function world(mounts: readonly HostMount[] = MOUNTS): World {
  const fake = new FakeFs();
  for (const name of ["stat", "open", "mknod", "rename", "unlink", "rmdir", "symlink"]) {
    fake[name] = (): string => `own ${name}`;
  }
  fake.doTruncate = (): void => undefined;
  const SYSCALLS = { getStr: (): string => "" };
  const module = { FS: fake, SYSCALLS, HEAPU8: new Uint8Array(64) } as unknown as EmscriptenModule;
  mountHostFolders(module, mounts);
  return { module, fs: module.FS, fake };
}

function hostOf(fs: World["fs"], path: string): string {
  const { node } = fs.lookupPath(path, { follow: true });
  assert(node instanceof HostNode);
  return node.host;
}

function errnoOf(action: () => unknown): number {
  try {
    action();
  } catch (error) {
    assert(error instanceof ErrnoError, String(error));
    return error.errno;
  }
  return 0;
}

Deno.test("mountHostFolders() takes places directly below /mnt only", () => {
  for (const guest of ["/mnt", "/mnt/", "/mnt/a/b", "/mnt/..", "/mnt/.", "/other/a", "a", ""]) {
    const mount = { host: FOLDER, guest, writable: false, file: false };
    assert.throws(() => world([mount]), TypeError);
  }
});

Deno.test("a path below a mount is a path on the host", () => {
  const { fs } = world();
  assert.equal(hostOf(fs, "/mnt/js"), FOLDER);
  assert.equal(hostOf(fs, "/mnt/js/"), FOLDER);
  assert.equal(hostOf(fs, "//mnt/./js//framing_test.ts"), `${FOLDER}/framing_test.ts`);
  assert.equal(hostOf(fs, "/mnt/one.ts"), `${FOLDER}/framing_test.ts`);
  assert.equal(fs.lookupPath("/mnt/js/framing_test.ts").path, "/mnt/js/framing_test.ts");
});

Deno.test("dots lead out of a mount into the guest, not into the host", () => {
  const { fs, fake } = world();
  assert.equal(hostOf(fs, "/mnt/js/../golden/frames.json"), `${GOLDEN}/frames.json`);
  assert.equal(fs.lookupPath("/mnt/js/../..").node, fake.root);
  assert.equal(fs.lookupPath("/mnt/js/../../../..//home").path, "/home");
  assert.equal(errnoOf(() => fs.lookupPath("/mnt/js/../errno.ts")), ERRNO.ENOENT);
  assert.equal(errnoOf(() => fs.lookupPath("/mnt/js/framing_test.ts/..")), ERRNO.ENOTDIR);
  assert.equal(errnoOf(() => fs.lookupPath("/mnt/js/missing/..")), ERRNO.ENOENT);
});

Deno.test("links of the guest lead into mounts", () => {
  const { fs, fake } = world();
  assert.equal(hostOf(fs, "/home/way/framing_test.ts"), `${FOLDER}/framing_test.ts`);
  assert.equal(hostOf(fs, "/home/relative/../golden"), GOLDEN);
  assert.equal(errnoOf(() => fs.lookupPath("/home/round/x")), ERRNO.ELOOP);
  assert.equal(errnoOf(() => fs.lookupPath("/home/nowhere/x")), ERRNO.ENOENT);
  assert.equal(fs.lookupPath("/home/way").node?.name, "way");
  fake.folder = "/home";
  assert.equal(hostOf(fs, "way"), FOLDER);
});

Deno.test("what is missing has a path but no node, if that is all right", () => {
  const { fs } = world();
  for (const path of ["/mnt/js/missing", "/mnt/missing", "/home/missing"]) {
    assert.deepEqual({ ...fs.lookupPath(path, { noent_okay: true }) }, { path });
    assert.equal(errnoOf(() => fs.lookupPath(path)), ERRNO.ENOENT);
  }
  assert.equal(errnoOf(() => fs.lookupPath("/mnt/missing/x", { noent_okay: true })), ERRNO.ENOENT);
});

Deno.test("calls on paths of the guest stay Emscripten's own", () => {
  const { fs } = world();
  assert.equal(fs.open("/home/file", 0), "own open");
  assert.equal(fs.rename("/home/a", "/home/b"), "own rename");
  assert.deepEqual(fs.readdir("/home"), ["own"]);
  assert.equal(fs.getPath(fs.root), "own /");
});

Deno.test("a mount lists and describes what the host has", () => {
  const { fs } = world();
  assert(fs.readdir("/mnt/js").includes("framing_test.ts"));
  const { size, mode } = fs.stat("/mnt/js/framing_test.ts");
  assert.equal(size, Deno.statSync("tests/js/framing_test.ts").size);
  assert.equal(mode & S_IFMT, S_IFREG);
  assert.equal(errnoOf(() => fs.stat("/mnt/js/framing_test.ts/")), ERRNO.ENOTDIR);
});

Deno.test("what Deno refuses is a refusal in the guest", () => {
  const { fs } = world();
  // The test may not write anything at all.
  assert.equal(errnoOf(() => fs.mknod("/mnt/golden/new", S_IFREG, 0)), ERRNO.EACCES);
  assert.equal(errnoOf(() => fs.unlink("/mnt/golden/frames.json")), ERRNO.EACCES);
  assert.equal(errnoOf(() => fs.open("/mnt/golden/frames.json", "w")), ERRNO.EACCES);
  assert.equal(errnoOf(() => fs.mknod("/mnt/js/new", S_IFREG, 0)), ERRNO.EROFS);
  assert.equal(errnoOf(() => fs.rename("/mnt/js/a", "/mnt/golden/a")), ERRNO.EXDEV);
});

Deno.test("a path that is no UTF-8 is refused", () => {
  const { module } = world();
  const { HEAPU8, SYSCALLS } = module;
  HEAPU8.set(new TextEncoder().encode("/tmp/é\0"), 8);
  assert.equal(SYSCALLS.getStr(8), "/tmp/é");
  for (const bytes of [[0xe9], [0xc3], [0xed, 0xb3, 0xa9], [0x2f, 0xff, 0x61], [0xc0, 0x80]]) {
    HEAPU8.fill(0).set(bytes, 8);
    assert.equal(errnoOf(() => SYSCALLS.getStr(8)), ERRNO.EILSEQ);
  }
});

Deno.test("no path leads above a mount: 100,000 random ones", () => {
  const { fs } = world();
  const names = ["mnt", "js", "golden", "one.ts", "..", "..", ".", "", "home", "way", "relative"]
    .concat(["framing_test.ts", "frames.json", "tests", "x", "...", "round", "\\..", "%2e%2e"]);
  const roots = MOUNTS.map(({ host }) => host);
  for (let round = 0, seed = 1; round < 100_000; round++) {
    let path = "";
    do {
      seed = Math.imul(seed, 1103515245) + 12345 >>> 0;
      path += `/${names[(seed >>> 16) % names.length]}`;
    } while ((seed >>> 8) % 6 !== 0);
    try {
      const { node } = fs.lookupPath(path, { follow: true });
      if (!(node instanceof HostNode)) continue;
      const root = roots.find((root) => node.host === root || node.host.startsWith(`${root}/`));
      assert(root !== undefined, `${path} is ${node.host}`);
      assert(!node.host.split("/").includes(".."), path);
    } catch (error) {
      assert(error instanceof ErrnoError, `${path}: ${error}`);
    }
  }
});
