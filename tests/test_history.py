from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel.content import read_history_request
from pyodide_kernel.folders import history_path
from pyodide_kernel.history import History

LOG = logging.getLogger("history-test")


@contextmanager
def opened(path: Path | None) -> Iterator[History]:
    history = History(path, log=LOG)
    try:
        yield history
    finally:
        history.close()


def find(history: History, access: str, **members: Any) -> list[Any]:
    query = read_history_request({"hist_access_type": access, "raw": True} | members)
    return asyncio.run(history.find(query))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "history.sqlite"


def test_the_tail_is_the_last_inputs_oldest_first(path: Path) -> None:
    with opened(path) as history:
        for n in range(1, 6):
            history.store(n, f"x = {n}\n")
        assert find(history, "tail", n=2) == [(1, 4, "x = 4"), (1, 5, "x = 5")]
        assert len(find(history, "tail")) == 5


def test_history_is_kept_across_kernels(path: Path) -> None:
    for text in ("first", "second"):
        with opened(path) as history:
            history.store(1, text)
    with opened(path) as history:
        history.store(1, "third")
        assert find(history, "tail", n=3) == [(1, 1, "first"), (2, 1, "second"), (3, 1, "third")]
        assert find(history, "range", session=-1, start=1) == [(2, 1, "second")]
        assert find(history, "range", session=1, start=1) == [(1, 1, "first")]


def test_the_tail_of_a_kernel_ends_with_its_own_inputs_beside_a_younger_one(path: Path) -> None:
    with opened(path) as older, opened(path) as younger:
        older.store(1, "old")
        assert find(older, "tail", n=1) == [(1, 1, "old")]
        younger.store(1, "young")
        assert find(younger, "tail", n=1) == [(2, 1, "young")]
        assert find(older, "tail", n=2) == [(2, 1, "young"), (1, 1, "old")]


def test_ranges_of_the_current_session(path: Path) -> None:
    with opened(path) as history:
        for n in range(1, 5):
            history.store(n, str(n))
        assert find(history, "range", session=0, start=2, stop=4) == [(0, 2, "2"), (0, 3, "3")]
        assert find(history, "range", session=1, start=2, stop=3) == [(1, 2, "2")]
        assert find(history, "range", session=0, start=-1) == [(0, 4, "4")]


def test_results_are_returned_for_the_current_session_only(path: Path) -> None:
    with opened(path) as history:
        history.store(1, "1+1")
        history.store_result(1, "2")
        assert find(history, "range", session=0, start=1, output=True) == [(0, 1, ("1+1", "2"))]
        assert find(history, "tail", output=True) == [(1, 1, ("1+1", "2"))]
        history.new_session()
        assert find(history, "tail", output=True) == [(1, 1, ("1+1", None))]


def test_search_by_pattern_unique_and_last_n(path: Path) -> None:
    with opened(path) as history:
        for n, text in enumerate(("a = 1", "b = 2", "a = 1", "a = 3"), start=1):
            history.store(n, text)
        assert [row[2] for row in find(history, "search", pattern="a*")] == [
            "a = 1",
            "a = 1",
            "a = 3",
        ]
        unique = find(history, "search", pattern="a*", unique=True)
        assert [row[2] for row in unique] == ["a = 1", "a = 3"]
        assert [row[2] for row in find(history, "search", pattern="a*", n=1)] == ["a = 3"]
        assert len(find(history, "search")) == 4


def test_without_raw_the_transformed_source_is_returned(path: Path) -> None:
    with opened(path) as history:
        history.store(1, "%time 1")
        ((_, _, source),) = find(history, "tail", raw=False)
        assert source == "get_ipython().run_line_magic('time', '1')"


@pytest.mark.parametrize("source", ["", " \n\t", "exit", "quit()", "exit()\n"])
def test_blank_cells_and_exits_are_not_stored(path: Path, source: str) -> None:
    with opened(path) as history:
        history.store(1, source)
        assert find(history, "tail") == []


def test_a_repeated_prompt_number_begins_a_new_session(path: Path) -> None:
    with opened(path) as history:
        history.store(1, "a")
        history.store(1, "b")
        assert find(history, "tail") == [(1, 1, "a"), (2, 1, "b")]


def test_odd_texts_are_stored(path: Path) -> None:
    with opened(path) as history:
        for n, text in enumerate(("'\0'", "'\ud800'", "(" * 10_000, "def f(:"), start=1):
            history.store(n, text)
        assert [row[2] for row in find(history, "tail")][:2] == ["'\0'", "'\ufffd'"]
        assert len(find(history, "tail")) == 4


def test_a_session_records_its_end_and_length(path: Path) -> None:
    with opened(path) as history:
        history.store(1, "a")
    with closing(sqlite3.connect(path)) as database:
        ((end, count),) = database.execute("SELECT end, num_cmds FROM sessions")
    assert end is not None
    assert count == 1


@pytest.mark.parametrize("place", ["/dev/null/x/history.sqlite", "~nobody/history.sqlite"])
def test_a_file_that_cannot_be_written_costs_one_line_and_no_history(
    place: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(Path(place)) as history:
        history.store(1, "a")
        assert find(history, "tail") == [(1, 1, "a")]
    (record,) = caplog.records
    assert place in record.getMessage()


def test_a_read_only_file_costs_one_line(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.mkdir()  # as good as unwritable, also for root
    with opened(path) as history:
        history.store(1, "a")
        assert len(find(history, "tail")) == 1
    assert len(caplog.records) == 1


def test_a_damaged_file_is_moved_aside(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all, " * 100)
    with opened(path) as history:
        history.store(1, "a")
        assert find(history, "tail") == [(1, 1, "a")]
    assert len(list(path.parent.iterdir())) == 2


def test_nothing_is_written_before_there_is_something_to_write(path: Path) -> None:
    with opened(path):
        pass
    assert not path.exists()


def test_history_after_close_is_ignored(path: Path) -> None:
    with opened(path) as history:
        pass
    history.store(1, "late")


def test_the_default_file_lies_in_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    path = history_path("")
    assert path is not None
    assert path.name == "history.sqlite"
    assert "pyodide-kernel" in str(path)
    assert history_path(":memory:") is None
    assert history_path("x.sqlite") == Path("x.sqlite").absolute()
