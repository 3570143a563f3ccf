"""What the runtime is made of: Deno, packages from npm, and the wheels of the guest."""

from __future__ import annotations

import hashlib
import importlib.metadata
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
    """The Deno binary that the `deno` wheel carries.

    It is looked up in the wheel's list of files: `deno.find_deno_bin` does not know the folders
    that pip and build make for the build's own requirements.
    """
    try:
        files = importlib.metadata.files("deno") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.stem == "deno" and path.parent.name in {"bin", "Scripts"} and path.is_file():
            return path.resolve()
    raise BuildError(
        f"Deno is needed to build the runtime and was not found for {sys.executable}; "
        "install it there with: pip install deno"
    )


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
    """Variables that keep Deno quiet and its cache inside the work folder.

    The system's certificates count too, as they do for pip: a proxy's own may be among them.
    """
    return {
        "DENO_DIR": str(work / "deno"),
        "DENO_TLS_CA_STORE": os.environ.get("DENO_TLS_CA_STORE", "system,mozilla"),
        "NO_COLOR": "1",
        "DENO_NO_UPDATE_CHECK": "1",
    }


def fetch_npm(deno: Path, work: Path, project: Path = NPM) -> Path:
    """Download what a copy of the project folder (deno.json and deno.lock) asks for.

    Returns the folder `node_modules`. Deno follows the machine's npm configuration and checks each
    package against deno.lock.
    """
    copy = work / "npm"
    shutil.copytree(project, copy)
    run(
        [str(deno), "install", "--quiet"],
        cwd=copy,
        env=deno_env(work),
        what="Downloading from the npm registry (is the network reachable?)",
    )
    return copy / "node_modules"


def checked_pyodide(modules: Path) -> Path:
    """The folder of the npm package `pyodide`, checked against the lock."""
    folder = (modules / "pyodide").resolve()
    check_against_lock(folder)
    return folder


def check_against_lock(folder: Path, lock: Path = LOCK) -> None:
    """Raise BuildError unless the folder holds what the lock file says."""
    for name, entry in json.loads(lock.read_text("utf-8"))["files"].items():
        if not (folder / name).is_file():
            raise BuildError(f"The npm package pyodide holds no {name}; is {lock.name} up to date?")
        if (found := sha256(folder / name)) != entry["sha256"]:
            raise BuildError(
                f"{name} of the npm package pyodide has SHA-256 {found}, but "
                f"packaging/{lock.name} says {entry['sha256']}; it is not used. Clear the npm "
                "registry's cache if there is one, or correct the lock after an upgrade."
            )


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
