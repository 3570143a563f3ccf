"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass

from pyodide_kernel.reading.source import Place


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that does not work, or that nobody could tell."""

    place: Place
    problem: str
    """What will not work, and why; one sentence."""
    instead: str = ""
    """What to use instead; one sentence, or nothing if there is nothing to say."""
    fails: bool = True
    """Whether it will fail; else it is something to know."""

    def line(self) -> str:
        """For the terminal."""
        mark = "fails" if self.fails else "note "
        instead = f" {self.instead}" if self.instead else ""
        return f"{mark}  {self.place}: {self.problem}.{instead}"
