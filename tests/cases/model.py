"""Cases, read from `lists/*.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

LISTS: Final = Path(__file__).with_name("lists")

ABBREVIATIONS: Final = {
    "CANARY": "'@@CANARY@@' in _v",
    "ANYTHING": "not _v.startswith('ERR')",
    "NEVER": "False",
}
"""What `escaped_if` says most often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One attack or fault. Tokens like @@RW@@ in `setup` and `code` stand for the scene's parts."""

    id: str
    kind: str
    """escape, live, limit or fault"""
    expect: str
    """For people."""
    code: str = ""
    """A cell; it prints ESCAPED if it got what it must not get."""
    setup: tuple[str, ...] = ()
    """Shell lines for the host, run before."""
    fault: str = ""
    """What is done to processes or the machine; for people."""
    interrupt: float | None = None
    """Seconds after which the client sends an interrupt."""
    timeout: float = 30
    """Seconds within which the reply has to come."""
    after_interrupt: float | None = None
    """Seconds from the interrupt within which the reply has to come."""
    prints: str = ""
    """A regular expression that is found in what the cell prints."""
    ends: tuple[str, ...] = ("ok",)
    """How the cell may end: ok, or the name of an error."""
    says: str = ""
    """A regular expression that is found in the value of the error."""
    driven: bool = False
    """It is more than one cell, and has a test of its own."""
    breaks: bool = False
    """The interpreter may be of no use afterwards; an interrupt has to bring a good one then."""
    gap: str = ""
    """Why it does not hold yet."""


def code_of(row: Mapping[str, Any]) -> str:
    """The cell of a case, which is written in one of three ways."""
    if "js" in row:
        judged = ABBREVIATIONS.get(row["escaped_if"], row["escaped_if"])
        return javascript_cell(row["js"], judged)
    if "python" in row:
        return python_cell(row["python"])
    code: str = row.get("code", "")
    return code


def javascript_cell(body: str, escaped_if: str) -> str:
    """Runs the body of an async function, and judges the text `_v` that it returns."""
    source = f"(async()=>{{try{{{body}}}catch(e){{return 'ERR '+e.name+': '+e.message}}}})()"
    return (
        "from pyodide.code import run_js as _rj\n"
        f"_v=str(await _rj({source!r}))\n"
        f"print(('ESCAPED ' if {escaped_if} else 'OK ')+_v[:160].replace('\\n',' '))"
    )


def python_cell(body: str) -> str:
    """Runs a body that sets `bad` if it got what it must not get."""
    indented = "".join(f"    {line}\n" for line in body.split("\n"))
    return (
        f"bad=False\ntry:\n{indented}"
        "except Exception as e:\n    print('caught',type(e).__name__,str(e)[:120])\n"
        "print('ESCAPED' if bad else 'OK')"
    )


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case of every list."""
    return tuple(
        _case(row, path)
        for path in sorted(LISTS.glob("*.toml"))
        for row in tomllib.loads(path.read_text("utf-8"))["case"]
    )


def case(case_id: str) -> Case:
    """The case with this id."""
    (found,) = (case for case in all_cases() if case.id == case_id)
    return found


def _case(row: dict[str, Any], path: Path) -> Case:
    values: dict[str, Any] = {"code": code_of(row)}
    for name, value in row.items():
        if name not in ("js", "escaped_if", "python", "code"):
            values[name] = tuple(value) if isinstance(value, list) else value
    unknown = values.keys() - {field.name for field in fields(Case)}
    if unknown:
        raise ValueError(f"{path.name}: {row.get('id')} has the unknown members {unknown}")
    return Case(**values)
