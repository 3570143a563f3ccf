"""A package distribution with real packages, for tests.

A wheel on the Python registry carries a part of Pyodide's distribution, with digests in a lock
file. It is downloaded once and kept in a folder for test data; nothing else depends on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

SOURCE = "open-webui==0.12.4"
FOLDER = "open_webui/frontend/pyodide/"
LOCK = "pyodide-lock.json"


class NoDistributionError(Exception):
    """It can't be downloaded."""


def real_distribution() -> Path:
    """The folder, whose lock names only what is there. Raises NoDistributionError."""
    base = os.environ.get("PYODIDE_KERNEL_TEST_DATA")
    target = Path(base or Path(tempfile.gettempdir(), "pyodide-kernel-test-data")) / SOURCE
    if not (target / LOCK).is_file():
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            _unpack(_download(Path(scratch)), target)
    return target


def _download(scratch: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", SOURCE]
    done = subprocess.run(
        [*command, "--dest", str(scratch)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoDistributionError(done.stderr.strip()[-300:])
    (wheel,) = scratch.glob("*.whl")
    return wheel


def _unpack(wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        lock = json.loads(archive.read(FOLDER + LOCK))
        names = set(archive.namelist())
        kept = {
            name: package
            for name, package in lock["packages"].items()
            if FOLDER + package["file_name"] in names
        }
        for package in kept.values():
            data = archive.read(FOLDER + package["file_name"])
            (target / package["file_name"]).write_bytes(data)
    text = json.dumps({"info": lock["info"], "packages": kept})
    (target / f"new-{LOCK}").write_text(text, "utf-8")
    (target / f"new-{LOCK}").replace(target / LOCK)  # last: a folder without it is not finished
