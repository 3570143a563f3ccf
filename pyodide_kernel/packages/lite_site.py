"""A built JupyterLite site: which Pyodide it has, its lock file and its index of wheels.

A site is a folder that the user names, but what is in it may come from anywhere: what does not have
the expected form is an error that names the file, and no path leads out of the folder.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.distribution import is_url
from pyodide_kernel.packages.indexes import IndexFile, read_file
from pyodide_kernel.packages.lockfile import normalized

CONFIG: Final = "jupyter-lite.json"
_PLUGIN: Final = "@jupyterlite/pyodide-kernel-extension:kernel"
_EXTENSION: Final = Path("extensions", *_PLUGIN.partition(":")[0].split("/"), "static")
_DEFAULTS: Final = _EXTENSION / "schema" / "kernel.v0.schema.json"
_OWN_INDEX: Final = _EXTENSION / "pypi" / "all.json"
_VERSION_IN_URL: Final = re.compile(r"/v?(\d+\.\d+\.\d+[a-z0-9.]*)/")
_VERSION_IN_CODE: Final = re.compile(r'[\w$]\s*=\s*"(\d+\.\d+\.\d+[a-z0-9.]*)"')
MAX_FILE_BYTES: Final = 64_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a site serves."""

    folder: Path
    pyodide: str
    """The version of its Pyodide; empty if it does not say."""
    distribution: str
    """Folder or URL of its Pyodide, where its packages are."""
    lock: str
    """Path or URL of a lock file of its own; empty if it is that beside its Pyodide."""
    indexes: tuple[SiteIndex, ...]
    other_indexes: bool
    """Whether packages may come from elsewhere too."""

    def notice(self, pyodide: str) -> str:
        """What the user should know if the kernel has this version of Pyodide; else empty."""
        if self.pyodide == pyodide:
            return ""
        has = f"Pyodide {self.pyodide}" if self.pyodide else "a Pyodide of unknown version"
        return (
            f"the site {self.folder} has {has}, and this kernel {pyodide}: the packages are the "
            "site's, the interpreter and its standard library are not"
        )


