"""Changes to Pyodide's JavaScript that make it start faster, each to a text that is there once.

They are made for exactly the files named in `runtime.lock.json`; another version fails the build.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from runtime_sources import BuildError

CHANGES: Final = {
    "pyodide.asm.mjs": (
        # V8 compiles a function in parentheses at once, so that it gets into Deno's compiled code;
        # this one is nearly the whole file.
        (
            "async function _createPyodideModule(moduleArg={}){",
            "const _createPyodideModule=(async function(moduleArg={}){",
        ),
        (
            ";return moduleRtn}export default _createPyodideModule;",
            ";return moduleRtn});export default _createPyodideModule;",
        ),
        # Of the 8,800 symbols of the main module, only those that are asked for get an address;
        # others get one when a library that is loaded asks for them (reportUndefinedSymbols).
        (
            "assignWasmExports(wasmExports);updateGOT(origExports);",
            "assignWasmExports(wasmExports);updateGOT(Object.fromEntries(Object.keys(GOT)"
            ".filter(name=>name in origExports).map(name=>[name,origExports[name]])));",
        ),
        # Deno's layer of Node takes longer to load than the memory of a snapshot. Without it
        # Pyodide is what it is in a browser's worker, as in JupyterLite.
        (
            "var ENVIRONMENT_IS_NODE=globalThis.process?.versions?.node"
            '&&globalThis.process?.type!="renderer";',
            "var ENVIRONMENT_IS_NODE=false;",
        ),
        (
            'e=typeof Deno<"u",r=typeof process=="object"&&typeof process.versions=="object"'
            '&&typeof process.versions.node=="string"&&!process.browser',
            "e=!1,r=!1",
        ),
    ),
    "pyodide.mjs": (
        (
            't=typeof Deno<"u",n=typeof process=="object"&&typeof process.versions=="object"'
            '&&typeof process.versions.node=="string"&&!process.browser',
            "t=!1,n=!1",
        ),
    ),
}


def change(name: str, text: str) -> str:
    """The text of the file of this name as it is shipped. Raises BuildError if it is another."""
    for old, new in CHANGES.get(name, ()):
        if text.count(old) != 1:
            raise BuildError(
                f"{name} has {text.count(old)} times what is to be changed, not once: {old[:60]}…"
            )
        text = text.replace(old, new)
    return text


def ship(source: Path, target: Path) -> None:
    """Copy a file of Pyodide, with its changes if there are any. Raises BuildError."""
    if source.name not in CHANGES:
        target.write_bytes(source.read_bytes())
        return
    target.write_text(change(source.name, source.read_text("utf-8")), "utf-8", newline="")
