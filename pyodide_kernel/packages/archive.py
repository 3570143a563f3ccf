"""Wheels to images: what an archive holds, checked and written as one blob and an index.

An archive is hostile input. Nothing of it is ever a path on this machine: names become keys of the
index, contents go one after the other into the blob. What is odd is refused, not repaired.
"""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.image import ImageWriter

MAX_FILES: Final = 50_000
"""The largest packages have some 10,000 files."""

MAX_UNPACKED_BYTES: Final = 1_500_000_000
MAX_METADATA_BYTES: Final = 4_000_000
_CHUNK: Final = 1024 * 1024

_SITE_SCHEMES: Final = ("purelib", "platlib")
"""Parts of a wheel's data folder that belong beside its modules; the others have no place here."""

_DATA: Final = re.compile(r"[^/]+\.data/([^/]+)/(.+)")
_DIST_INFO: Final = re.compile(r"[^/]+\.dist-info")


def _chunks(source: Any, limit: int) -> Iterator[bytes]:
    size = 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise ValueError("it unpacks to more than it says")
        yield chunk


def write_image(archive: Path, folder: Path, *, name: str, origin: str) -> None:
    """Write the image of a wheel, or of a zip archive of libraries, into an empty folder.

    `name` is for messages, `origin` what tools show as the source of the package. Raises
    PackageError if there is anything wrong with the archive.
    """
    try:
        with zipfile.ZipFile(archive) as source, ImageWriter(folder) as image:
            places = _places(source)
            for member, place in places.items():
                info = source.getinfo(member)
                with source.open(info) as stream:
                    image.copy(place, _chunks(stream, info.file_size))
            for place, text in _notes(places.values(), origin).items():
                image.add(place, text.encode())
            image.finish()
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise PackageError(f"{name} is not usable: {error}") from error


def _places(archive: zipfile.ZipFile) -> dict[str, str]:
    """Where each member belongs in the image. Raises ValueError."""
    members = archive.infolist()
    if len(members) > MAX_FILES:
        raise ValueError(f"it has {len(members):,} files, more than {MAX_FILES:,}")
    if (total := sum(info.file_size for info in members)) > MAX_UNPACKED_BYTES:
        raise ValueError(f"it unpacks to {total:,} bytes, more than {MAX_UNPACKED_BYTES:,}")
    places: dict[str, str] = {}
    for info in members:
        check_member(info)
        if info.is_dir():
            continue
        if info.filename in places:
            raise ValueError(f"{info.filename!r} is in it twice")
        if place := _place(info.filename):
            places[info.filename] = place
    _check_tree(places.values())
    return places


def check_member(info: zipfile.ZipInfo) -> None:
    """Raise ValueError if a member of an archive is not a plain file or folder below its root."""
    name = info.filename
    shown = repr(name[:200])
    if name.startswith("/") or "\\" in name or ":" in name.split("/", 1)[0] or "\0" in name:
        raise ValueError(f"{shown} in it is no relative path")
    parts = name.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{shown} in it leads elsewhere")
    if len(name) > 1000 or any(len(part.encode()) > 255 for part in parts):
        raise ValueError(f"{shown} in it is too long")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ValueError(f"{shown} in it is a link or a special file")
    if info.flag_bits & 1:
        raise ValueError(f"{shown} in it is encrypted")


def _place(member: str) -> str | None:
    match = _DATA.fullmatch(member)
    if match is None:
        return member
    return match[2] if match[1] in _SITE_SCHEMES else None


def _check_tree(places: Any) -> None:
    files = set(places)
    for place in files:
        folder = place.rpartition("/")[0]
        while folder:
            if folder in files:
                raise ValueError(f"{folder!r} in it is a file and a folder")
            folder = folder.rpartition("/")[0]


def _notes(places: Any, origin: str) -> Mapping[str, str]:
    """What an installer leaves in the metadata: who it was, and where the package came from."""
    infos = {top for place in places if _DIST_INFO.fullmatch(top := place.split("/", 1)[0])}
    existing = set(places)
    notes = {
        f"{info}/{file}": text
        for info in infos
        for file, text in (("INSTALLER", "pyodide-kernel\n"), ("PYODIDE_SOURCE", origin))
    }
    return {place: text for place, text in notes.items() if place not in existing}


def read_metadata(archive: Path, *, name: str) -> str:
    """The METADATA of a wheel. Raises PackageError if there is not one, and exactly one."""
    try:
        with zipfile.ZipFile(archive) as source:
            found = [
                info
                for info in source.infolist()
                if re.fullmatch(r"[^/]+\.dist-info/METADATA", info.filename)
            ]
            if len(found) != 1 or found[0].file_size > MAX_METADATA_BYTES:
                raise ValueError(f"{len(found)} of its files are METADATA")
            return source.read(found[0]).decode("utf-8")
    except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise PackageError(f"{name} is not usable: {error}") from error
