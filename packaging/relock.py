"""Take over another version of an npm package: python packaging/relock.py pyodide VERSION

The other packages are `just-bash`, `pako` and `esbuild-wasm`.

Writes npm/deno.json, npm/deno.lock and runtime.lock.json; commit them after a look at the diff.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from bash_bundle import BUNDLE, bundle
from runtime_sources import LOCK, NPM, BuildError, fetch_npm, find_deno, sha256


def relock(package: str, version: str) -> None:
    """Download a version and write down what came."""
    former = json.loads(LOCK.read_text("utf-8"))
    config = json.loads((NPM / "deno.json").read_text("utf-8"))
    if package not in config["imports"]:
        raise BuildError(f"{package} is none of {', '.join(config['imports'])}")
    config["imports"][package] = f"npm:{package}@{version}"
    with tempfile.TemporaryDirectory(prefix="pyodide-kernel-relock-") as temporary:
        work = Path(temporary).resolve()
        project = work / "unlocked"
        project.mkdir()
        unfrozen = config | {"lock": {"path": "./deno.lock", "frozen": False}}
        (project / "deno.json").write_text(json.dumps(unfrozen), "utf-8")
        # The other packages stay as they are.
        shutil.copyfile(NPM / "deno.lock", project / "deno.lock")
        deno = find_deno()
        modules = fetch_npm(deno, work, project)
        pyodide = (modules / "pyodide").resolve()
        found = {name: {"sha256": sha256(pyodide / name)} for name in former["files"]}
        bundle(deno, modules, work / BUNDLE, work)
        lock = {
            "pyodide": config["imports"]["pyodide"].rpartition("@")[2],
            "files": found,
            "bash": {"sha256": sha256(work / BUNDLE)},
        }
        resolved = (work / "npm" / "deno.lock").read_text("utf-8")
    (NPM / "deno.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (NPM / "deno.lock").write_text(resolved, "utf-8")
    LOCK.write_text(json.dumps(lock, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        relock(sys.argv[1], sys.argv[2])
    except BuildError as error:
        sys.exit(f"pyodide-kernel: {error}")
