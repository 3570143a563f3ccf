"""What users ran, kept on the host across kernels; guest code never sees the file."""

# mypy: disallow-untyped-calls=False
# ipykernel's and IPython's functions have no annotations.

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from IPython.core.history import HistoryAccessor
from IPython.core.inputtransformer2 import TransformerManager

from pyodide_kernel.content import HistoryQuery
from pyodide_kernel.folders import MEMORY

DEFAULT_TAIL: Final = 10
MAX_RESULTS: Final = 1000
MAX_RESULT_CHARS: Final = 100_000
"""Results are kept for the session only, as in IPython; these bound the memory they take."""

_EXIT = re.compile(r"(exit|quit)(\s*\(.*\))?$")

Row = tuple[int, int, Any]


class History:
    """IPython's history database, in a file of our own, or in memory without a path.

    Everything that touches the database runs in one thread, so a slow disk delays no cell, and a
    query sees every cell stored before it.
    """

    def __init__(self, path: Path | None, *, log: logging.Logger) -> None:
        self._path = path
        self._log = log
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="History")
        self._database: HistoryAccessor | None = None
        self._session = 0
        self._lines = 0
        self._results: OrderedDict[int, str] = OrderedDict()
        self._results_lock = threading.Lock()

    def store(self, line: int, source: str) -> None:
        """Record the input with prompt number `line`; blank cells and exits are not recorded."""
        if source and not source.isspace() and not _EXIT.match(source.strip()):
            self._submit(self._store, line, source.rstrip("\n"))

    def store_result(self, line: int, text: str) -> None:
        """Remember the text form of a result for as long as this session lasts."""
        with self._results_lock:
            self._results[line] = text[:MAX_RESULT_CHARS]
            if len(self._results) > MAX_RESULTS:
                self._results.popitem(last=False)

    def new_session(self) -> None:
        """The interpreter is a fresh one: prompt numbers start again."""
        with self._results_lock:
            self._results.clear()
        self._submit(self._end_session)

    async def find(self, query: HistoryQuery) -> list[Row]:
        """Rows `(session, line, input)`, or `(session, line, (input, output))`, oldest first."""
        return await asyncio.wrap_future(self._thread.submit(self._find, query))

    def close(self) -> None:
        """Write what is left and close the file. Waits for it."""
        self._submit(self._close)
        self._thread.shutdown(wait=True)

    def _submit(self, function: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # closed: the kernel ends
            self._thread.submit(function, *arguments)

    # In the thread of the database.

    def _store(self, line: int, source: str) -> None:
        row = (line, _transformed(source), source)
        try:
            self._insert(row)
        except sqlite3.IntegrityError:  # guest code set its prompt number back
            self._end_session()
            self._insert(row)
        except sqlite3.Error as error:
            self._log.warning("Can't write the history file %s: %s", self._path, error)

    def _insert(self, row: tuple[int, str, str]) -> None:
        line, parsed, raw = row
        database = self._open()
        self._begin_session(database)
        with database.db:
            database.db.execute(
                "INSERT INTO history VALUES (?, ?, ?, ?)",
                (self._session, line, _storable(parsed), _storable(raw)),
            )
        self._lines += 1

    def _begin_session(self, database: HistoryAccessor) -> None:
        if self._session:
            return
        with database.db:
            cursor = database.db.execute(
                "INSERT INTO sessions VALUES (NULL, ?, NULL, NULL, '')", (_now(),)
            )
        self._session, self._lines = cursor.lastrowid, 0

    def _end_session(self) -> None:
        if self._session and self._database:
            with self._database.db:
                self._database.db.execute(
                    "UPDATE sessions SET end=?, num_cmds=? WHERE session==?",
                    (_now(), self._lines, self._session),
                )
        self._session = 0

    def _find(self, query: HistoryQuery) -> list[Row]:
        try:
            return self._select(query)
        except sqlite3.Error as error:
            self._log.warning("Can't read the history file %s: %s", self._path, error)
            return []

    def _select(self, query: HistoryQuery) -> list[Row]:
        database = self._open()
        self._begin_session(database)
        rows: Iterable[Row]
        if query.access == "tail":
            rows = self._tail(database, query)
        elif query.access == "range":
            rows = self._range(database, query)
        else:
            rows = database.search(
                query.pattern,
                raw=query.raw,
                output=query.output,
                n=query.n,
                unique=query.unique,
            )
        return [self._with_result(row, query) for row in rows]

    def _tail(self, database: HistoryAccessor, query: HistoryQuery) -> list[Row]:
        """The last `n` rows; this session's are the last ones, also beside a younger kernel."""
        n = DEFAULT_TAIL if query.n is None else max(query.n, 0)
        rows: list[Row] = []
        for comparison, order in (("==", "line DESC"), ("!=", "session DESC, line DESC")):
            clause = f"WHERE session {comparison} ? ORDER BY {order} LIMIT ?"
            bounds = (self._session, n - len(rows))
            rows += database._run_sql(clause, bounds, raw=query.raw, output=query.output)
        return rows[::-1]

    def _range(self, database: HistoryAccessor, query: HistoryQuery) -> Iterable[Row]:
        """Lines of one session; 0 is the current one and negative ones count back from it."""
        session = query.session if query.session > 0 else query.session + self._session
        start, stop = (
            bound + self._lines + 1 if bound is not None and bound < 0 else bound
            for bound in (query.start, query.stop)
        )
        rows = database.get_range(session, start or 0, stop, raw=query.raw, output=query.output)
        if query.session != 0:
            return rows
        return [(0, line, found) for _, line, found in rows]

    def _with_result(self, row: Row, query: HistoryQuery) -> Row:
        session, line, found = row
        if not query.output or session not in (0, self._session):
            return row
        with self._results_lock:
            return session, line, (found[0], self._results.get(line))

    def _open(self) -> HistoryAccessor:
        if self._database is None:
            path = self._path if self._path and self._is_writable(self._path) else MEMORY
            # It moves a damaged file aside only if the path is a Path.
            self._database = HistoryAccessor(hist_file=path)  # type: ignore[arg-type]
        return self._database

    def _is_writable(self, path: Path) -> bool:
        """Whether history can be kept; if not, the log gets its one line."""
        try:
            if not path.is_absolute():
                raise OSError("there is no home folder")
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _try_writing(path)
        except (OSError, sqlite3.OperationalError) as error:
            self._log.warning("No history is kept: can't write %s: %s", path, error)
            return False
        except sqlite3.Error:
            return True  # not a database: HistoryAccessor moves it aside and says so
        return True

    def _close(self) -> None:
        self._end_session()
        if self._database:
            self._database.close()


def _try_writing(path: Path) -> None:
    connection = sqlite3.connect(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.rollback()
    finally:
        connection.close()


def _transformed(source: str) -> str:
    """The input as IPython's `history` table has it beside the raw one."""
    try:
        return TransformerManager().transform_cell(source).rstrip("\n")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # of the tokenizer
        return source


def _storable(value: str) -> str:
    """SQLite stores UTF-8: lone surrogates are replaced."""
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _now() -> str:
    return datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
