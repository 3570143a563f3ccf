"""Where memory snapshots are kept: found, verified, added, and the old ones removed.

A folder of this user's alone with two files for each snapshot: the memory, under a name made of
its contents, and a record under the name of the key, which is a digest of all that the snapshot was
made from. The record comes last and replaces a former one in one step, so what it names is
complete.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pyodide_kernel.bridge import code_folder

log = logging.getLogger(__name__)

KEPT: Final = 3
"""Snapshots that stay: of this version, and of others that may be in use beside it."""

_NAME: Final = re.compile(r"[0-9a-f]{64}\.memory")
_RECORD_BYTES: Final = 4096


class NoSnapshotError(Exception):
    """There is no snapshot to be used; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One snapshot as its record describes it."""

    path: Path
    size: int
    sha256: str
    code: Path | None = None
    """Folder of Deno's compiled code, if there is one."""

    def is_intact(self) -> bool:
        """Whether the file holds what was made. Reads all of it."""
        try:
            with self.path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


class SnapshotStore:
    """The snapshots in one folder, for interpreters made from what `key` stands for."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = folder
        self._record = folder / f"{key}.json"

    def find(self) -> Snapshot:
        """The snapshot for this key, its size checked. Raises NoSnapshotError."""
        try:
            text = self._read_record()
        except (FileNotFoundError, NotADirectoryError):
            raise NoSnapshotError(self._missing()) from None
        except OSError as error:
            raise NoSnapshotError(f"{self._record} can't be read ({error.strerror})") from error
        try:
            record = json.loads(text)
            name, size, sha256 = record["name"], record["size"], record["sha256"]
            code = record["code"]
            valid = _NAME.fullmatch(name) and type(size) is int and name == f"{sha256}.memory"
        except (ValueError, KeyError, TypeError):
            valid = None
        if not valid:
            raise NoSnapshotError(f"{self._record} is damaged")
        snapshot = Snapshot(
            path=self.folder / name,
            size=size,
            sha256=sha256,
            code=self.folder / f"{sha256}.code" if code else None,
        )
        self._check(snapshot)
        if snapshot.code is not None and _digest(snapshot.code) != code:
            raise NoSnapshotError(f"{snapshot.code} is damaged")
        return snapshot

    def _read_record(self) -> bytes:
        with self._record.open("rb") as file:
            return file.read(_RECORD_BYTES)

    def _check(self, snapshot: Snapshot) -> None:
        try:
            status = snapshot.path.lstat()
        except OSError as error:
            raise NoSnapshotError(f"{snapshot.path} is missing ({error.strerror})") from error
        if status.st_size != snapshot.size:
            raise NoSnapshotError(
                f"{snapshot.path} has {status.st_size:,} bytes instead of {snapshot.size:,}"
            )
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
            raise NoSnapshotError(f"{snapshot.path} could have been changed by other users")

    def _missing(self) -> str:
        try:
            self._make_folder()
            with tempfile.TemporaryFile(dir=self.folder):
                return "none has been made yet"
        except OSError as error:
            return f"none has been made, nor can be in {self.folder} ({error.strerror})"

    def writable(self) -> bool:
        """Whether a snapshot can be added."""
        try:
            self._make_folder()
            with tempfile.TemporaryFile(dir=self.folder):
                return True
        except OSError:
            return False

    def _make_folder(self) -> None:
        if not self.folder.is_absolute():
            raise OSError(0, "there is no home folder")
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)

    def add(self, data: bytes | memoryview, code: Path | None = None) -> Snapshot:
        """Keep a snapshot from now on, and remove old ones. Raises OSError.

        `code` is a folder made by `new_code_folder`, which is taken over. If its databases can't be
        settled, there is no compiled code.
        """
        self._make_folder()
        if code is not None:
            try:
                code_folder.settle(code)
            except OSError as error:
                log.warning("No compiled code is kept, so that starts take longer: %s", error)
                code_folder.remove(code)
                code = None
        sha256 = hashlib.sha256(data).hexdigest()
        snapshot = Snapshot(
            path=self.folder / f"{sha256}.memory",
            size=len(data),
            sha256=sha256,
            code=self.folder / f"{sha256}.code" if code else None,
        )
        self._write(snapshot.path, data)
        if code is not None and snapshot.code is not None:
            if snapshot.code.exists():
                code_folder.remove(snapshot.code)
            code.rename(snapshot.code)
            code_folder.protect(snapshot.code)
        record = {
            "name": snapshot.path.name,
            "size": snapshot.size,
            "sha256": sha256,
            "code": code_folder.digest(snapshot.code) if snapshot.code else "",
        }
        self._write(self._record, json.dumps(record).encode())
        self._remove_old()
        return snapshot

    def _write(self, path: Path, data: bytes | memoryview) -> None:
        """Write a file that is there completely or not at all, whatever happens."""
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=_PREFIX, delete=False) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def new_code_folder(self) -> Path:
        """An empty folder for compiled code, to be given to `add`. Raises OSError."""
        return Path(tempfile.mkdtemp(dir=self.folder, prefix=_PREFIX))

    def discard(self) -> None:
        """Forget the snapshot for this key, so that nobody uses it again."""
        with contextlib.suppress(OSError):  # in a folder that can't be written it stays
            self._record.unlink(missing_ok=True)

    def _remove_old(self) -> None:
        """Remove records beyond KEPT, and files that no record names."""
        records = sorted(self.folder.glob("*.json"), key=_age)
        for record in records[KEPT:]:
            record.unlink(missing_ok=True)
        named = set()
        for record in records[:KEPT]:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                named.add(json.loads(record.read_bytes())["name"])
        for file in self.folder.glob("*.memory"):
            if file.name not in named:
                file.unlink(missing_ok=True)
        for folder in self.folder.glob("*.code"):
            if f"{folder.stem}.memory" not in named:
                code_folder.remove(folder)

    def _remove_unfinished(self) -> None:
        """Remove what a process that was killed has left."""
        for path in self.folder.glob(f"{_PREFIX}*"):
            if path.is_dir():
                code_folder.remove(path)
            else:
                path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def making(self, *, wait: bool = False) -> Iterator[bool]:
        """Whether it is up to us to make a snapshot: not while another process does.

        With `wait` it is, as soon as no other does; there may be one then. The lock is the
        system's, so it does not outlive its process.
        """
        self._make_folder()
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            ours = _lock(descriptor, wait=wait)
            if ours:
                self._remove_unfinished()
            yield ours
        finally:
            os.close(descriptor)


_PREFIX: Final = "new-"


def _digest(folder: Path) -> str:
    try:
        return code_folder.digest(folder)
    except OSError:
        return ""


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:
        return 0.0


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Take the lock; whether that worked."""
    try:
        import fcntl
    except ImportError:  # Windows, which waits for 10 s
        import msvcrt

        def take() -> None:
            how = msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK  # type: ignore[attr-defined,unused-ignore]  # of Windows
            msvcrt.locking(descriptor, how, 1)  # type: ignore[attr-defined,unused-ignore]  # of Windows
    else:

        def take() -> None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    try:
        take()
    except OSError:
        return False
    return True
