"""HTTP libraries as pure wheels, downloaded once and unpacked into a folder for test data."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

LIBRARIES = ("requests", "urllib3", "httpx", "httpcore", "h11", "anyio", "certifi", "idna")
OTHERS = ("charset-normalizer",)


class NoLibrariesError(Exception):
    """They can't be downloaded."""


def http_libraries() -> Path:
    """A folder for `sys.path`. Raises NoLibrariesError."""
    base = os.environ.get("PYODIDE_KERNEL_TEST_DATA")
    target = Path(base or Path(tempfile.gettempdir(), "pyodide-kernel-test-data")) / "http"
    if not target.is_dir():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            wheels, made = Path(scratch, "wheels"), Path(scratch, "made")
            _download(wheels)
            for wheel in wheels.glob("*.whl"):
                zipfile.ZipFile(wheel).extractall(made)
            try:
                made.rename(target)
            except OSError:
                assert target.is_dir(), "another process was first"
    return target


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    pure = ["--only-binary=:all:", "--platform=any", "--python-version=3.14"]
    pure += ["--implementation=py", "--abi=none", f"--dest={folder}"]
    done = subprocess.run(
        [*command, *pure, *LIBRARIES, *OTHERS], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoLibrariesError(done.stderr.strip()[-300:])
