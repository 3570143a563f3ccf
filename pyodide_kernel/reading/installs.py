"""What code installs and what it says that it needs: `%pip`, micropip, PEP 723, requirements."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.guest.pip_lines import (
    PIP,
    PipLineError,
    other_file,
    parse_pip,
    pip_words,
    requirement_lines,
)
from pyodide_kernel.reading.code import Command, Parsed
from pyodide_kernel.reading.source import Place, Source, Unit, read_text
from pyodide_kernel.reading.uses import Call

_SCRIPT_BLOCK: Final = re.compile(
    r"(?m)^# /// (?P<type>[a-zA-Z0-9-]+)$\s(?P<content>(^#(| .*)$\s)+)^# ///$"
)
"""The expression that PEP 723 gives."""

_MICROPIP: Final = ("micropip.install", "piplite.install")
_LOADERS: Final = ("pyodide_js.loadPackage",)
_OPEN: Final = re.compile(r"[{}$]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A requirement, and who says so."""

    requirement: str
    place: Place
    declared: bool = False
    """Whether it is only said: neither the kernel nor the code installs it."""
    constraints: tuple[str, ...] = ()
    deps: bool = True
    pre: bool = False
    guarded: bool = False


@dataclass(slots=True)
class Needs:
    """All of them, and what could not be made out."""

    found: list[Need] = field(default_factory=list)
    wrong: list[tuple[Place, str]] = field(default_factory=list)
    """Lines that pip would refuse, and why."""
    unclear: list[tuple[Place, str]] = field(default_factory=list)
    """Lines that say what to install only when they run."""


def needs_of(source: Source, parsed: Parsed, calls: Sequence[Call]) -> Needs:
    """What a notebook or script needs. Raises ConfigurationError for a malformed block."""
    needs = Needs()
    metadata = Place(source.name, 0, 0)
    needs.found += [
        Need(requirement=text, place=metadata, declared=True) for text in source.declared
    ]
    for unit in source.units:
        needs.found += _block(unit)
    for command in parsed.commands:
        if (line := pip_line(command)) is not None:
            _add_line(line, command.place, source.folder, needs)
    for call in calls:
        if call.node is not None and call.name in (*_MICROPIP, *_LOADERS):
            _add_call(call, call.node, needs)
    return needs


def read_requirements(source: Source) -> Needs:
    """What a requirements file, and those that it includes, ask for. Raises ConfigurationError."""
    needs = Needs()
    _add_file(source.path, needs, (), ())
    return needs


def pip_line(command: Command) -> str | None:
    """What follows `pip` in a command, if it is one of pip's."""
    if command.name == "pip" and not command.cell:
        return command.line
    if command.name == "!" and (match := PIP.fullmatch(command.line)):
        return match[1] or ""
    return None


def _add_line(line: str, place: Place, folder: Path, needs: Needs) -> None:
    if _OPEN.search(line):
        needs.unclear.append((place, f"%pip {line}"))
        return
    try:
        options = parse_pip(pip_words(line))
    except PipLineError as error:
        needs.wrong.append((place, str(error)))
        return
    if options.command != "install":
        return
    if any(name.startswith("/") for name in (*options.requirement, *options.constraint)):
        needs.unclear.append((place, f"%pip {line}"))  # a file of the kernel, such as in a mount
        return
    found = Needs()
    try:
        constraints = tuple(
            text for name in options.constraint for text in read_constraints(folder / name)
        )
        for name in options.requirement:
            _add_file(folder / name, found, (), constraints)
    except ConfigurationError as error:
        needs.wrong.append((place, str(error)))
        return
    found.found += [
        Need(requirement=text, place=place, constraints=constraints)
        for text in options.requirements
    ]
    if options.editable:
        found.wrong.append((place, f"-e {options.editable[0]}: nothing can be built here"))
    needs.wrong += found.wrong
    needs.found += [
        Need(
            requirement=need.requirement,
            place=need.place,
            constraints=need.constraints,
            deps=not options.no_deps,
            pre=options.pre,
        )
        for need in found.found
    ]


def read_constraints(path: Path) -> list[str]:
    """The constraints in a file. Raises ConfigurationError."""
    return [line for _, line in requirement_lines(read_text(path)) if not line.startswith("-")]


def _add_file(
    path: Path, needs: Needs, above: tuple[Path, ...], constraints: tuple[str, ...]
) -> None:
    if path in above:
        raise ConfigurationError(f"{path} includes itself")
    for number, line in requirement_lines(read_text(path)):
        place = Place(path.name, 0, number)
        if (other := other_file(line)) is not None:
            _add_file(path.parent / other, needs, (*above, path), constraints)
        elif line.startswith("-"):
            needs.wrong.append((place, f"the option {line!r} is not supported in a file"))
        else:
            needs.found.append(Need(requirement=line, place=place, constraints=constraints))


def _add_call(call: Call, node: ast.Call, needs: Needs) -> None:
    first = node.args[0] if node.args else None
    values = {keyword.arg: keyword.value for keyword in node.keywords}
    first = first or values.get("requirements")
    items = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
    for item in items:
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            need = Need(
                requirement=item.value,
                place=call.place,
                deps=not _is_false(values.get("deps")),
                pre=_is_true(values.get("pre")),
                guarded=call.guarded,
            )
            needs.found.append(need)
        else:
            needs.unclear.append((call.place, ast.unparse(node)))


def _is_false(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is False


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _block(unit: Unit) -> Iterator[Need]:
    """The requirements of a PEP 723 block. Raises ConfigurationError."""
    found = [match for match in _SCRIPT_BLOCK.finditer(unit.code) if match["type"] == "script"]
    if not found:
        return
    start = unit.code.count("\n", 0, found[0].start()) + 1
    place = unit.at(start)
    if len(found) > 1:
        raise ConfigurationError(f"{place}: there are two script blocks (PEP 723)")
    lines = found[0]["content"].splitlines(keepends=True)
    text = "".join(line[2:] if line.startswith("# ") else line[1:] for line in lines)
    try:
        value = tomllib.loads(text).get("dependencies", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{place}: the script block is not TOML: {error}") from None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{place}: its dependencies are not a list of texts")
    for item in value:
        yield Need(requirement=item, place=place, declared=True)
