"""Package indexes: what files a project has there (PEP 503 and 691), read as hostile input."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import unquote, urljoin, urlsplit

from pyodide_kernel.errors import NotThereError, PackageError
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.downloads import MAX_PAGE_BYTES, Downloads
from pyodide_kernel.packages.lockfile import is_sha256, normalized
from pyodide_kernel.packages.origins import redacted

ACCEPT: Final = (
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.1"
)
FRESH_S: Final = 600.0
"""How long a page counts as what the index would say now."""

_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFile:
    """One file of a project."""

    filename: str
    url: str
    """A URL, or the path of a file for a folder of wheels."""
    sha256: str | None
    requires_python: str
    yanked: str | bool
    metadata: bool
    """Whether the metadata is at the same URL with `.metadata` after it."""
    metadata_sha256: str | None = None
    size: int | None = None


class Index(Protocol):
    """Something that lists files of projects."""

    @property
    def url(self) -> str:
        """How it was configured."""

    def files(self, project: str, cancelled: threading.Event) -> Sequence[IndexFile]:
        """The files of a project; none if it has no such project. Raises PackageError."""


class WebIndex:
    """An index behind a URL."""

    def __init__(self, url: str, *, downloads: Downloads, cache: Cache) -> None:
        self._url = url.rstrip("/")
        self._downloads = downloads
        self._cache = cache
        self._read: dict[str, Sequence[IndexFile]] = {}

    @property
    def url(self) -> str:
        """How it was configured, credentials included."""
        return self._url

    def files(self, project: str, cancelled: threading.Event) -> Sequence[IndexFile]:
        """The files of a project; none if it has no such project. Raises PackageError."""
        if (known := self._read.get(project)) is None:
            known = self._read[project] = self._ask(f"{self._url}/{project}/", project, cancelled)
        return known

    def _ask(self, url: str, project: str, cancelled: threading.Event) -> Sequence[IndexFile]:
        key = redacted(url)
        saved = self._cache.page(key)
        if saved is not None and (self._downloads.offline or saved[1] < FRESH_S):
            page = _Page.unpack(saved[0])
        else:
            try:
                page = self._fetch(url, cancelled)
            except NotThereError:
                return ()
            except PackageError:
                if saved is None:
                    raise
                page = _Page.unpack(saved[0])  # what it said last time is better than nothing
            else:
                self._cache.keep_page(key, page.pack())
        return read_page(page.data, page.content_type, url=page.url, project=project)

    def _fetch(self, url: str, cancelled: threading.Event) -> _Page:
        body = io.BytesIO()
        answer = self._downloads.fetch(
            url, body, limit_bytes=MAX_PAGE_BYTES, accept=ACCEPT, cancelled=cancelled
        )
        page = _Page(data=body.getvalue(), content_type=answer.content_type, url=answer.url)
        read_page(page.data, page.content_type, url=page.url, project="")
        return page


@dataclass(frozen=True, slots=True, kw_only=True)
class _Page:
    data: bytes
    content_type: str
    url: str

    def pack(self) -> bytes:
        head = {"content_type": self.content_type, "url": redacted(self.url)}
        return json.dumps(head).encode() + b"\n" + self.data

    @classmethod
    def unpack(cls, packed: bytes) -> _Page:
        head, _, data = packed.partition(b"\n")
        return cls(data=data, **json.loads(head))


class FolderIndex:
    """A folder of wheels on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def url(self) -> str:
        """The path of the folder."""
        return str(self._folder)

    def files(self, project: str, cancelled: threading.Event) -> Sequence[IndexFile]:
        """The wheels of a project. Raises PackageError if the folder can't be read."""
        try:
            paths = sorted(self._folder.glob("*.whl"))
            return [
                IndexFile(
                    filename=path.name,
                    url=str(path),
                    sha256=_digest(path),
                    requires_python="",
                    yanked=False,
                    metadata=False,
                )
                for path in paths
                if normalized(path.name.split("-", 1)[0]) == project
            ]
        except OSError as error:
            raise PackageError(f"{self._folder} can't be read ({error.strerror})") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_page(data: bytes, content_type: str, *, url: str, project: str) -> Sequence[IndexFile]:
    """The files that a page lists. Raises PackageError if it is not a page of an index."""
    form = content_type.split(";")[0].strip().lower()
    try:
        text = data.decode("utf-8")
        if form in ("application/vnd.pypi.simple.v1+json", "application/json"):
            entries = _json_entries(text)
        elif form in ("application/vnd.pypi.simple.v1+html", "text/html"):
            entries = _html_entries(text, url)
        else:
            raise ValueError(f"it is {form or 'of no known type'}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackageError(f"{redacted(url)} is not a page of a package index: {error}") from error
    found = (read_file(entry, url) for entry in entries)
    return [file for file in found if file is not None]


def _json_entries(text: str) -> list[Mapping[str, Any]]:
    try:
        files = json.loads(text)["files"]
    except ValueError:
        raise ValueError("it is not JSON") from None
    if not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
        raise ValueError("its files are not a list of objects")
    return files


def read_file(entry: Mapping[str, Any], page: str = "") -> IndexFile | None:
    """A file in the form of PEP 691; None if the entry is unusable: its neighbours may be fine."""
    filename, link = entry.get("filename"), entry.get("url")
    if not isinstance(filename, str) or _FILE.fullmatch(filename) is None:
        return None
    if not isinstance(link, str):
        return None
    try:
        url = urljoin(page, link)
        urlsplit(url)
    except ValueError:
        return None
    hashes = entry.get("hashes")
    digest = hashes.get("sha256") if isinstance(hashes, dict) else None
    core = entry.get("core-metadata", entry.get("data-dist-info-metadata"))
    core_digest = core.get("sha256") if isinstance(core, dict) else None
    yanked, size = entry.get("yanked", False), entry.get("size")
    requires = entry.get("requires-python")
    return IndexFile(
        filename=filename,
        url=url,
        sha256=digest if is_sha256(digest) else None,
        requires_python=requires if isinstance(requires, str) else "",
        yanked=yanked if isinstance(yanked, str | bool) else False,
        metadata=bool(core),
        metadata_sha256=core_digest if is_sha256(core_digest) else None,
        size=size if type(size) is int else None,
    )


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[dict[str, str]] = []
        self.tags = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += 1
        if tag == "a":
            self.links.append({name: value or "" for name, value in attrs})


def _html_entries(text: str, page: str) -> list[Mapping[str, Any]]:
    parser = _Links()
    parser.feed(text)
    if not parser.tags:
        raise ValueError("it has no HTML in it")
    return [_html_entry(link) for link in parser.links]


def _html_entry(link: Mapping[str, str]) -> Mapping[str, Any]:
    href, _, fragment = link.get("href", "").partition("#")
    digest = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else None
    core = link.get("data-core-metadata", link.get("data-dist-info-metadata"))
    return {
        "filename": unquote(urlsplit(href).path.rpartition("/")[2]) if href else "",
        "url": href,
        "hashes": {"sha256": digest} if digest else {},
        "requires-python": link.get("data-requires-python", ""),
        "yanked": link["data-yanked"] or True if "data-yanked" in link else False,
        "core-metadata": (
            {"sha256": core.removeprefix("sha256=")}
            if core and core.startswith("sha256=")
            else core is not None
        ),
    }


Wanted = Callable[[IndexFile], bool]


def runs_here(file: IndexFile) -> bool:
    """Whether it may be a wheel for the guest; micropip looks closer."""
    name = file.filename
    return name.endswith("-none-any.whl") or name.endswith("_wasm32.whl")


def fits_python(file: IndexFile, python: str) -> bool:
    """Whether it is for this version of Python; what can't be read counts as yes, as for pip."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(file.requires_python).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True
