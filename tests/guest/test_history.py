from __future__ import annotations

from pathlib import Path

import pytest
from guest.guest import Guest


@pytest.fixture
def history(guest: Guest) -> Guest:
    for code in ("a = 1", "b = 2", "%time a + b"):
        guest.run(code)
    return guest


def test_history_lists_the_session(history: Guest) -> None:
    assert history.run("%history").stdout == "a = 1\nb = 2\n%time a + b\n%history\n"
    assert history.run("%history -n 1-2").stdout.split() == [
        "1:",
        "a",
        "=",
        "1",
        "2:",
        "b",
        "=",
        "2",
    ]
    assert "run_line_magic" in history.run("%history -t 3").stdout
    assert "3" in history.run("%history -o 3").stdout


def test_history_is_searched(history: Guest) -> None:
    assert "b = 2" in history.run("%history -g b*=").stdout
    assert history.run("%history -l 2").stdout == "%time a + b\n%history -g b*=\n"


def test_history_of_other_sessions_is_empty(history: Guest) -> None:
    assert history.run("%history ~1/").stdout == ""


def test_cells_are_recalled_and_rerun(history: Guest) -> None:
    (payload,) = history.run("%recall 1").payload
    assert payload["text"] == "a = 1"
    history.run("a = 10")
    history.run("%rerun 2")
    assert history.run("a + b").result == "12"


def test_cells_are_saved_and_loaded(
    history: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    history.run("%save kept 1-2")
    assert (tmp_path / "kept.py").read_text().endswith("a = 1\nb = 2\n")
    (payload,) = history.run("%load 1-2").payload
    assert payload["text"].endswith("a = 1\nb = 2")
    history.run("%macro again 1")
    assert history.run("again\na").result == "1"


def test_cells_outside_of_the_history_leave_no_trace(guest: Guest) -> None:
    assert guest.run("1", store_history=False).of("execute_result")
    guest.run("2", silent=True)
    assert guest.shell.history.input_hist_raw == [""]
    assert guest.kernel.execution_count == 1


def test_history_has_the_interface_of_ipythons(history: Guest) -> None:
    manager = history.shell.history
    assert list(manager.get_tail(2, include_latest=True)) == [
        (0, 2, "b = 2"),
        (0, 3, "%time a + b"),
    ]
    assert list(manager.get_tail(1)) == [(0, 2, "b = 2")]
    assert list(manager.get_tail(None)) == []
    assert list(manager.get_range(0, 1, 3, output=True)) == [
        (0, 1, ("a = 1", None)),
        (0, 2, ("b = 2", None)),
    ]
    assert list(manager.get_range(-1)) == []
    assert list(manager.get_range(7)) == []
    assert list(manager.search("*=*", n=1)) == [(0, 2, "b = 2")]
    assert next(iter(manager.search("*", unique=True, output=True))) == (0, 1, ("a = 1", None))
    assert manager.db_input_cache == []


def test_history_opens_no_file(guest: Guest) -> None:
    assert guest.shell.history.hist_file == ":memory:"
    assert not guest.shell.history.enabled
    assert guest.shell.history.save_thread is None
