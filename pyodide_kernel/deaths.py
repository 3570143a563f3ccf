"""Who tells the user that an interpreter died: the running cell, or a line below the latest."""

from __future__ import annotations

from pyodide_kernel.bridge.bridge import Death


class Deaths:
    """Sees to it that each death is told once. For one thread.

    News of a death comes on two ways, as the error of the running cell and as a Death, and either
    may be first.
    """

    def __init__(self) -> None:
        self._told_cause = ""
        """A cell has told it; its Death is still to come."""
        self._untold: Death | None = None
        """Came while a cell runs, which has not failed yet."""

    def note(self, death: Death, *, cell_runs: bool) -> str | None:
        """What to tell the user now that a Death has come."""
        if death.during_start or (death.requested and not death.idle):
            return None
        if cell_runs:
            self._untold = death
            return None
        if death.cause == self._told_cause:
            self._told_cause = ""
            return None
        return death.cause

    def cell_failed(self, cause: str) -> None:
        """The running cell tells the user of a death."""
        if self._untold is None:
            self._told_cause = cause
        self._untold = None

    def cell_ended(self) -> str | None:
        """What to tell the user below a cell that has ended, and has not told of a death itself."""
        death, self._untold = self._untold, None
        return death.cause if death else None
