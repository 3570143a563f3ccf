"""The cache of wheels and images, shared by all kernels of a user and written by hosts only.

    wheels/SHA256             a wheel, by the digest of its content
    images/SHA256/            its image: what is in it, unpacked (archive.py)
    images/SHA256.pyc/        bytecode of its modules, an image too
    pages/SHA256              what an index or a distribution said, by the digest of the URL
    new/…                     what is being written

Everything is written beside its place and renamed, so it is there whole or not at all, however many
kernels write. What is read is checked. What was used longest ago goes first when it gets too much.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.image import BLOB, INDEX

log = logging.getLogger(__name__)

DEFAULT_LIMIT_BYTES: Final = 5_000_000_000
IN_USE_S: Final = 600.0
"""What was used in the last ten minutes stays: another kernel may be about to open it."""

ABANDONED_S: Final = 86_400.0
"""After a day, what is still being written belongs to a kernel that is gone."""

_PARTS: Final = ("wheels", "images", "pages")
BYTECODE: Final = ".pyc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one part of the cache holds."""

    part: str
    entries: int
    bytes: int


class Cache:
    """One cache folder. Safe in many threads and processes at once."""

    def __init__(self, folder: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self.folder = folder
        self._limit_bytes = limit_bytes

    @property
    def images(self) -> Path:
        """The folder that interpreters may read."""
        return self.folder / "images"

    def prepare(self) -> None:
        """Make the folders. Raises PackageError if that is not possible."""
        try:
            for part in (*_PARTS, "new"):
                (self.folder / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise PackageError(
                f"the package cache {self.folder} can't be used ({error.strerror}); "
                "set another folder with --cache-dir"
            ) from error

    # Wheels

    def wheel(self, sha256: str) -> Path | None:
        """A wheel of that digest, if it is here and intact; a damaged one is removed."""
        path = self.folder / "wheels" / sha256
        try:
            with path.open("rb") as file:
                intact = hashlib.file_digest(file, "sha256").hexdigest() == sha256
        except OSError:
            return None
        if not intact:
            log.warning("Removed a damaged wheel from the package cache: %s", path)
            path.unlink(missing_ok=True)
            return None
        _touch(path)
        return path

    def keep_wheel(self, sha256: str, file: Path) -> Path:
        """Move a file, whose digest was checked, to its place."""
        path = self.folder / "wheels" / sha256
        file.replace(path)
        return path

    # Images

    def image(self, key: str) -> Path | None:
        """The folder of an image, if it is here and whole; a damaged one is removed."""
        path = self.images / key
        try:
            blob = json.loads((path / INDEX).read_text("utf-8"))["blob"]
            with (path / BLOB).open("rb") as file:
                intact = hashlib.file_digest(file, "sha256").hexdigest() == blob["sha256"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            intact = False
        if not intact:
            log.warning("Removed a damaged image from the package cache: %s", path)
            self._remove(path)
            return None
        _touch(path)
        return path

    def keep_image(self, key: str, write: Callable[[Path], None]) -> Path:
        """Have an image written into an empty folder, and move that to its place."""
        path = self.images / key
        with self.scratch() as scratch:
            new = scratch / "image"
            new.mkdir()
            write(new)
            try:
                new.rename(path)
            except OSError:
                if not (path / INDEX).is_file():  # another kernel was faster otherwise
                    raise
        return path

    # Pages

    def page(self, url: str) -> tuple[bytes, float] | None:
        """What was said at a URL, and how many seconds ago."""
        path = self.folder / "pages" / _key(url)
        try:
            age = time.time() - path.stat().st_mtime
            digest, _, data = path.read_bytes().partition(b"\n")
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest().encode() != digest:
            log.warning("Removed a damaged page from the package cache: %s", path)
            path.unlink(missing_ok=True)
            return None
        return data, age

    def keep_page(self, url: str, data: bytes) -> None:
        """Remember what was said at a URL."""
        with self.scratch() as scratch:
            new = scratch / "page"
            new.write_bytes(hashlib.sha256(data).hexdigest().encode() + b"\n" + data)
            new.replace(self.folder / "pages" / _key(url))

    # House-keeping

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder of its own on the same file system, gone afterwards."""
        try:
            with tempfile.TemporaryDirectory(dir=self.folder / "new") as name:
                yield Path(name)
        except OSError as error:
            raise PackageError(
                f"the package cache {self.folder} can't be written ({error.strerror or error})"
            ) from error

    def usage(self) -> list[Usage]:
        """What each part holds."""
        return [
            Usage(part=part, entries=len(entries), bytes=sum(size for _, size, _ in entries))
            for part in _PARTS
            if (entries := list(self._entries(part))) is not None
        ]

    def clear(self) -> int:
        """Remove everything; how many bytes that was."""
        freed = sum(usage.bytes for usage in self.usage())
        for part in (*_PARTS, "new"):
            for entry in _listing(self.folder / part):
                self._remove(entry)
        return freed

    def evict(self) -> int:
        """Remove what was used longest ago until the cache is below its limit; bytes freed."""
        now = time.time()
        for entry in _listing(self.folder / "new"):
            if now - _modified(entry) > ABANDONED_S:
                self._remove(entry)
        entries = sorted(entry for part in _PARTS for entry in self._entries(part))
        total = sum(size for _, size, _ in entries)
        freed = 0
        for used, size, path in entries:
            if total - freed <= self._limit_bytes or now - used < IN_USE_S:
                break
            self._remove(path)
            freed += size
        return freed

    def _entries(self, part: str) -> Iterator[tuple[float, int, Path]]:
        """Time of last use, size and path of each entry."""
        for path in _listing(self.folder / part):
            files = _listing(path) if path.is_dir() else [path]
            with contextlib.suppress(OSError):  # removed meanwhile
                yield path.stat().st_mtime, sum(file.stat().st_size for file in files), path

    def _remove(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError), self.scratch() as scratch:
                path.rename(scratch / "removed")  # so that nobody sees half of it
        else:
            path.unlink(missing_ok=True)
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()


def _touch(path: Path) -> None:
    with contextlib.suppress(OSError):  # a cache that is shared read-only still serves
        os.utime(path)


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
