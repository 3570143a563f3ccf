"""How `%sandbox` looks: the host's answer as a table, and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


class SandboxView:
    """Sections of names and texts, for `display`."""

    def __init__(self, sections: Sequence[Mapping[str, Any]]) -> None:
        self.sections = sections

    def __repr__(self) -> str:
        width = max((len(row[0]) for part in self.sections for row in part["rows"]), default=0)
        lines = []
        for part in self.sections:
            lines.append(part["title"])
            lines += [f"  {name:<{width}}  {text}" for name, text in part["rows"]]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        cell = 'style="text-align: left; vertical-align: top; overflow-wrap: anywhere"'
        rows = []
        for part in self.sections:
            rows.append(f'<tr><th colspan="2" {cell}>{escape(part["title"])}</th></tr>')
            rows += [
                f"<tr><td {cell}>{escape(name)}</td><td {cell}>{escape(text)}</td></tr>"
                for name, text in part["rows"]
            ]
        return f"<table>{''.join(rows)}</table>"
