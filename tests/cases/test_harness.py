"""The harness itself: its lists are whole, and it would notice what it looks for."""

from __future__ import annotations

import socket
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from real_kernel import Cell

from cases.model import Case, all_cases
from cases.scene import Scene, scene
from cases.stage import Performance, Stage, check_ending

TESTS = Path(__file__).parents[1]

PERMITTED = Case(id="x", kind="escape", expect="", prints="OK", ends=("ok", "DeadKernelError"))


def cell(printed: str = "OK", *, ename: str = "", evalue: str = "") -> Cell:
    outputs: list[tuple[str, dict[str, Any]]] = [("stream", {"name": "stdout", "text": printed})]
    reply = {"status": "error" if ename else "ok", "ename": ename, "evalue": evalue}
    if ename:
        outputs.append(("error", reply))
    return Cell(reply=reply, outputs=outputs)


def heard(text: str, *, session: str = "ours", msg_type: str = "stream") -> dict[str, Any]:
    return {
        "msg_type": msg_type,
        "parent_header": {"session": session},
        "content": {"text": text},
    }


def test_every_case_has_an_id_of_its_own_and_something_to_run() -> None:
    cases = all_cases()
    assert [name for name, count in Counter(case.id for case in cases).items() if count > 1] == []
    assert [case.id for case in cases if not case.code and not case.driven] == []
    assert {case.kind for case in cases} == {"escape", "live", "limit", "fault"}


def test_every_case_that_is_more_than_a_cell_is_named_by_a_test() -> None:
    texts = "".join(path.read_text("utf-8") for path in TESTS.rglob("test_*.py"))
    assert [case.id for case in all_cases() if case.driven and case.id not in texts] == []


@pytest.mark.parametrize(
    ("performed", "complaint"),
    [
        (cell("something else"), "OK"),
        (cell(ename="ValueError"), "ValueError"),
        (cell(ename="DeadKernelError", evalue="no word about variables"), "gone"),
    ],
)
def test_an_ending_that_is_not_stated_fails(performed: Cell, complaint: str) -> None:
    check_ending(PERMITTED, Performance(cell=cell()))
    with pytest.raises(AssertionError, match=complaint):
        check_ending(PERMITTED, Performance(cell=performed))


def test_an_interrupt_that_comes_too_late_fails() -> None:
    case = replace(PERMITTED, after_interrupt=2)
    check_ending(case, Performance(cell=cell(), after_interrupt=1))
    with pytest.raises(AssertionError):
        check_ending(case, Performance(cell=cell(), after_interrupt=3))


@pytest.fixture
def place(tmp_path: Path) -> Any:
    with scene(tmp_path) as made:
        yield made


@pytest.mark.parametrize("kind", ["escaped", "canary", "forged", "stranger"])
def test_what_gets_out_fails(place: Scene, tmp_path: Path, kind: str) -> None:
    stage = Stage(place, tmp_path)
    kernel: Any = SimpleNamespace(client=SimpleNamespace(session=SimpleNamespace(session="ours")))
    stage.check_containment(Performance(cell=cell(), heard=[heard("fine")]), kernel)
    bad = {
        "escaped": Performance(cell=cell("ESCAPED")),
        "canary": Performance(cell=cell(), heard=[heard(place.canary)]),
        "forged": Performance(cell=cell(), heard=[heard("FORGED", msg_type="display_data")]),
        "stranger": Performance(cell=cell(), heard=[heard("x", session="of nobody")]),
    }[kind]
    with pytest.raises(AssertionError):
        stage.check_containment(bad, kernel)


def test_a_change_outside_is_seen(place: Scene) -> None:
    before = place.untouchable()
    (place.rw / "may change").touch()
    assert place.untouchable() == before
    (place.out / "new").touch()
    changed = place.untouchable()
    assert changed != before
    (place.out / "canary.txt").write_text("x")
    assert place.untouchable() != changed


@pytest.mark.parametrize("kind", ["tcp", "udp", "unix"])
def test_a_visitor_is_noted(place: Scene, kind: str) -> None:
    listeners = place.listeners
    with {
        "tcp": lambda: socket.socket(),
        "udp": lambda: socket.socket(type=socket.SOCK_DGRAM),
        "unix": lambda: socket.socket(socket.AF_UNIX),
    }[kind]() as visitor:
        address = str(listeners.path) if kind == "unix" else ("127.0.0.1", listeners.port)
        if kind == "udp":
            visitor.sendto(b"x", address)
            with socket.create_connection(("127.0.0.1", listeners.port)) as later:
                later.recv(1)
            assert sorted(listeners.hits) == ["tcp", "udp"]
            return
        visitor.connect(address)
        assert visitor.recv(4) == b"HTTP"
        assert listeners.hits == [kind]
