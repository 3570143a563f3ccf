"""The bundled runtime: where it is, what it holds, whether its files are intact.

The build writes it to `pyodide_kernel/_runtime/` (see `packaging/build_runtime.py`); at run time it
is only read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pyodide_kernel.errors import RuntimeDamagedError

REMEDY = "reinstall with: pip install --force-reinstall --no-deps pyodide-kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What one file of the runtime was when it was built."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Versions and files of a runtime; file names are relative, with forward slashes."""

    pyodide: str
    python: str
    packages: Mapping[str, str]
    files: Mapping[str, FileRecord]

    def digest(self) -> str:
        """One digest for the contents of all files."""
        lines = sorted(f"{name} {record.sha256}" for name, record in self.files.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def runtime_dir() -> Path:
    """The folder that holds the runtime of this installation, whether it is complete or not."""
    return Path(__file__).resolve().parent / "_runtime"


def load_manifest(folder: Path | None = None) -> Manifest:
    """What a runtime (default: the installed one) ought to hold.

    Raises RuntimeDamagedError if there is no manifest or it cannot be understood.
    """
    path = (folder or runtime_dir()) / "manifest.json"
    try:
        data = json.loads(path.read_text("utf-8"))
        return Manifest(
            pyodide=data["pyodide"],
            python=data["python"],
            packages=data["packages"],
            files={
                name: FileRecord(size=entry["size"], sha256=entry["sha256"])
                for name, entry in data["files"].items()
            },
        )
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise RuntimeDamagedError(f"Cannot read {path} ({reason}); {REMEDY}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RuntimeDamagedError(f"{path} is not a manifest of the runtime; {REMEDY}") from error


def verify(*, full: bool, folder: Path | None = None) -> list[str]:
    """Names of files that are missing or not what was built; empty if all is well.

    With `full`, contents are compared by SHA-256 (some 60 MB to read); otherwise only sizes. Raises
    RuntimeDamagedError if there is no usable manifest.
    """
    root = folder or runtime_dir()
    records = load_manifest(root).files
    return [name for name, record in records.items() if not _is_intact(root / name, record, full)]


def check(*, full: bool, folder: Path | None = None) -> None:
    """Raise RuntimeDamagedError, naming the files and the remedy, unless `verify` finds nothing."""
    if damaged := verify(full=full, folder=folder):
        names = ", ".join(damaged)
        raise RuntimeDamagedError(
            f"Missing or damaged in {folder or runtime_dir()}: {names}; {REMEDY}"
        )


def _is_intact(path: Path, record: FileRecord, full: bool) -> bool:
    try:
        if path.stat().st_size != record.size:
            return False
        if not full:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == record.sha256
    except OSError:
        return False
