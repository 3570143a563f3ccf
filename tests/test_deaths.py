from __future__ import annotations

from pyodide_kernel.bridge.bridge import Death
from pyodide_kernel.deaths import Deaths


def death(cause: str = "c", *, requested: bool = False, during_start: bool = False) -> Death:
    return Death(cause=cause, requested=requested, during_start=during_start)


def test_a_death_while_nothing_runs_is_told() -> None:
    assert Deaths().note(death("why"), cell_runs=False) == "why"


def test_what_was_asked_for_or_cost_nothing_is_not_told() -> None:
    assert Deaths().note(death(requested=True), cell_runs=False) is None
    assert Deaths().note(death(during_start=True), cell_runs=False) is None


def test_a_death_is_told_once_if_the_cell_fails_first() -> None:
    deaths = Deaths()
    deaths.cell_failed("why")
    assert deaths.note(death("why"), cell_runs=False) is None
    assert deaths.note(death("why"), cell_runs=False) == "why"


def test_a_death_is_told_once_if_its_news_come_before_the_cell_fails() -> None:
    deaths = Deaths()
    assert deaths.note(death("why"), cell_runs=True) is None
    deaths.cell_failed("why")
    assert deaths.note(death("why"), cell_runs=False) == "why"


def test_a_death_just_before_a_cell_is_told_when_that_has_ended() -> None:
    deaths = Deaths()
    assert deaths.note(death("why"), cell_runs=True) is None
    assert deaths.cell_ended() == "why"
    assert deaths.cell_ended() is None


def test_an_idle_interpreter_that_was_ended_is_told() -> None:
    idle = Death(cause="idle", requested=True, during_start=False, idle=True)
    assert Deaths().note(idle, cell_runs=False) == "idle"