def read_site(folder: Path) -> Site:
    """Read a site. Raises PackageError if it is none."""
    config = _object(folder / CONFIG, folder)
    settings = _settings(config, folder / CONFIG)
    url = _text(settings, "pyodideUrl") or _default_url(folder)
    options = settings.get("loadPyodideOptions", {})
    lock = _text(options, "lockFileURL") if isinstance(options, dict) else ""
    distribution = _place(url.rpartition("/")[0], folder)
    names = settings.get("pipliteUrls", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise PackageError(f"{folder / CONFIG}: pipliteUrls is not a list of texts")
    return Site(
        folder=folder,
        pyodide=_version(url, distribution),
        distribution=distribution,
        lock=_place(lock, folder) if lock else "",
        indexes=tuple(_indexes(names, folder)),
        other_indexes=settings.get("disablePyPIFallback") is not True,
    )


def _settings(config: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
    found: Any = config
    for member in ("jupyter-config-data", "litePluginSettings", _PLUGIN):
        found = found.get(member, {})
        if not isinstance(found, dict):
            raise PackageError(f"{path}: {member} is not an object")
    return dict(found)


def _default_url(folder: Path) -> str:
    """What the site's kernel takes if its configuration says nothing."""
    schema = _object(folder / _DEFAULTS, folder)
    try:
        return str(schema["properties"]["pyodideUrl"]["default"])
    except (KeyError, TypeError):
        raise PackageError(f"{folder / _DEFAULTS} names no Pyodide") from None


def _version(url: str, distribution: str) -> str:
    if is_url(distribution):
        match = _VERSION_IN_URL.search(f"{urlsplit(url).path}/")
        return match[1] if match else ""
    folder = Path(distribution)
    try:
        return str(json.loads((folder / "package.json").read_text("utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # a site may have the programs alone, which say it too
    for name in ("pyodide.mjs", "pyodide.js"):
        try:
            match = _VERSION_IN_CODE.search((folder / name).read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if match:
            return match[1]
    return ""


def _indexes(names: Sequence[str], folder: Path) -> list[SiteIndex]:
    found: list[SiteIndex] = []
    for name in [*names, _OWN_INDEX.as_posix()]:
        parts = urlsplit(name)
        if parts.scheme or not parts.path.endswith("/all.json"):
            raise PackageError(f"{folder / CONFIG}: {name[:200]!r} is no index of the site")
        path = Path(_place(parts.path, folder))
        if name == _OWN_INDEX.as_posix() and not path.is_file():
            continue
        digest = re.search(r"sha256=([0-9a-f]{64})", parts.query)
        index = SiteIndex(path, digest[1] if digest else "")
        if index.url not in (other.url for other in found):
            found.append(index)
    return found


def _place(url: str, folder: Path) -> str:
    """A URL of another server as it is, else the path of what the site serves there."""
    if is_url(url):
        return url
    path = folder / unquote(urlsplit(url).path).lstrip("/")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise PackageError(f"{folder / CONFIG}: {url[:200]!r} leads out of the site")
    return str(path)


def _object(path: Path, folder: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read(path).decode("utf-8"))
    except FileNotFoundError:
        raise PackageError(
            f"--lite-site: {folder} is no built JupyterLite site with a Pyodide kernel: there is "
            f"no {path.relative_to(folder)}"
        ) from None
    except OSError as error:
        raise PackageError(f"--lite-site: {path} can't be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        raise PackageError(f"{path} is not JSON") from None
    if not isinstance(value, dict):
        raise PackageError(f"{path} is not an object")
    return value


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise PackageError(f"{path} is larger than {MAX_FILE_BYTES:,} bytes")
    return data


def _text(settings: Mapping[str, Any], member: str) -> str:
    value = settings.get(member, "")
    if not isinstance(value, str):
        raise PackageError(f"{CONFIG}: {member} is not a text")
    return value


class SiteIndex:
    """One of the site's indexes: wheels beside a file that lists them, with digests."""

    def __init__(self, path: Path, sha256: str) -> None:
        """`sha256` is that of the file itself, if the configuration says it."""
        self._path = path
        self._sha256 = sha256

    @property
    def url(self) -> str:
        """The path of the file."""
        return str(self._path)

    def files(self, project: str, cancelled: threading.Event) -> Sequence[IndexFile]:
        """The wheels of a project. Raises PackageError if one is not what it should be."""
        return [self._checked(file) for file in self._projects.get(project, ())]

    @cached_property
    def _projects(self) -> Mapping[str, Sequence[IndexFile]]:
        try:
            data = _read(self._path)
            value = json.loads(data.decode("utf-8"))
            found = {normalized(name): self._files(entry) for name, entry in value.items()}
        except OSError as error:
            raise PackageError(f"{self._path} can't be read ({error.strerror})") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise PackageError(f"{self._path} is no index of wheels: {error}") from None
        digest = hashlib.sha256(data).hexdigest()
        if self._sha256 and digest != self._sha256:
            raise PackageError(
                f"{self._path} has SHA-256 {digest}, but {CONFIG} says {self._sha256}; build the "
                "site again"
            )
        return found

    def _files(self, project: Mapping[str, Any]) -> list[IndexFile]:
        """Wheels that lie beside the index; a site serves no others itself."""
        found = []
        for release in project["releases"].values():
            for entry in release:
                link = str(entry["url"]).removeprefix("./")
                file = read_file(
                    {
                        "filename": entry["filename"],
                        "url": "https://site.invalid/",
                        "hashes": entry.get("digests", {}),
                        "requires-python": entry.get("requires_python"),
                        "yanked": entry.get("yanked", False),
                        "size": entry.get("size"),
                    }
                )
                if file is not None and link == file.filename:
                    found.append(replace(file, url=str(self._path.parent / link)))
        return found

    def _checked(self, file: IndexFile) -> IndexFile:
        try:
            with Path(file.url).open("rb") as wheel:
                digest = hashlib.file_digest(wheel, "sha256").hexdigest()
        except OSError as error:
            raise PackageError(f"{file.url} can't be read ({error.strerror})") from error
        if file.sha256 not in (None, digest):
            raise PackageError(
                f"{file.url} has SHA-256 {digest}, but {self._path} says {file.sha256}; it is not "
                "used"
            )
        return replace(file, sha256=digest)
