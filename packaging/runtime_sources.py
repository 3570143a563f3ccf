"""What the runtime is made of: Deno, Pyodide from npm, and the wheels of the guest."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "runtime.lock.json"
GUEST = HERE / "guest.txt"
NPM = HERE / "npm"


class BuildError(Exception):
    """The runtime cannot be built; the message names the thing and the remedy."""


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def find_deno() -> Path:
    """The Deno binary that the `deno` wheel carries."""
    try:
        deno = importlib.import_module("deno")
        return Path(deno.find_deno_bin())
    except (ImportError, FileNotFoundError) as error:
        raise BuildError(
            f"Deno is needed to build the runtime and was not found for {sys.executable}; "
            "install it there with: pip install deno"
        ) from error


def run(*command: Sequence[str], cwd: Path, env: dict[str, str], what: str) -> str:
    """Run a command, given in pieces, and return what it printed.

    Raises BuildError with the end of its output if it fails.
    """
    done = subprocess.run(
        [word for words in command for word in words],
        cwd=cwd,
        env=os.environ | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        tail = (done.stdout + done.stderr).strip()[-2000:]
        raise BuildError(f"{what} failed with exit code {done.returncode}:\n{tail}")
    return done.stdout


def deno_env(work: Path) -> dict[str, str]:
    """Variables that keep Deno quiet and its cache inside the work folder."""
    return {"DENO_DIR": str(work / "deno"), "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}


def fetch_pyodide(deno: Path, work: Path) -> Path:
    """Download the npm package `pyodide` and check it against the lock; return its folder."""
    project = work / "npm"
    shutil.copytree(NPM, project)
    run(
        [str(deno), "install", "--quiet"],
        cwd=project,
        env=deno_env(work),
        what="Downloading Pyodide from the npm registry (is the network reachable?)",
    )
    folder = (project / "node_modules" / "pyodide").resolve()
    for name, entry in json.loads(LOCK.read_text("utf-8"))["files"].items():
        if not (folder / name).is_file():
            raise BuildError(f"The npm package pyodide holds no {name}; is {LOCK.name} up to date?")
        if (found := sha256(folder / name)) != entry["sha256"]:
            raise BuildError(
                f"{name} of the npm package pyodide has SHA-256 {found}, but "
                f"packaging/{LOCK.name} says {entry['sha256']}; do not use it. Clear the npm "
                "registry's cache if there is one, or correct the lock after an upgrade."
            )
    return folder


def fetch_wheels(work: Path) -> list[Path]:
    """Download the guest's wheels; pip checks their hashes."""
    folder = work / "wheels"
    folder.mkdir()
    run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"],
        ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)],
        ["--python-version", "3.14", "--implementation", "py", "--abi", "none"],
        ["--platform", "any", "--requirement", str(GUEST)],
        cwd=work,
        env={},
        what="Downloading the guest's wheels from the Python registry (is the network reachable?)",
    )
    return sorted(folder.glob("*-none-any.whl"))
