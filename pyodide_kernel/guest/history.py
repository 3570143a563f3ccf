"""IPython's history of the current session, in memory.

The host keeps the history that outlives the session and answers `history_request`; a database in
the guest would be an open file in the memory snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import translate
from re import compile as compile_pattern
from typing import Any

from IPython.core.history import HistoryManager

Entry = tuple[int, int, Any]
"""Session (always 0, the current one), line, and input or (input, output)."""


class SessionHistory(HistoryManager):
    """In, Out, and what `%history`, `%recall`, `%rerun`, `%save` and `%load 1-3` read."""

    def __init__(self, shell: Any, **traits: Any) -> None:
        super().__init__(shell=shell, enabled=False, hist_file=":memory:", **traits)

    def store_inputs(self, line_num: int, source: str, source_raw: str | None = None) -> None:
        """Remember a cell."""
        super().store_inputs(line_num, source, source_raw)
        self.db_input_cache = []

    def get_tail(
        self,
        n: int | None = 10,
        raw: bool = True,
        output: bool = False,
        include_latest: bool = False,
    ) -> Iterable[Entry]:
        """The last `n` cells, by default without the one that runs."""
        entries = list(self._get_range_session(1, None, raw, output))
        if not include_latest:
            entries = entries[:-1]
        return entries[-n:] if n else []

    def search(
        self,
        pattern: str = "*",
        raw: bool = True,
        search_raw: bool = True,
        output: bool = False,
        n: int | None = None,
        unique: bool = False,
    ) -> Iterable[Entry]:
        """The cells that match a glob pattern, the last `n` of them, oldest first."""
        matches = compile_pattern(translate(pattern)).match
        searched = self.input_hist_raw if search_raw else self.input_hist_parsed
        found = [
            entry
            for entry in self._get_range_session(1, None, raw, output)
            if matches(searched[entry[1]])
        ]
        if unique:
            found = list({searched[entry[1]]: entry for entry in found}.values())
        return found if n is None else found[-n:] if n else []

    def get_range(
        self,
        session: int = 0,
        start: int = 1,
        stop: int | None = None,
        raw: bool = True,
        output: bool = False,
    ) -> Iterable[Entry]:
        """Cells of the current session; of earlier ones the guest knows nothing."""
        if session != 0:
            return []
        return self._get_range_session(start, stop, raw, output)

    def reset(self, new_session: bool = True) -> None:
        """Forget everything."""
        super().reset(new_session)
        self.output_hist_reprs.clear()
        self._i00 = self._i = self._ii = self._iii = ""
        if new_session:
            self.input_hist_parsed[:] = [""]
            self.input_hist_raw[:] = [""]

    def end_session(self) -> None:
        """Nothing to write down."""
