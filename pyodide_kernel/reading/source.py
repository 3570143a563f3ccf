"""Notebooks, scripts and requirements files, read without running anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from pyodide_kernel.errors import ConfigurationError

Kind = Literal["notebook", "script", "requirements"]

_KINDS: Final[Mapping[str, Kind]] = {
    ".ipynb": "notebook",
    ".py": "script",
    ".txt": "requirements",
    ".in": "requirements",
}

METADATA_KEY: Final = "pyodide_kernel"
"""The member of a notebook's metadata that is ours; its `dependencies` are requirements."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something stands."""

    file: str
    cell: int
    """Its position among all cells of a notebook, from 1; 0 for the metadata and in other files."""
    line: int
    """From 1; 0 for a notebook's metadata."""

    def __str__(self) -> str:
        if not self.line:
            return f"{self.file}, metadata"
        cell = f"cell {self.cell}, " if self.cell else ""
        return f"{self.file}, {cell}line {self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Text that is run in one go: a cell, or a whole file."""

    code: str
    place: Place
    """Of its first line."""
    ipython: bool
    """Whether IPython's syntax may be in it."""

    def at(self, line: int) -> Place:
        """The place of one of its lines, counted from 1."""
        return Place(self.place.file, self.place.cell, self.place.line + line - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was read from a file."""

    path: Path
    kind: Kind
    units: Sequence[Unit]
    declared: Sequence[str] = ()
    """Requirements in a notebook's metadata."""

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.name

    @property
    def folder(self) -> Path:
        """Where it lies; local modules are found there."""
        return self.path.absolute().parent


def read_source(path: Path) -> Source:
    """Read a file. Raises ConfigurationError if it is not there, or not what its name says."""
    kind = _KINDS.get(path.suffix)
    if kind is None:
        raise ConfigurationError(
            f"{path} is neither a notebook (.ipynb), nor a script (.py), nor a requirements file "
            "(.txt)"
        )
    text = read_text(path)
    if kind == "notebook":
        return _notebook(path, text)
    return Source(path=path, kind=kind, units=[script_unit(path, text)])


def script_unit(path: Path, text: str) -> Unit:
    """A whole file as one unit."""
    return Unit(code=text, place=Place(path.name, 0, 1), ipython=False)


def read_text(path: Path) -> str:
    """The text of a file. Raises ConfigurationError."""
    try:
        return path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8 text ({error.reason})") from error


def _notebook(path: Path, text: str) -> Source:
    try:
        value = json.loads(text)
        if value["nbformat"] < 4:
            raise ConfigurationError(
                f"{path} has the notebook format {value['nbformat']}; bring it up to date with: "
                f"jupyter nbconvert --to notebook --inplace {path}"
            )
        metadata, cells = value.get("metadata", {}), value["cells"]
        language = _language(metadata)
        units = [
            Unit(code=_cell_text(cell), place=Place(path.name, number, 1), ipython=True)
            for number, cell in enumerate(cells, start=1)
            if cell["cell_type"] == "code"
        ]
    except (ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not a notebook: it is not JSON") from None
    except (KeyError, TypeError, AttributeError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise ConfigurationError(f"{path} is not a notebook: {reason}") from None
    if language not in ("", "python"):
        raise ConfigurationError(f"{path} is a notebook of {language}, not of Python")
    return Source(path=path, kind="notebook", units=units, declared=_declared(path, metadata))


def _cell_text(cell: Mapping[str, Any]) -> str:
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def _language(metadata: Mapping[str, Any]) -> str:
    info = metadata.get("language_info", {}).get("name", "")
    return str(info or metadata.get("kernelspec", {}).get("language", "")).lower()


def _declared(path: Path, metadata: Mapping[str, Any]) -> list[str]:
    ours = metadata.get(METADATA_KEY, {})
    found = ours.get("dependencies", []) if isinstance(ours, dict) else None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise ConfigurationError(
            f"{path}: its metadata {METADATA_KEY!r} is not of the form "
            '{"dependencies": ["NAME>=VERSION"]}'
        )
    return found
