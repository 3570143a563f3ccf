/**
 * Bundles the bash interpreter into one module that needs nothing else.
 *
 *     deno run bash_bundle.ts NODE_MODULES ENTRY TARGET
 *
 * npm's package leaves a few of its dependencies out of its bundle for browsers. They are put in,
 * with `bash_zlib.js` for Node's zlib, and `bash_left_out.js` for what nothing here uses. What
 * comes out reads nothing of the process. Prints the packages that went in, as JSON.
 */

/** The part of esbuild's interface for plugins that is used. */
interface PluginBuild {
  onResolve(
    options: { filter: RegExp },
    callback: (args: { path: string; importer: string }) => { path: string },
  ): void;
  onLoad(
    options: { filter: RegExp },
    callback: (args: { path: string }) => { contents: string; loader: "js" },
  ): void;
}

const [modules = "", entry = "", target = ""] = Deno.args;

/** Entries of the packages that the bundle imports. */
const ENTRIES: Readonly<Record<string, string>> = {
  "balanced-match": "dist/esm/index.js",
  "brace-expansion": "dist/esm/index.js",
  "diff": "libesm/index.js",
  "minimatch": "dist/esm/index.js",
  "pako": "dist/pako.esm.mjs",
  "sprintf-js": "src/sprintf.js",
};

/** Modules of our own in place of what is imported. */
const REPLACED: Readonly<Record<string, string>> = {
  "node:zlib": "bash_zlib.js",
  "turndown": "bash_left_out.js",
};

/** Changes of the entry: what is there once, and what takes its place. */
const PATCHES: readonly (readonly [string, string])[] = [
  // Elsewhere an error of a file fails the command; when `>file` was opened it ended the script.
  [
    'catch(a){if(!s)throw a;return{error:Q("",`bash: ${t}: cannot open redirect target',
    'catch(a){if(!s&&a.name!=="FileError")throw a;' +
    'return{error:Q("",`bash: ${t}: cannot open redirect target',
  ],
];

const packages = new Set<string>();

/** The folder of a package, of the version that this build's lock names. */
function packageFolder(name: string): string {
  const store = `${modules}/.deno`;
  const found = [...Deno.readDirSync(store)]
    .map((entry) => entry.name)
    .filter((folder) => folder.slice(0, folder.lastIndexOf("@")) === name);
  const [only] = found;
  if (only === undefined || found.length > 1) {
    throw new Error(`${name}: one version is needed, found ${found.join(", ") || "none"}`);
  }
  packages.add(name);
  return `${store}/${only}/node_modules/${name}`;
}

function resolve(path: string, importer: string): { path: string } {
  if (path === entry) return { path };
  if (path.startsWith(".")) return { path: new URL(path, `file://${importer}`).pathname };
  const ours = REPLACED[path];
  if (ours !== undefined) return { path: new URL(ours, import.meta.url).pathname };
  const file = ENTRIES[path];
  if (file === undefined) throw new Error(`${importer} imports ${path}, which is not expected`);
  return { path: `${packageFolder(path)}/${file}` };
}

function contentsOf(path: string): string {
  const text = Deno.readTextFileSync(path);
  if (path !== entry) return text;
  return PATCHES.reduce((patched, [former, changed]) => {
    if (patched.split(former).length !== 2) throw new Error(`There is not one ${former}`);
    return patched.replace(former, () => changed);
  }, text);
}

const esbuild = await import(`file://${modules}/esbuild-wasm/esm/browser.js`);
const wasm = Deno.readFileSync(`${modules}/esbuild-wasm/esbuild.wasm`);
await esbuild.initialize({ wasmModule: await WebAssembly.compile(wasm), worker: false });
const result = await esbuild.build({
  entryPoints: [entry],
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  target: "es2022",
  legalComments: "none",
  write: false,
  // Deno lets no worker of ours read the environment, and asks for it would throw.
  define: { process: "undefined", localStorage: "undefined" },
  plugins: [{
    name: "files",
    setup(build: PluginBuild): void {
      build.onResolve({ filter: /./ }, (args) => resolve(args.path, args.importer));
      build.onLoad({ filter: /./ }, (args) => ({ contents: contentsOf(args.path), loader: "js" }));
    },
  }],
});
Deno.writeFileSync(target, result.outputFiles[0].contents);
await esbuild.stop();
await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify([...packages].sort())}\n`));
Deno.exit(0);
