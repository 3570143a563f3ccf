"""What users see while packages are loaded."""

from __future__ import annotations

from typing import Any

import pytest

from pyodide_kernel import package_desk
from pyodide_kernel.package_desk import Shown
from pyodide_kernel.parents import Parent, Parents


class Published:
    """Notes what would go to iopub."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, str]] = []

    def publish(self, msg_type: str, content: Any, *, parent: Any) -> None:
        line = content.get("data", {}).get("text/plain", "")
        self.messages.append((msg_type, line, parent["msg_id"]))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_desk, "UPDATE_S", 0.0)


@pytest.fixture
def cell() -> Parent:
    return Parent(id="a", header={"msg_id": "cell"})


@pytest.fixture
def shown(cell: Parent) -> tuple[Shown, Published]:
    parents, published = Parents(), Published()
    parents.add(cell)
    return Shown(publisher=published, parents=parents), published  # type: ignore[arg-type]  # fake


def test_a_line_changes_in_place_and_goes_away(shown: tuple[Shown, Published]) -> None:
    line, published = shown
    report = line.begin("a")
    report("one")
    report("two")
    line.end("a")
    assert published.messages == [
        ("display_data", "one", "cell"),
        ("update_display_data", "two", "cell"),
        ("clear_output", "", "cell"),
    ]


def test_nothing_is_shown_if_nothing_takes_time(shown: tuple[Shown, Published]) -> None:
    line, published = shown
    line.begin("a")
    line.end("a")
    assert published.messages == []


def test_a_cell_that_has_output_has_one_line_for_all_its_questions(
    shown: tuple[Shown, Published], cell: Parent
) -> None:
    line, published = shown
    cell.sent_bytes = 1
    for text in ("one", "two"):
        line.begin("a")(text)
        line.end("a")
    assert [message[:2] for message in published.messages] == [
        ("display_data", "one"),
        ("update_display_data", ""),
        ("update_display_data", "two"),
        ("update_display_data", ""),
    ]


def test_lines_do_not_come_faster_than_they_can_be_read(
    shown: tuple[Shown, Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_desk, "UPDATE_S", 3600.0)
    line, published = shown
    report = line.begin("a")
    report("one")
    report("two")
    assert [message[1] for message in published.messages] == ["one"]


def test_what_no_cell_asked_for_shows_nothing(shown: tuple[Shown, Published]) -> None:
    line, published = shown
    line.begin("nobody")("one")
    line.end("nobody")
    assert published.messages == []
