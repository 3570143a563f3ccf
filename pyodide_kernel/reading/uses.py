"""What Python uses: the modules that it imports, the functions that it calls, by full names."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.reading.code import Piece, parse
from pyodide_kernel.reading.source import Place, read_text, script_unit

_ANY: Final = frozenset({"", "Exception", "BaseException"})
_IMPORT_ERRORS: Final = _ANY | {"ImportError", "ModuleNotFoundError"}

_ELSEWHERE: Final = ("sys.platform", "platform.system", "os.name", "sys.modules", "TYPE_CHECKING")
"""Conditions that tell one system from another: what stands behind them may never run here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """A module that is imported."""

    module: str
    """Full name."""
    place: Place
    guarded: bool
    """Whether the code goes on if it is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function or class that is called, or a class that is derived from."""

    name: str
    """Full name, such as `os.path.join`."""
    node: ast.Call | None
    """None for a class that is derived from."""
    place: Place
    guarded: bool
    """Whether the code goes on if it fails."""


@dataclass(frozen=True, slots=True)
class _Guard:
    """What the statements around a node catch."""

    caught: frozenset[str] = frozenset()
    conditional: bool = False


def walk(tree: ast.AST) -> Iterator[tuple[ast.AST, _Guard]]:
    """All nodes below a tree, each with what guards it, in the order of the text."""
    pending: list[tuple[ast.AST, _Guard]] = [(tree, _Guard())]
    while pending:
        node, guard = pending.pop()
        yield node, guard
        pending.extend(reversed(list(_children(node, guard))))


def _children(node: ast.AST, guard: _Guard) -> Iterator[tuple[ast.AST, _Guard]]:
    inner = guard
    if isinstance(node, ast.Try) and node.handlers:
        inner = _Guard(guard.caught | _caught(node), guard.conditional)
    elif isinstance(node, ast.With) and (names := _suppressed(node)):
        inner = _Guard(guard.caught | names, guard.conditional)
    elif isinstance(node, ast.If) and any(text in ast.unparse(node.test) for text in _ELSEWHERE):
        inner = _Guard(guard.caught, True)
    for name, value in ast.iter_fields(node):
        below = inner if name in ("body", "orelse") and not _is_else_of_try(node, name) else guard
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child, below


def _is_else_of_try(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Try) and name == "orelse"


def _caught(node: ast.Try) -> frozenset[str]:
    found: set[str] = set()
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        found |= {ast.unparse(kind).rpartition(".")[2] if kind else "" for kind in kinds}
    return frozenset(found)


def _suppressed(node: ast.With) -> frozenset[str]:
    return frozenset(
        ast.unparse(argument).rpartition(".")[2]
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
        and ast.unparse(item.context_expr.func).rpartition(".")[2] == "suppress"
        for argument in item.context_expr.args
    )


def imports(pieces: Sequence[Piece]) -> Iterator[Import]:
    """What is imported, relative imports left out; `from a import b` counts as `a` and `a.b`."""
    for piece in pieces:
        for node, guard in walk(piece.tree):
            guarded = guard.conditional or bool(guard.caught & _IMPORT_ERRORS)
            for module in _modules(node):
                yield Import(module=module, place=piece.place(node), guarded=guarded)


def _modules(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names if alias.name != "*")
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = ast.unparse(node.func)
        name = node.args[0].value
        if function in ("__import__", "importlib.import_module", "import_module") and (
            isinstance(name, str) and name and not name.startswith(".")
        ):
            yield name


def calls(pieces: Sequence[Piece]) -> Iterator[Call]:
    """What is called by a name that was imported, wherever in the pieces."""
    names = _imported_names(pieces)
    for piece in pieces:
        for node, guard in walk(piece.tree):
            guarded = guard.conditional or bool(guard.caught)
            for function, call in _called(node):
                if name := _full_name(function, names):
                    place = piece.place(function)
                    yield Call(name=name, node=call, place=place, guarded=guarded)


def _called(node: ast.AST) -> Iterator[tuple[ast.expr, ast.Call | None]]:
    if isinstance(node, ast.Call):
        yield node.func, node
    elif isinstance(node, ast.ClassDef):
        yield from ((base, None) for base in node.bases)


def _imported_names(pieces: Sequence[Piece]) -> dict[str, str]:
    """Full names by the names under which they were imported; not those that mean more."""
    found: dict[str, str] = {}
    others: set[str] = set()
    for piece in pieces:
        for node in ast.walk(piece.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    top = alias.name.partition(".")[0]
                    found[alias.asname or top] = alias.name if alias.asname else top
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                for alias in node.names:
                    found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            else:
                others.update(_bound(node))
    return {name: full for name, full in found.items() if name not in others}


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg


def _full_name(function: Any, names: dict[str, str]) -> str:
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name) or function.id not in names:
        return ""
    return ".".join([names[function.id], *reversed(parts)])


def local_files(module: str, folder: Path) -> list[Path]:
    """The files in a folder that run when a module is imported; none if it is not there."""
    found: list[Path] = []
    place = folder
    for part in module.split("."):
        package, plain = place / part / "__init__.py", place / f"{part}.py"
        if package.is_file():
            found.append(package)
        elif plain.is_file():
            return [*found, plain]
        elif not (place / part).is_dir():
            return found
        place = place / part
    return found


def is_local(module: str, folder: Path) -> bool:
    """Whether a module is one of the folder's."""
    top = module.partition(".")[0]
    return bool(local_files(top, folder)) or (folder / top).is_dir()


def with_local_modules(pieces: Sequence[Piece], folder: Path) -> list[Piece]:
    """The pieces, and those of the local modules that they import, and so on.

    Raises ConfigurationError if one of these can't be read.
    """
    found = list(pieces)
    seen: set[Path] = set()
    pending = [found]
    while pending:
        for use in list(imports(pending.pop())):
            for path in local_files(use.module, folder):
                if path not in seen:
                    seen.add(path)
                    more = parse([script_unit(path, read_text(path))]).pieces
                    found += more
                    pending.append(more)
    return found
