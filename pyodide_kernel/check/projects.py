"""Whether requirements can be installed, asked as micropip would ask: without running it.

Like micropip it takes the newest version that fits and never goes back on a choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from pyodide_kernel.errors import PackageError, UnreachableError
from pyodide_kernel.guest.pip_lines import NO_BUILDS, is_wheel_path, needs_build, other_files
from pyodide_kernel.guest.unavailable import reason_for
from pyodide_kernel.packages.constraints import Constraint, problem_of
from pyodide_kernel.packages.lockfile import Lock, normalized
from pyodide_kernel.packages.markers import marker_environment, requires
from pyodide_kernel.reading.installs import Need

MAX_PROJECTS: Final = 500
"""Projects that one requirement may lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the indexes say; each may raise PackageError."""

    page: Callable[[str], Mapping[str, Any]]
    """The files of a project, as `Store.page` gives them."""
    metadata: Callable[[str, str], str]
    """The METADATA of a project's file."""


@dataclass(slots=True)
class Answer:
    """What becomes of one requirement."""

    problem: str = ""
    """Why it can't be installed."""
    unknown: str = ""
    """Why nobody could tell."""
    projects: set[str] = field(default_factory=set)
    """Normalized names of all that would be installed."""
    from_index: set[str] = field(default_factory=set)
    """Those of them that the distribution does not have."""


class _CantBe(Exception):  # never leaves this module
    pass


class Projects:
    """Answers for requirements."""

    def __init__(
        self,
        lock: Lock,
        listing: Listing,
        *,
        bundled: Mapping[str, str],
        python: str,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self._lock = lock
        self._listing = listing
        self._bundled = {normalized(name): version for name, version in bundled.items()}
        self._environment = marker_environment(python)
        self._tags = _tags(python, lock.abi_version)
        self._constraints = constraints

    def ask(self, need: Need) -> Answer:
        """Whether a requirement and all that it needs can be installed."""
        answer = Answer()
        try:
            ours = [constraint.text for constraint in self._constraints]
            constraints = _constraints([*ours, *need.constraints])
            self._follow(need, constraints, answer)
        except UnreachableError as error:
            answer.unknown = str(error)
        except (_CantBe, PackageError) as error:
            answer.problem = str(error)
        return answer

    def ask_import(self, package: str) -> str:
        """Why a package of the distribution can't be loaded; empty if it can."""
        try:
            closure = self._lock.closure([package], without=self._bundled)
        except PackageError as error:
            return str(error)
        problems = (problem_of(locked, self._constraints) for locked in closure)
        return next(filter(None, problems), "")

    def _follow(self, need: Need, constraints: Mapping[str, SpecifierSet], answer: Answer) -> None:
        pending = [(_requirement(need.requirement), "")]
        done: set[tuple[str, frozenset[str]]] = set()
        while pending:
            wanted, user = pending.pop()
            name = normalized(wanted.name)
            if (key := (name, frozenset(wanted.extras))) in done:
                continue
            done.add(key)
            if len(done) > MAX_PROJECTS:
                raise _CantBe(f"it leads to more than {MAX_PROJECTS} projects")
            wanted.specifier &= constraints.get(name, SpecifierSet())
            needed = f"{user} needs {wanted}: " if user else ""
            answer.projects.add(name)
            try:
                pending += [(child, name) for child in self._take(name, wanted, need, answer)]
            except UnreachableError:
                raise
            except (_CantBe, PackageError) as error:
                raise _CantBe(f"{needed}{error}") from None

    def _take(
        self, name: str, wanted: Requirement, need: Need, answer: Answer
    ) -> Iterator[Requirement]:
        """Choose a version; what that needs in turn."""
        if wanted.url:
            raise _CantBe(f"{name} is named by a URL; packages come from the configured indexes")
        if (version := self._bundled.get(name)) is not None:
            if not wanted.specifier.contains(version, prereleases=True):
                raise _CantBe(f"{name} {version} is part of the kernel and can't be replaced")
            return
        locked = self._lock.packages.get(name)
        if locked and wanted.specifier.contains(locked.version, prereleases=True):
            closure = self._lock.closure([name], without=self._bundled)
            answer.projects.update(normalized(package.name) for package in closure)
            return
        answer.from_index.add(name)
        try:
            filename = self._choose(name, wanted, self._listing.page(name), pre=need.pre)
        except _CantBe as error:
            has = f"; the distribution has {name} {locked.version}" if locked else ""
            raise _CantBe(f"{error}{has}") from None
        if need.deps:
            metadata = self._listing.metadata(name, filename)
            yield from requires(metadata, self._environment, wanted.extras)

    def _choose(self, name: str, wanted: Requirement, page: Mapping[str, Any], *, pre: bool) -> str:
        """The file that is installed."""
        versions: dict[Version, str] = {}
        yanked: dict[Version, str] = {}
        for file in page["files"]:
            try:
                _, version, _, tags = parse_wheel_filename(file["filename"])
            except (InvalidWheelFilename, InvalidVersion):
                continue
            if tags & self._tags:
                (yanked if file["yanked"] else versions).setdefault(version, file["filename"])
        for group in (versions, yanked):
            fitting = list(wanted.specifier.filter(group, prereleases=True if pre else None))
            if fitting:
                return group[max(fitting)]
        if versions:
            shown = ", ".join(str(version) for version in sorted(versions)[-5:])
            raise _CantBe(
                f"no version of {wanted} has a wheel for WebAssembly; these have: {shown}"
            )
        raise _CantBe(_no_wheel(name, page))


def _tags(python: str, abi: str) -> frozenset[Any]:
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = [f"pyemscripten_{abi}_wasm32", f"pyodide_{abi}_wasm32"]
    return frozenset(
        [
            *cpython_tags((major, minor), platforms=platforms),
            *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
        ]
    )


def _requirement(text: str) -> Requirement:
    if needs_build(text):
        raise _CantBe(f"{text}: {NO_BUILDS}")
    if is_wheel_path(text):
        raise UnreachableError(f"{text} is a file of the kernel, which is not looked into")
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        raise _CantBe(f"{text!r} is no requirement: {str(error).splitlines()[0]}") from None


def _constraints(texts: Sequence[str]) -> dict[str, SpecifierSet]:
    found: dict[str, SpecifierSet] = {}
    for text in texts:
        wanted = _requirement(text)
        name = normalized(wanted.name)
        found[name] = found.get(name, SpecifierSet()) & wanted.specifier
    return found


def _no_wheel(name: str, page: Mapping[str, Any]) -> str:
    if reason := reason_for(name.replace("-", "_")):
        return reason
    has = other_files(page["others"])
    listed = f"the index has {has}, and " if has else ""
    return (
        f"{name} has no wheel that runs in WebAssembly: {listed}{NO_BUILDS}; a pure-Python "
        "package, or an older version, may do"
    )
