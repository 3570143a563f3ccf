"""IPython's syntax becomes Python, and everything stays on its line."""

from __future__ import annotations

import ast

import pytest

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.reading.code import Parsed, parse
from pyodide_kernel.reading.source import Place, Unit


def parsed(code: str, *, ipython: bool = True) -> Parsed:
    return parse([Unit(code=code, place=Place("n", 1, 1), ipython=ipython)])


def names(code: str) -> dict[str, int]:
    """Lines of the names that are loaded."""
    return {
        node.id: piece.place(node).line
        for piece in parsed(code).pieces
        for node in ast.walk(piece.tree)
        if isinstance(node, ast.Name) and node.id != "get_ipython"
    }


def commands(code: str) -> list[tuple[str, int]]:
    return [(str(command), command.place.line) for command in parsed(code).commands]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("\n\na\nawait b", {"a": 3, "b": 4}),
        ("!ls \\\n -l\na", {"a": 3}),
        ("x = !ls \\\n -l \\\n -a\na", {"x": 1, "a": 4}),
        ("def f():\n  %magic \\\n  b\n  return a\nb", {"a": 4, "b": 5}),
        ("\n%%time\na\n!ls \\\n  b\nc", {"a": 3, "c": 6}),
        ("b\n%timeit -n 10 -r3 a", {"a": 2, "b": 1}),
        ("%time a = b", {"a": 1, "b": 1}),
        ("%%timeit -n 3\n%%capture\na", {"a": 3}),
        (">>> a\n... b", {"a": 1, "b": 2}),
        ("a?\nb", {"b": 2}),
        ("%%html\n<a>", {}),
    ],
)
def test_names_are_found_on_their_lines(code: str, found: dict[str, int]) -> None:
    assert names(code) == found


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("a\n%pip install x y", [("%pip install x y", 2)]),
        ("!ls", [("!ls", 1)]),
        ("x = !ls\n!!ls", [("!ls", 1), ("!ls", 2)]),
        ("%%bash -s\nls", [("%%bash -s", 1)]),
        ("%%time\n!ls", [("%%time", 1), ("!ls", 2)]),
        ("pip install x", [("%pip install x", 1)]),
        ("get_ipython().run_line_magic('pip', 'list')", [("%pip list", 1)]),
        ("get_ipython().magic('pip list')", [("%pip list", 1)]),
        ("get_ipython().system(a)", []),
    ],
)
def test_commands_are_found_on_their_lines(code: str, found: list[tuple[str, int]]) -> None:
    assert commands(code) == found


@pytest.mark.parametrize(
    ("code", "line"),
    [("a\nb c", 2), ("\n\na\nb c", 4), ("pip install x\nb", 1), ("%%time\n\na b", 3)],
)
def test_a_syntax_error_is_named_with_its_cell_and_line(code: str, line: int) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parsed(code)
    assert str(caught.value).startswith(f"n, cell 1, line {line}: ")


def test_a_script_has_no_magics() -> None:
    with pytest.raises(ConfigurationError):
        parsed("%pip install x", ipython=False)


def test_what_python_warns_of_is_not_said_here() -> None:
    assert parsed("'\\d'\nif 1 is 1: pass").pieces
