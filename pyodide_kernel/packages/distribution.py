"""A package distribution: a lock file, and the archives that it lists beside it."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.lockfile import (
    LOCK_NAME,
    MAX_LOCK_BYTES,
    Lock,
    LockedPackage,
    normalized,
    parse_lock,
)
from pyodide_kernel.packages.origins import redacted

if TYPE_CHECKING:
    from pyodide_kernel.packages.downloads import Downloads

FRESH_S: Final = 86_400.0
"""How long the lock file of a URL counts as what it would say now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Where packages lie that have a lock."""

    lock: Lock
    folder: Path | None = None
    url: str = ""
    """Of the folder behind it, if there is no `folder`."""
    elsewhere: Distribution | None = None
    """For a lock file of the user's own: where its archives may be if not beside it."""

    def local(self, package: LockedPackage) -> Path | None:
        """The archive, if it lies in a folder. Raises PackageError if it is damaged."""
        if self.folder is None:
            return None
        path = self.folder / package.file_name
        if self.elsewhere is not None and not path.exists():
            return self.elsewhere.local(package) if self.elsewhere.lists(package) else None
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise PackageError(
                f"{package.name} {package.version} can't be loaded: {path} can't be read "
                f"({error.strerror})"
            ) from error
        if found != package.sha256:
            raise PackageError(
                f"{path} has SHA-256 {found}, but the lock file says {package.sha256}; "
                "it is not used"
            )
        return path

    def remote(self, package: LockedPackage) -> str:
        """The URL of the archive; empty if only an index may have it."""
        if self.elsewhere is not None:
            return self.elsewhere.remote(package) if self.elsewhere.lists(package) else ""
        return f"{self.url.rstrip('/')}/{quote(package.file_name)}"

    def lists(self, package: LockedPackage) -> bool:
        """Whether the lock file names the same archive."""
        own = self.lock.packages.get(normalized(package.name))
        return own is not None and own.sha256 == package.sha256


def is_url(text: str) -> bool:
    """Whether a setting names a URL rather than a folder."""
    return "://" in text


def open_distribution(
    setting: str,
    *,
    default_url: str,
    runtime_lock: Path,
    cache: Cache,
    downloads: Callable[[], Downloads],
) -> Distribution:
    """The distribution that a setting names; Pyodide's own if it is empty.

    Raises PackageError if it can't be read, or is for another version of Pyodide.
    """
    own = parse_lock(runtime_lock.read_bytes(), source=redacted(default_url))
    if not setting:
        return Distribution(lock=own, url=default_url)
    if is_url(setting):
        url = setting.removesuffix(LOCK_NAME).rstrip("/") + "/"
        lock = parse_lock(_fetch_lock(url + LOCK_NAME, cache, downloads()), source=redacted(url))
        found = Distribution(lock=lock, url=url)
    else:
        folder = Path(setting).expanduser().absolute()
        found = Distribution(lock=_read_lock(folder / LOCK_NAME), folder=folder)
    check_abi(found.lock, own.abi_version)
    return found


def check_abi(lock: Lock, wanted: str) -> None:
    """Raise PackageError if a lock file is for another version of Pyodide."""
    if lock.abi_version != wanted:
        raise PackageError(
            f"{lock.source} has packages for the ABI {lock.abi_version}, but this kernel's Pyodide "
            f"has {wanted}; take the one of the same Pyodide version"
        )


def with_lock(
    path: Path, elsewhere: Distribution | None, *, abi: str, urls: bool = False
) -> Distribution:
    """What a lock file of the user's own names, beside it or elsewhere.

    `urls`: whether it may name files by URLs, of which the last part counts.

    Raises PackageError if it can't be read, or is for another version of Pyodide.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PackageError(f"the lock file {path} can't be read ({error.strerror})") from error
    lock = parse_lock(data, source=str(path), urls=urls)
    check_abi(lock, abi)
    nowhere = Distribution(lock=Lock(source="", abi_version=abi, packages={}))
    return Distribution(lock=lock, folder=path.parent, elsewhere=elsewhere or nowhere)


def _read_lock(path: Path) -> Lock:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PackageError(
            f"--package-url: {path} can't be read ({error.strerror}); a folder with a {LOCK_NAME} "
            "is needed"
        ) from error
    return parse_lock(data, source=str(path.parent))


def _fetch_lock(url: str, cache: Cache, downloads: Downloads) -> bytes:
    saved = cache.page(redacted(url))
    if saved is not None and (downloads.offline or saved[1] < FRESH_S):
        return saved[0]
    body = io.BytesIO()
    try:
        downloads.fetch(url, body, limit_bytes=MAX_LOCK_BYTES, cancelled=threading.Event())
        parse_lock(body.getvalue(), source=redacted(url))
    except PackageError:
        if saved is None:
            raise
        return saved[0]
    cache.keep_page(redacted(url), body.getvalue())
    return body.getvalue()
