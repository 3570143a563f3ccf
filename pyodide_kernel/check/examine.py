"""Looks for what will not work in a notebook, a script or a requirements file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from pyodide_kernel.check.calls import call_findings, command_findings
from pyodide_kernel.check.findings import Finding
from pyodide_kernel.check.modules import GONE, Modules
from pyodide_kernel.check.projects import Answer, Projects
from pyodide_kernel.guest.pip_lines import project_of
from pyodide_kernel.guest.unavailable import reason_for
from pyodide_kernel.network import Network
from pyodide_kernel.packages.lockfile import Lock, normalized
from pyodide_kernel.reading.code import Command, parse
from pyodide_kernel.reading.installs import Need, Needs, needs_of, read_requirements
from pyodide_kernel.reading.source import Source
from pyodide_kernel.reading.uses import Import, calls, imports, is_local, with_local_modules

_DECLARED: Final = (
    "Write a lock file with pyodide-kernel lock and run with --lock, or add a cell with %pip "
    "install."
)
_EXTENSIONS: Final = ("autoreload", "storemagic")
"""IPython's own, which have no module of that name."""


@dataclass(slots=True)
class _Installed:
    """What the requirements lead to."""

    projects: set[str] = field(default_factory=set)
    declared: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """Names of what is installed from an index by name: what its modules are called only the wheel
    says."""
    unclear: bool = False
    """Whether something is installed of which only the run tells the name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a source is held against."""

    lock: Lock
    modules: Modules
    projects: Projects
    network: Network

    def findings(self, source: Source) -> list[Finding]:
        """All findings, in the order of the source.

        Raises ConfigurationError if the source, or what it includes, can't be read.
        """
        if source.kind == "requirements":
            needs = read_requirements(source)
            return sorted(set(self._of_needs(needs, _Installed())))
        parsed = parse(source.units)
        pieces = with_local_modules(parsed.pieces, source.folder)
        called = list(calls(pieces))
        needs, installed = needs_of(source, parsed, called), _Installed()
        found = [
            *call_findings(called, self.network),
            *command_findings(parsed.commands),
            *self._of_needs(needs, installed),
        ]
        used = [*imports(pieces), *_imports_of_magics(parsed.commands)]
        written = modules_written(parsed.commands)
        used = [use for use in used if use.module.partition(".")[0] not in written]
        found += self._of_imports(used, source.folder, installed)
        return sorted(set(found))

    def _of_needs(self, needs: Needs, installed: _Installed) -> Iterator[Finding]:
        for place, reason in needs.wrong:
            yield Finding(place, reason)
        for place, text in needs.unclear:
            installed.unclear = True
            yield Finding(place, f"what {text} installs is known only when it runs", fails=False)
        for need in needs.found:
            answer = self.projects.ask(need)
            _note(need, answer, installed)
            if answer.problem and not need.guarded:
                yield Finding(need.place, answer.problem)
            elif answer.unknown:
                text = f"whether {need.requirement} can be had is not known: {answer.unknown}"
                yield Finding(need.place, text, fails=False)

    def _of_imports(
        self, used: Sequence[Import], folder: Path, installed: _Installed
    ) -> Iterator[Finding]:
        seen: set[str] = set()
        available = self.lock.imports()
        names = {normalized(use.module.partition(".")[0]) for use in used}
        unclear = installed.unclear or bool(installed.asked - names)
        for use in used:
            top = use.module.partition(".")[0]
            known = top in seen or self.modules.has(top) or is_local(use.module, folder)
            if known or use.guarded:
                continue
            seen.add(top)
            if (package := available.get(top)) is not None:
                problem = self.projects.ask_import(package)
                if problem and package not in installed.projects:
                    yield Finding(use.place, problem)
            else:
                yield from self._of_missing(use, top, installed, unclear=unclear)

    def _of_missing(
        self, use: Import, top: str, installed: _Installed, *, unclear: bool
    ) -> Iterator[Finding]:
        name = normalized(top)
        if name in installed.projects:
            return
        if name in installed.declared:
            problem = f"{top} is only named as a requirement, which does not install it"
            yield Finding(use.place, problem, _DECLARED, fails=False)
        elif top in GONE:
            reason, instead = GONE[top]
            yield Finding(use.place, f"{top} {reason}", f"Use {instead}." if instead else "")
        elif reason := reason_for(top):
            problem, _, instead = reason.partition(". Nearest alternative: ")
            yield Finding(use.place, problem, f"Nearest alternative: {instead}.")
        elif unclear:
            text = f"whether an installed package has the module {top} is not known"
            yield Finding(use.place, text, fails=False)
        else:
            yield self._not_installed(use, top)

    def _not_installed(self, use: Import, top: str) -> Finding:
        problem = f"{top} is neither in the package distribution nor installed by the notebook"
        answer = self.projects.ask(Need(requirement=normalized(top), place=use.place))
        if answer.problem:
            return Finding(use.place, f"{problem}; {answer.problem}")
        if answer.unknown:
            return Finding(use.place, problem, "If an index has it, add a cell with %pip install.")
        return Finding(use.place, problem, f"Add a cell with %pip install {normalized(top)}.")


def _note(need: Need, answer: Answer, installed: _Installed) -> None:
    if need.declared:
        installed.declared |= answer.projects
        return
    installed.projects |= answer.projects
    name = project_of(need.requirement)
    if not answer.problem and (answer.unknown or name in answer.from_index):
        installed.asked.add(name)


def modules_written(commands: Sequence[Command]) -> set[str]:
    """Names of modules that cells write with `%%writefile`."""
    paths = [
        PurePosixPath(command.line.split()[-1])
        for command in commands
        if command.cell and command.name in ("writefile", "file") and command.line.strip()
    ]
    return {path.parts[0].removesuffix(".py") for path in paths if path.suffix == ".py"}


def _imports_of_magics(commands: Sequence[Command]) -> Iterator[Import]:
    for command in commands:
        first, _, _ = command.line.strip().partition(" ")
        if command.name == "load_ext" and first and first not in _EXTENSIONS:
            yield Import(module=first, place=command.place, guarded=False)
        elif command.name == "matplotlib" and not first.startswith("-"):
            module = "ipympl" if first in ("widget", "ipympl") else "matplotlib"
            yield Import(module=module, place=command.place, guarded=False)
