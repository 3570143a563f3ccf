"""Constraints: versions that a user allows, for whatever is loaded or installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.guest.pip_lines import other_file, requirement_lines
from pyodide_kernel.packages.lockfile import LockedPackage, normalized

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet


@dataclass(frozen=True, slots=True)
class Constraint:
    """What one line of a file allows."""

    text: str
    """As pip and micropip read it."""
    name: str
    """Normalized name of the project."""
    where: str
    """File and line, for messages."""

    def specifier(self) -> SpecifierSet:
        """The versions that it allows."""
        from packaging.requirements import Requirement

        return Requirement(self.text).specifier


def read_constraints(paths: Sequence[str]) -> tuple[Constraint, ...]:
    """The constraints in files of pip's form. Raises ConfigurationError."""
    found: list[Constraint] = []
    for path in paths:
        _read(Path(path).expanduser(), (), found)
    return tuple(found)


def _read(path: Path, above: tuple[Path, ...], found: list[Constraint]) -> None:
    if path in above:
        raise ConfigurationError(f"--constraints: {path} includes itself")
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"--constraints: {path} can't be read ({error.strerror})"
        ) from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"--constraints: {path} is not UTF-8 text") from None
    for number, line in requirement_lines(text):
        if line.startswith("-c "):
            line = f"-r {line.removeprefix('-c ')}"
        if (other := other_file(line)) is not None:
            _read(path.parent / other, (*above, path), found)
        else:
            found.append(_constraint(line, f"{path}, line {number}"))


def _constraint(line: str, where: str) -> Constraint:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(line)
    except InvalidRequirement:
        wanted = None
    if wanted is None or wanted.url or wanted.extras:
        raise ConfigurationError(
            f"--constraints: {where}: {line[:100]!r} is not of the form NAME<VERSION"
        )
    return Constraint(line, normalized(wanted.name), where)


def problem_of(package: LockedPackage, constraints: Sequence[Constraint]) -> str:
    """Why a package of a distribution may not be loaded; empty if it may."""
    name = normalized(package.name)
    for constraint in constraints:
        if constraint.name == name and not constraint.specifier().contains(
            package.version, prereleases=True
        ):
            return (
                f"the package distribution has {package.name} {package.version}, but only "
                f"{constraint.text} is allowed ({constraint.where}); another version may be had "
                f"with %pip install {package.name}"
            )
    return ""
