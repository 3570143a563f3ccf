/** Images over one another in one folder, on a file system that only keeps names. */

import { type ImageIndex, mountImages } from "../../pyodide_kernel/js/files.ts";

interface Node {
  readonly name: string;
  children?: Map<string, Node>;
  contents?: { readonly offset: number };
}

/** As much of Emscripten as images need. */
function emscripten(): { module: unknown; root: () => Node; known: Set<Node> } {
  const known = new Set<Node>();
  let root: Node | undefined;
  const FS = {
    ErrnoError: class extends Error {},
    createNode(_parent: Node | null, name: string): Node {
      const node = { name };
      known.add(node);
      return node;
    },
    hashRemoveNode(node: Node): void {
      known.delete(node);
    },
    mount(type: { mount(): Node }): void {
      root = type.mount();
    },
  };
  const found = (): Node => {
    if (root === undefined) throw new TypeError("Nothing is mounted");
    return root;
  };
  return { module: { FS }, root: found, known };
}

function paths(node: Node, prefix = ""): string[] {
  return [...node.children ?? []].flatMap(([name, child]) => [
    `${prefix}${name}`,
    ...paths(child, `${prefix}${name}/`),
  ]);
}

function image(...files: string[]): ImageIndex {
  return { files: Object.fromEntries(files.map((file, place) => [file, [place, 1]])) };
}

function assertEquals(actual: unknown, expected: unknown): void {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${left} is not ${right}`);
}

const BLOB = {} as Deno.FsFile;

Deno.test("add() shows images over one another, the first of a path", () => {
  const { module, root } = emscripten();
  const folder = mountImages(module, "/lib/packages");
  folder.add(image("a/b.py", "c.py"), BLOB);
  folder.add(image("c.py", "d.py", "a/d.py"), BLOB);
  assertEquals(paths(root()).sort(), ["a", "a/b.py", "a/d.py", "c.py", "d.py"]);
  assertEquals(root().children?.get("c.py")?.contents?.offset, 1);
});

Deno.test("remove() takes an image away with the folders that only it had", () => {
  const { module, root, known } = emscripten();
  const folder = mountImages(module, "/lib/packages");
  folder.add(image("a/b.py", "n/one.py"), BLOB);
  folder.add(image("c/d/e.py", "n/two.py"), BLOB);
  folder.remove(image("c/d/e.py", "n/two.py"));
  assertEquals(paths(root()).sort(), ["a", "a/b.py", "n", "n/one.py"]);
  assertEquals([...known].map((node) => node.name).sort(), ["/", "a", "b.py", "n", "one.py"]);
  folder.add(image("c/d/e.py"), BLOB);
  assertEquals(paths(root()).includes("c/d/e.py"), true);
});
