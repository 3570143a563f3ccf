/** Images over one another in one folder, on a file system that only keeps names. */

import {
  type ImageIndex,
  imageOfTexts,
  mountImage,
  mountImages,
} from "../../pyodide_kernel/js/files.ts";

interface Node {
  readonly name: string;
  readonly mode: number;
  readonly node_ops: {
    lookup(parent: Node, name: string): Node;
    readdir(node: Node): string[];
  };
  readonly entry: { readonly contents?: { readonly offset: number } };
}

/** As much of Emscripten as images need: it asks for a node once and keeps it. */
class Emscripten {
  readonly known = new Map<string, Node>();
  #root: Node | undefined;
  readonly FS = {
    ErrnoError: class extends Error {},
    createNode: (parent: Node | null, name: string, mode: number): Node => {
      const node = { name, mode, parent } as unknown as Node;
      if (parent !== null) this.known.set(name, node);
      return node;
    },
    hashRemoveNode: (node: Node): void => {
      this.known.delete(node.name);
    },
    mount: (type: { mount(): Node }): void => {
      this.#root = type.mount();
    },
  };

  get root(): Node {
    if (this.#root === undefined) throw new TypeError("Nothing is mounted");
    return this.#root;
  }

  paths(folder = this.root, prefix = ""): string[] {
    return folder.node_ops.readdir(folder).slice(2).flatMap((name) => {
      const node = this.known.get(name) ?? folder.node_ops.lookup(folder, name);
      const isFolder = (node.mode & 0o040000) !== 0;
      return [`${prefix}${name}`, ...isFolder ? this.paths(node, `${prefix}${name}/`) : []];
    });
  }
}

function image(...files: string[]): ImageIndex {
  return { files: Object.fromEntries(files.map((file, place) => [file, [place, 1]])) };
}

function assertEquals(actual: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

const ONE = {} as Deno.FsFile;
const OTHER = {} as Deno.FsFile;

Deno.test("add() shows images over one another, the first of a path", () => {
  const module = new Emscripten();
  const folder = mountImages(module, "/lib/packages");
  folder.add(image("a/b.py", "c.py"), ONE);
  folder.add(image("c.py", "d.py", "a/e.py"), OTHER);
  assertEquals(module.paths().sort(), ["a", "a/b.py", "a/e.py", "c.py", "d.py"]);
  assertEquals(module.known.get("c.py")?.entry.contents?.offset, 1);
});

Deno.test("add() shows no folder in the place of a file", () => {
  const module = new Emscripten();
  const folder = mountImages(module, "/lib/packages");
  folder.add(image("a"), ONE);
  folder.add(image("a/b.py", "c.py"), OTHER);
  assertEquals(module.paths(), ["a", "c.py"]);
});

Deno.test("Emscripten hears of a file when it asks for it", () => {
  const module = new Emscripten();
  mountImages(module, "/lib/packages").add(image("a/b.py", "c.py"), ONE);
  assertEquals(module.known.size, 0);
  module.root.node_ops.lookup(module.root, "c.py");
  assertEquals([...module.known.keys()], ["c.py"]);
});

Deno.test("remove() takes an image away with the folders that only it had", () => {
  const module = new Emscripten();
  const folder = mountImages(module, "/lib/packages");
  const second = image("c/d/e.py", "n/two.py", "n/one.py");
  folder.add(image("a/b.py", "n/one.py"), ONE);
  folder.add(second, OTHER);
  assertEquals(module.paths().includes("c/d/e.py"), true);
  folder.remove(second, OTHER);
  assertEquals(module.paths().sort(), ["a", "a/b.py", "n", "n/one.py"]);
  assertEquals([...module.known.keys()].sort(), ["a", "b.py", "n", "one.py"]);
  folder.add(image("c/d/e.py"), OTHER);
  assertEquals(module.paths().includes("c/d/e.py"), true);
});

Deno.test("mountImage() opens the image when somebody looks into it, and once", () => {
  const module = new Emscripten();
  let opened = 0;
  mountImage(module, "/lib/guest", () => {
    opened += 1;
    return { index: image("a/b.py", "c.py"), blob: ONE };
  });
  assertEquals(opened, 0);
  assertEquals(module.paths(), ["a", "a/b.py", "c.py"]);
  assertEquals(module.paths(), ["a", "a/b.py", "c.py"]);
  assertEquals(opened, 1);
});

Deno.test("mountImage() gives an error of the file system if the image can't be opened", () => {
  const module = new Emscripten();
  mountImage(module, "/lib/guest", () => {
    throw new TypeError("damaged");
  });
  let caught: unknown;
  try {
    module.paths();
  } catch (error) {
    caught = error;
  }
  assertEquals(caught instanceof module.FS.ErrnoError, true);
});

Deno.test("imageOfTexts() holds the texts in UTF-8", () => {
  const { index, blob } = imageOfTexts({ "a.py": "é1", "b/c.py": "", "d.py": "three" });
  const read = (path: string): string => {
    const [offset, size] = index.files[path] ?? [0, 0];
    const bytes = new Uint8Array(size);
    blob.seekSync(offset, Deno.SeekMode.Start);
    assertEquals(blob.readSync(bytes), size);
    return new TextDecoder().decode(bytes);
  };
  assertEquals(["a.py", "b/c.py", "d.py"].map(read), ["é1", "", "three"]);
});
