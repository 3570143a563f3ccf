/**
 * The one place that knows how Pyodide is loaded: from nothing, or from a memory snapshot.
 *
 * Pyodide's own way of restoring copies the whole snapshot through JavaScript and expects a memory
 * that is large enough already. So `loadPyodide` is given only the head of the snapshot (a list of
 * JavaScript objects that Python refers to), and memory is filled from the file before it goes on.
 */

import { imageOfTexts, mountImage } from "./files.ts";
import { mark } from "./marks.ts";
import { type SnapshotReader, writeSnapshot } from "./snapshot.ts";

// Pyodide's interface reaches into Emscripten's, which has no types: the one cast of this program.
// deno-lint-ignore no-explicit-any
export type Pyodide = any;

const WASM = "pyodide.asm.wasm";
const STANDARD_LIBRARY_FILE = "python_stdlib.zip";
const STANDARD_LIBRARY = "python314.zip";
const ARCHIVES = "/lib/archives";
const SITE_PACKAGES = "/lib/python3.14/site-packages";
const GUEST_FOLDER = "/lib/guest";

/** Files that the interpreter is made of. */
export interface Runtime {
  /** Folder with `pyodide/`, `python_stdlib.zip` and the image of site-packages. */
  readonly folder: string;
  /** Texts of the guest's own modules, by path below the folder that is put on `sys.path`. */
  readonly sources: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
}

/** How an interpreter differs from one that is booted for a session. */
export interface Variant {
  /** Whether a snapshot will be made of it. */
  readonly makeSnapshot?: boolean;
  /** A snapshot to restore. */
  readonly restore?: SnapshotReader;
  /** Settled when the restored memory may be run; with false it may not. */
  readonly verdict?: Promise<boolean>;
}

/** Loads Pyodide and mounts its files. Throws if the snapshot can't be restored. */
export async function load(runtime: Runtime, variant: Variant = {}): Promise<Pyodide> {
  const { folder } = runtime;
  const { restore } = variant;
  const compiled = Deno.readFile(`${folder}/pyodide/${WASM}`)
    .then((bytes) => WebAssembly.compile(bytes));
  // Who awaits it is told of a failure; nobody does before the other files are loaded.
  compiled.catch(() => undefined);
  const { loadPyodide } = await import(`file://${folder}/pyodide/pyodide.mjs`);
  const { default: create } = await import(`file://${folder}/pyodide/pyodide.asm.mjs`);
  mark("glue");
  const createModule = async (settings: unknown): Promise<unknown> => {
    const module = await create(settings);
    mark("module");
    if (restore) await restoreInto(module, runtime, restore, variant.verdict);
    return module;
  };
  const endUse = useOwnFiles(compiled, restore !== undefined);
  try {
    const pyodide: Pyodide = await loadPyodide({
      indexURL: `file://${folder}/pyodide/`,
      stdLibURL: `file://${folder}/${STANDARD_LIBRARY_FILE}`,
      lockFileContents: Deno.readTextFileSync(`${folder}/pyodide/pyodide-lock.json`),
      packageBaseUrl: `file://${folder}/pyodide/`,
      env: { ...runtime.env },
      checkAPIVersion: false,
      // Otherwise the path of this program, which would be in the snapshot.
      _sysExecutable: "/python",
      _makeSnapshot: variant.makeSnapshot ?? false,
      createPyodideModule: createModule,
      ...(restore && { _loadSnapshot: restore.head }),
    });
    if (restore === undefined) mountFiles(pyodide._module, runtime);
    return pyodide;
  } finally {
    endUse();
  }
}

/**
 * Answers what Pyodide fetches while it is loaded, as in a browser: the WebAssembly, which was
 * compiled meanwhile, and the archive of the standard library, which a restored interpreter gets
 * without reading all of it. Gives the function that ends that.
 */
function useOwnFiles(compiled: Promise<WebAssembly.Module>, restored: boolean): () => void {
  const { fetch } = globalThis;
  const { instantiateStreaming } = WebAssembly;
  globalThis.fetch = async (source): Promise<Response> => {
    const url = String(source);
    const wanted = url.endsWith(STANDARD_LIBRARY_FILE) && !restored;
    return new Response(wanted ? await Deno.readFile(new URL(url)) : null);
  };
  WebAssembly.instantiateStreaming = async (_, imports): Promise<never> => {
    const module = await compiled;
    return { module, instance: await WebAssembly.instantiate(module, imports) } as never;
  };
  return () => {
    globalThis.fetch = fetch;
    WebAssembly.instantiateStreaming = instantiateStreaming;
  };
}

/** Puts the guest's modules on `sys.path`; a snapshot has them there already. */
export function addGuestPath(pyodide: Pyodide): void {
  const sys = pyodide.pyimport("sys");
  const path = sys.path;
  path.append(GUEST_FOLDER);
  path.destroy();
  sys.destroy();
}

/** A snapshot of an interpreter that was loaded with `makeSnapshot`, in the form of its file. */
export function snapshotOf(pyodide: Pyodide): Uint8Array<ArrayBuffer> {
  const open = openFiles(pyodide._module);
  if (open.length > 0) throw new Error(`Files are open in the snapshot: ${open.join(", ")}`);
  return writeSnapshot(pyodide.makeMemorySnapshot());
}

/** Files beside stdin, stdout and stderr: after a restore their descriptors mean nothing. */
function openFiles(module: Pyodide): string[] {
  const streams: readonly ({ readonly path: string } | null)[] = module.FS.streams;
  return streams.slice(3).flatMap((stream) => stream ? [stream.path] : []);
}

async function restoreInto(
  module: Pyodide,
  runtime: Runtime,
  snapshot: SnapshotReader,
  verdict: Promise<boolean> | undefined,
): Promise<void> {
  snapshot.fill(module);
  mark("memory");
  mountStandardLibrary(module, `${runtime.folder}/${STANDARD_LIBRARY_FILE}`);
  mountFiles(module, runtime);
  mark("files");
  if (await verdict === false) throw new Error("The snapshot is not what was made");
  mark("verdict");
}

/** Replaces the archive of the standard library by one that is read as far as it is needed. */
function mountStandardLibrary(module: Pyodide, path: string): void {
  const file = Deno.openSync(path);
  const index = { files: { [STANDARD_LIBRARY]: [0, file.statSync().size] as const } };
  module.FS.mkdirTree(ARCHIVES);
  mountImage(module, ARCHIVES, () => ({ index, blob: file }));
  module.FS.unlink(`/lib/${STANDARD_LIBRARY}`);
  module.FS.symlink(`${ARCHIVES}/${STANDARD_LIBRARY}`, `/lib/${STANDARD_LIBRARY}`);
}

function mountFiles(module: Pyodide, runtime: Runtime): void {
  const { folder, sources } = runtime;
  module.FS.mkdirTree(SITE_PACKAGES);
  mountImage(module, SITE_PACKAGES, () => ({
    index: JSON.parse(Deno.readTextFileSync(`${folder}/site-packages.json`)),
    blob: Deno.openSync(`${folder}/site-packages.bin`),
  }));
  module.FS.mkdirTree(GUEST_FOLDER);
  mountImage(module, GUEST_FOLDER, () => imageOfTexts(sources));
}
