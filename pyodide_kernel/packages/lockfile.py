"""A distribution's `pyodide-lock.json`: which packages there are, and what each one needs. Pure.

The file may come from anywhere, so it is read as hostile input: what does not have the expected
form is an error that names it, and a file name is never more than a name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import unquote, urlsplit

from pyodide_kernel.errors import PackageError

LOCK_NAME: Final = "pyodide-lock.json"
MAX_LOCK_BYTES: Final = 32 * 1024 * 1024
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+!-]*\.(?:whl|zip|tar|tar\.gz|tgz)")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")

Kind = Literal["package", "shared_library"]
_KINDS: Final[Mapping[str, Kind]] = {
    "package": "package",
    "cpython_module": "package",
    "shared_library": "shared_library",
}


def normalized(name: str) -> str:
    """The one spelling of a project's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_project_name(name: object) -> bool:
    """Whether it is a name that a project may have, so that it may stand in a path or URL."""
    return isinstance(name, str) and len(name) <= 200 and _NAME.fullmatch(name) is not None


def is_sha256(text: object) -> bool:
    """Whether it is a SHA-256 in lower-case hexadecimal."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One package of a distribution."""

    name: str
    """As the distribution spells it."""
    version: str
    file_name: str
    sha256: str
    imports: tuple[str, ...]
    depends: tuple[str, ...]
    """Normalized names."""
    kind: Kind
    install_dir: str = "site"
    unvendored_tests: bool = False

    def entry(self, *, depends: Sequence[str]) -> dict[str, Any]:
        """What a lock file says of it, with these needs."""
        return {
            "name": self.name,
            "version": self.version,
            "file_name": self.file_name,
            "sha256": self.sha256,
            "imports": list(self.imports),
            "depends": list(depends),
            "install_dir": self.install_dir,
            "package_type": self.kind,
            "unvendored_tests": self.unvendored_tests,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """All packages of a distribution, by normalized name."""

    source: str
    """Where it came from, for messages."""
    abi_version: str
    packages: Mapping[str, LockedPackage]

    def imports(self) -> dict[str, str]:
        """Normalized package names by the names of the modules that can be imported."""
        found: dict[str, str] = {}
        for key, package in self.packages.items():
            for module in package.imports:
                found.setdefault(module, key)
        return found

    def closure(self, names: Iterable[str], *, without: Iterable[str] = ()) -> list[LockedPackage]:
        """The packages and everything that they need, each after what it needs.

        What is in `without` (normalized names) counts as there. Raises PackageError if a name is
        missing.
        """
        done = set(without)
        ordered: list[LockedPackage] = []
        for name in names:
            self._visit(normalized(name), "", done, ordered)
        return ordered

    def _visit(
        self, name: str, needed_by: str, done: set[str], ordered: list[LockedPackage]
    ) -> None:
        pending = [(name, needed_by, False)]
        while pending:
            key, user, children_done = pending.pop()
            if children_done:
                ordered.append(self.packages[key])
                continue
            if key in done:
                continue
            done.add(key)
            if (package := self.packages.get(key)) is None:
                which = f"{user} needs {key!r}, which" if user else f"{key!r}"
                raise PackageError(f"{which} is not in the package distribution {self.source}")
            pending.append((key, user, True))
            pending.extend((child, package.name, False) for child in reversed(package.depends))


def parse_lock(data: bytes, *, source: str, urls: bool = False) -> Lock:
    """Read a `pyodide-lock.json`. Raises PackageError that names the source and what is wrong.

    With `urls` its files may be named by paths and URLs, of which the last part counts.
    """
    if len(data) > MAX_LOCK_BYTES:
        raise PackageError(f"{source} is larger than {MAX_LOCK_BYTES:,} bytes")
    try:
        value = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError):
        raise PackageError(
            f"{source} is not JSON; a package distribution has a {LOCK_NAME}"
        ) from None
    try:
        return Lock(
            source=source,
            abi_version=_text(value["info"], "abi_version"),
            packages={
                normalized(package.name): package
                for package in (_package(entry, urls) for entry in value["packages"].values())
            },
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise PackageError(f"{source} is not a {LOCK_NAME}: {reason}") from None


def _package(entry: Mapping[str, Any], urls: bool) -> LockedPackage:
    name = _text(entry, "name")
    if not is_project_name(name):
        raise ValueError(f"{name[:80]!r} is no name of a package")
    file_name, sha256 = _text(entry, "file_name"), _text(entry, "sha256")
    if urls:
        file_name = unquote(urlsplit(file_name).path).rpartition("/")[2]
    if _FILE_NAME.fullmatch(file_name) is None:
        raise ValueError(f"{file_name[:80]!r} of {name} is no plain name of a wheel")
    if not is_sha256(sha256):
        raise ValueError(f"{sha256[:80]!r} of {name} is no SHA-256")
    kind = _text(entry, "package_type")
    if kind not in _KINDS:
        raise ValueError(f"{name} is a {kind[:40]!r}, which this version does not know")
    return LockedPackage(
        name=name,
        version=_text(entry, "version"),
        file_name=file_name,
        sha256=sha256,
        imports=_texts(entry, "imports"),
        depends=tuple(map(normalized, _texts(entry, "depends"))),
        kind=_KINDS[kind],
        install_dir=_text(entry, "install_dir") if "install_dir" in entry else "site",
        unvendored_tests=entry.get("unvendored_tests") is True,
    )


def _text(entry: Mapping[str, Any], member: str) -> str:
    value = entry[member]
    if not isinstance(value, str):
        raise ValueError(f"{member} is a {type(value).__name__}")
    return value


def _texts(entry: Mapping[str, Any], member: str) -> tuple[str, ...]:
    value = entry[member]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{member} is not a list of texts")
    return tuple(value)
