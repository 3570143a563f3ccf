"""Deno's folder for compiled code (its `DENO_DIR`), which whoever makes a snapshot fills.

With it Deno neither translates the program nor compiles Pyodide's again. A session's Deno only
reads it: Landlock and the modes of its files see to that.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from pathlib import Path
from typing import Final

_SQLITE: Final = b"SQLite format 3\0"
_SHARED_MEMORY_BYTES: Final = 32768


def digest(folder: Path) -> str:
    """A digest of all files, their names included. Raises OSError."""
    total = hashlib.sha256()
    for path in _files(folder):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.relative_to(folder).as_posix()} {content}\n".encode())
    return total.hexdigest()


def _clean(folder: Path) -> None:
    """Remove links, which lead to what is not ours (Deno makes one to itself). Raises OSError."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            path.unlink()


def settle(folder: Path) -> None:
    """Make Deno's databases such that it can use them without writing. Raises OSError.

    Its process was killed, so that everything is in their logs, all of which each session would
    read; and it optimizes a database without statistics when it opens it, or does not use it.
    """
    import sqlite3  # not needed at a start

    _clean(folder)
    for path in _files(folder):
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) != _SQLITE:
                continue
        try:
            with contextlib.closing(sqlite3.connect(path)) as database:
                database.execute("ANALYZE")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise OSError(f"{path} can't be settled: {error}") from error
        # A database with a log can be read without the right to write only where these exist.
        path.with_name(f"{path.name}-wal").touch()
        path.with_name(f"{path.name}-shm").write_bytes(bytes(_SHARED_MEMORY_BYTES))


def protect(folder: Path) -> None:
    """Take away everybody's right to write there; links are removed. Raises OSError."""
    _clean(folder)
    for path in _files(folder):
        path.chmod(0o400)
    for path in _folders(folder):
        path.chmod(0o500)


def remove(folder: Path) -> None:
    """Remove it, protected or not. Raises OSError."""
    folder.chmod(0o700)
    for path in _folders(folder):
        path.chmod(0o700)
    shutil.rmtree(folder)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in _inside(folder) if path.is_file())


def _folders(folder: Path) -> list[Path]:
    return [*(path for path in _inside(folder) if path.is_dir()), folder]


def _inside(folder: Path) -> list[Path]:
    """All that is in it, without links: nothing outside of it is ever read or changed."""
    return [path for path in folder.rglob("*") if not path.is_symlink()]
