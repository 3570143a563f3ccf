"""Take over another version of Pyodide: python packaging/relock.py VERSION

Writes npm/deno.json, npm/deno.lock and runtime.lock.json; commit them after a look at the diff.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from runtime_sources import LOCK, NPM, BuildError, download_pyodide, find_deno, sha256


def relock(version: str) -> None:
    """Download a version and write down what came."""
    names = list(json.loads(LOCK.read_text("utf-8"))["files"])
    config = json.loads((NPM / "deno.json").read_text("utf-8"))
    config["imports"]["pyodide"] = f"npm:pyodide@{version}"
    with tempfile.TemporaryDirectory(prefix="pyodide-kernel-relock-") as temporary:
        work = Path(temporary).resolve()
        project = work / "unlocked"
        project.mkdir()
        unfrozen = config | {"lock": {"path": "./deno.lock", "frozen": False}}
        (project / "deno.json").write_text(json.dumps(unfrozen), "utf-8")
        folder = download_pyodide(find_deno(), work, project)
        found = {name: {"sha256": sha256(folder / name)} for name in names}
        resolved = (work / "npm" / "deno.lock").read_text("utf-8")
    (NPM / "deno.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    (NPM / "deno.lock").write_text(resolved, "utf-8")
    lock = {"pyodide": version, "files": found}
    LOCK.write_text(json.dumps(lock, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        relock(sys.argv[1])
    except BuildError as error:
        sys.exit(f"pyodide-kernel: {error}")
