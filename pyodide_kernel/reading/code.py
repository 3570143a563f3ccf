"""Cells to Python: IPython's own transformer, with every line where it was."""

# mypy: disallow-untyped-calls=False
# IPython's functions have no annotations.

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, Final

from IPython.core.inputtransformer2 import TransformerManager

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.reading.source import Place, Unit

PYTHON: Final = (3, 14)
"""Of the guest: an older one here may not know all of its syntax."""

_BODY_IS_PYTHON: Final = frozenset({"time", "timeit", "prun", "capture", "debug"})
"""Cell magics whose cell is Python."""

_LINE_IS_PYTHON: Final = frozenset({"time", "timeit", "prun"})
"""Line magics whose line is Python, after options."""

_AUTOMAGICS: Final = frozenset({"pip", "conda", "mamba", "micromamba", "uv", "run", "load_ext"})
"""Magics that people write without a percent sign; a cell of one line that is no Python."""

_OPTIONS: Final = re.compile(r"\s*(?:-[a-zA-Z]+(?:\s*\d+)?\s+)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Python in a unit."""

    tree: ast.Module
    unit: Unit
    offset: int
    """Lines of the unit before it."""

    def place(self, node: Any) -> Place:
        """Where a node of the tree stands."""
        return self.unit.at(self.offset + node.lineno)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A magic, or a command for a shell."""

    name: str
    """Of the magic, without percent signs; `!` for a shell's."""
    line: str
    cell: bool
    """Whether it is a cell magic."""
    place: Place

    def __str__(self) -> str:
        if self.name == "!":
            return f"!{self.line}"
        return f"{'%%' if self.cell else '%'}{self.name} {self.line}".strip()


@dataclass(slots=True)
class Parsed:
    """What units hold."""

    pieces: list[Piece] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)


class _Transformer(TransformerManager):
    """IPython's transformer; what it joins into one line is followed by empty ones."""

    def do_one_token_transform(self, lines: list[str]) -> tuple[bool, list[str]]:
        changed, after = super().do_one_token_transform(lines)
        missing = len(lines) - len(after)
        if missing > 0:
            changed_lines = (i for i, line in enumerate(after) if line != lines[i])
            first = next(changed_lines, len(after) - 1)
            after = [*after[: first + 1], *["\n"] * missing, *after[first + 1 :]]
        return changed, after


def parse(units: Sequence[Unit]) -> Parsed:
    """What units hold. Raises ConfigurationError that names the place of a syntax error."""
    parsed = Parsed()
    for unit in units:
        _parse_unit(unit, parsed)
    return parsed


def _parse_unit(unit: Unit, parsed: Parsed) -> None:
    try:
        text, skipped = to_python(unit.code) if unit.ipython else (unit.code, 0)
        tree = to_tree(text)
    except SyntaxError as error:
        first, _, rest = unit.code.strip().partition(" ")
        if unit.ipython and first in _AUTOMAGICS and "\n" not in unit.code.strip():
            parsed.commands.append(Command(name=first, line=rest, cell=False, place=unit.place))
            return
        place = unit.at((error.lineno or 1) + _blank_lines(unit.code) * unit.ipython)
        raise ConfigurationError(
            f"{place}: {error.msg or 'invalid syntax'}{_version_note()}"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ConfigurationError(f"{unit.place}: it is no Python ({error})") from None
    _take(Piece(tree=tree, unit=unit, offset=skipped), parsed)


def _take(piece: Piece, parsed: Parsed) -> None:
    parsed.pieces.append(piece)
    for node in ast.walk(piece.tree):
        if isinstance(node, ast.Call):
            for command, body in _commands(node, piece):
                parsed.commands.append(command)
                _take_inner(command, body, node.lineno, piece, parsed)


def _take_inner(command: Command, body: str, line: int, piece: Piece, parsed: Parsed) -> None:
    """Python within a magic: the cell of `%%time`, the line of `%time`."""
    if command.cell and command.name in _BODY_IS_PYTHON:
        inner = Unit(code=body, place=piece.unit.at(piece.offset + line + 1), ipython=True)
        _parse_unit(inner, parsed)
    elif not command.cell and command.name in _LINE_IS_PYTHON:
        code = command.line[_end_of_options(command.line) :]
        try:
            tree = to_tree(to_python(code)[0])
        except SyntaxError:  # options with values of their own; running it will show
            return
        inner = Unit(code=code, place=piece.unit.at(piece.offset + line), ipython=True)
        _take(Piece(tree=tree, unit=inner, offset=0), parsed)


def _end_of_options(line: str) -> int:
    match = _OPTIONS.match(line)
    return match.end() if match else 0


def to_python(cell: str) -> tuple[str, int]:
    """A cell as Python, and how many empty lines before it are left out. Raises SyntaxError."""
    return str(_Transformer().transform_cell(cell)), _blank_lines(cell)


def _blank_lines(cell: str) -> int:
    return sum(1 for _ in takewhile(str.isspace, cell.splitlines(keepends=True)))


def to_tree(code: str) -> ast.Module:
    """The syntax tree of Python in which `await` may stand anywhere. Raises SyntaxError."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in strings, for example
        tree = compile(code, "<cell>", "exec", flags=flags, dont_inherit=True)
    assert isinstance(tree, ast.Module)
    return tree


def _version_note() -> str:
    if sys.version_info >= PYTHON:
        return ""
    here, there = (".".join(map(str, version[:2])) for version in (sys.version_info, PYTHON))
    return f" (read by Python {here}; the kernel has {there})"


def _commands(call: ast.Call, piece: Piece) -> Iterator[tuple[Command, str]]:
    """The magic or shell command that a call stands for, and the text of its cell."""
    function = call.func
    if not (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Call)
        and isinstance(function.value.func, ast.Name)
        and function.value.func.id == "get_ipython"
    ):
        return
    texts = [node.value for node in call.args if isinstance(node, ast.Constant)]
    if len(texts) != len(call.args) or not all(isinstance(text, str) for text in texts):
        return
    place = piece.place(call)
    match function.attr, texts:
        case (("run_line_magic" | "magic"), [str(name), *rest]):
            name, _, line = name.partition(" ") if function.attr == "magic" else (name, "", "")
            line = line or "".join(map(str, rest))
            yield Command(name=name, line=line, cell=False, place=place), ""
        case "run_cell_magic", [str(name), str(line), str(body)]:
            yield Command(name=name, line=line, cell=True, place=place), body
        case (("system" | "getoutput"), [str(line)]):
            yield Command(name="!", line=line, cell=False, place=place), ""
