/**
 * Runs bytecode.py in Pyodide: deno run bytecode.ts PYODIDE_DIR JOB_DIR SCRIPT
 *
 * JOB_DIR holds `job.json` and `sources/`; the compiled files go to `output/`.
 * A report in JSON is the only line on stdout.
 */
import { pathToFileURL } from "node:url";

const [pyodideDir, jobDir, script] = Deno.args;
if (pyodideDir === undefined || jobDir === undefined || script === undefined) {
  throw new TypeError("Expected three arguments: PYODIDE_DIR JOB_DIR SCRIPT");
}

const { loadPyodide } = await import(pathToFileURL(`${pyodideDir}/pyodide.mjs`).href);
const pyodide = await loadPyodide({ indexURL: `${pyodideDir}/` });
pyodide.FS.mkdirTree("/job");
pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root: jobDir }, "/job");
pyodide.runPython(await Deno.readTextFile(script));
const report: string = pyodide.runPython(`
from pathlib import Path
compile_all(Path("/job/job.json"), Path("/job/sources"), Path("/job/output"))
`);
const python: string = pyodide.runPython("import platform; platform.python_version()");
await Deno.stdout.write(
  new TextEncoder().encode(JSON.stringify({ python, ...JSON.parse(report) }) + "\n"),
);
Deno.exit(0);
