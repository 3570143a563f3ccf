"""Entries of a lock file, from what was loaded."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.image import BLOB, INDEX
from pyodide_kernel.packages.lockfile import LockedPackage, normalized
from pyodide_kernel.packages.markers import requires

_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
_MODULE: Final = re.compile(r"([A-Za-z_]\w*)(?:\.py|(?:\.[\w-]+)?\.so)")
_PACKAGE: Final = re.compile(r"([A-Za-z_]\w*)/(?:.*/)?[^/]+\.(?:py|so)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A wheel of an index that was loaded."""

    name: str
    version: str
    file_name: str
    sha256: str
    imports: tuple[str, ...]
    metadata: str

    def locked(self, depends: Sequence[str]) -> LockedPackage:
        """The same as a package of a lock file."""
        return LockedPackage(
            name=self.name,
            version=self.version,
            file_name=self.file_name,
            sha256=self.sha256,
            imports=self.imports,
            depends=tuple(depends),
            kind="package",
        )


def read_wheel(image: Path, *, name: str, version: str, file_name: str, sha256: str) -> Wheel:
    """A wheel, from its image. Raises PackageError if that is not one of a wheel."""
    try:
        files: Mapping[str, Sequence[int]] = json.loads((image / INDEX).read_text("utf-8"))["files"]
        (place,) = (file for file in files if _METADATA.fullmatch(file))
        offset, size = files[place]
        with (image / BLOB).open("rb") as blob:
            blob.seek(offset)
            metadata = blob.read(size).decode("utf-8")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackageError(f"the image of {name} {version} can't be read: {error}") from error
    return Wheel(
        name=name,
        version=version,
        file_name=file_name,
        sha256=sha256,
        imports=tuple(modules_of(files)),
        metadata=metadata,
    )


def modules_of(files: Iterable[str]) -> list[str]:
    """Top-level modules among the files of a wheel."""
    matches = (_MODULE.fullmatch(file) or _PACKAGE.fullmatch(file) for file in files)
    return sorted({match[1] for match in matches if match})


def lock_entries(
    wheels: Sequence[Wheel],
    locked: Sequence[LockedPackage],
    requirements: Sequence[str],
    environment: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    """Entries by normalized name, in the order of the names.

    `locked` are packages of the distribution; `requirements` is what was asked for, whose extras
    count. What an entry needs and is not among them is what the kernel brings.
    """
    names = {normalized(wheel.name) for wheel in wheels}
    names |= {normalized(package.name) for package in locked}
    entries = {
        normalized(package.name): package.entry(
            depends=[name for name in package.depends if name in names]
        )
        for package in locked
    }
    depends = _needs_of_wheels(wheels, requirements, environment)
    for wheel in wheels:
        name = normalized(wheel.name)
        own = [need for need in depends[name] if need in names]
        entries[name] = wheel.locked(own).entry(depends=own)
    return dict(sorted(entries.items()))


def _needs_of_wheels(
    wheels: Sequence[Wheel], requirements: Sequence[str], environment: Mapping[str, str]
) -> dict[str, list[str]]:
    """What each wheel needs, with all the extras that anything asks of it."""
    extras: dict[str, set[str]] = {}
    _note_extras(map(Requirement, requirements), extras)
    while True:
        before = {name: set(found) for name, found in extras.items()}
        needs: dict[str, list[str]] = {}
        for wheel in wheels:
            name = normalized(wheel.name)
            found = requires(wheel.metadata, environment, extras.get(name, ()))
            _note_extras(found, extras)
            needs[name] = list(dict.fromkeys(normalized(need.name) for need in found))
        if extras == before:
            return {name: [need for need in own if need != name] for name, own in needs.items()}


def _note_extras(requirements: Iterable[Requirement], extras: dict[str, set[str]]) -> None:
    for wanted in requirements:
        if wanted.extras:
            extras.setdefault(normalized(wanted.name), set()).update(wanted.extras)
