"""How the next interpreter starts, with every state a snapshot can be in."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.plans import Plan, SnapshotPlans
from pyodide_kernel.bridge.snapshot_store import SnapshotStore
from pyodide_kernel.errors import WorkerStartError

DATA = b"memory" * 1000
READY = Message(msg_type="ready", content={"execution_count": 1, "problem": ""})


class Place:
    """A store, and plans for interpreters that are never launched."""

    def __init__(self, folder: Path, *, fails: bool = False, has_landlock: bool = True) -> None:
        self.store = SnapshotStore(folder, "key")
        self.made = 0
        self._fails = fails
        command = DenoCommand(deno=Path("deno"), runtime=Path("runtime"))
        self.plans = SnapshotPlans(command, self.store, self._make, has_landlock=has_landlock)

    async def _make(self, code: Path | None) -> bytes:
        self.made += 1
        if code is not None:
            (code / "compiled").write_bytes(b"code")
        if self._fails:
            raise WorkerStartError("no snapshot came of it")
        return DATA


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


def snapshot_of(plan: Plan) -> Any:
    return plan.boot.get("snapshot", {"use": "none"})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "snapshots")


def test_without_a_snapshot_one_is_made_when_the_interpreter_is_ready(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def start() -> None:
        plan = place.plans.next()
        assert snapshot_of(plan) == {"use": "none"}
        assert plan.verdict is None
        place.plans.note_ready(READY)
        assert place.made == 0
        await place.plans.afterwards()
        assert place.store.find().is_intact()
        await place.plans.afterwards()
        assert place.made == 1

    run(start())
    (line,) = caplog.messages
    assert "none has been made yet" in line


def test_a_good_snapshot_is_restored_without_a_word(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    made = place.store.add(DATA)

    async def start() -> None:
        plan = place.plans.next()
        assert snapshot_of(plan) == {"use": "restore", "path": str(made.path)}
        assert plan.verdict is not None
        assert await plan.verdict is True
        place.plans.note_ready(READY)
        await place.plans.afterwards()

    run(start())
    assert (caplog.messages, place.made) == ([], 0)


def test_a_damaged_snapshot_is_refused_told_once_and_replaced(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    made = place.store.add(DATA)
    made.path.write_bytes(b"x" * len(DATA))

    async def start() -> None:
        plan = place.plans.next()
        assert plan.verdict is not None
        assert await plan.verdict is False
        refused = {"execution_count": 1, "problem": "The snapshot is not what was made"}
        place.plans.note_ready(Message(msg_type="ready", content=refused))
        await place.plans.afterwards()

    run(start())
    (line,) = caplog.messages
    assert str(made.path) in line
    assert "not what was made" in line
    assert place.made == 1
    assert place.store.find().is_intact()


def test_a_truncated_snapshot_is_not_even_offered(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(place.store.add(DATA).path, 10)

    async def start() -> None:
        assert snapshot_of(place.plans.next()) == {"use": "none"}
        place.plans.note_ready(READY)
        await place.plans.afterwards()

    run(start())
    (line,) = caplog.messages
    assert "10 bytes instead of 6,000" in line
    assert place.store.find().is_intact()


def test_where_none_can_be_kept_none_is_made(caplog: pytest.LogCaptureFixture) -> None:
    place = Place(Path("/dev/null/snapshots"))

    async def start() -> None:
        assert snapshot_of(place.plans.next()) == {"use": "none"}
        place.plans.note_ready(READY)
        await place.plans.afterwards()

    run(start())
    (line,) = caplog.messages
    assert "nor can be in /dev/null/snapshots" in line
    assert place.made == 0


def test_what_another_process_makes_is_not_made_twice(place: Place) -> None:
    async def start() -> None:
        with place.store.making() as ours:
            assert ours
            place.plans.next()
            await place.plans.afterwards()
        assert place.made == 0

    run(start())


def test_what_another_process_has_made_meanwhile_is_not_made_again(place: Place) -> None:
    async def start() -> None:
        place.plans.next()
        place.store.add(DATA)
        await place.plans.afterwards()
        assert place.made == 0

    run(start())


def test_a_failure_to_make_one_is_told_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place(tmp_path / "snapshots", fails=True)

    async def start() -> None:
        place.plans.next()
        await place.plans.afterwards()

    with caplog.at_level(logging.WARNING):
        run(start())
    assert "no snapshot came of it" in caplog.messages[-1]
    assert place.made == 1
    assert [path.name for path in place.store.folder.iterdir()] == ["lock"]


@pytest.mark.parametrize("has_landlock", [True, False])
def test_compiled_code_is_kept_where_landlock_protects_it(
    tmp_path: Path, has_landlock: bool
) -> None:
    place = Place(tmp_path / "snapshots", has_landlock=has_landlock)

    async def start() -> None:
        place.plans.next()
        await place.plans.afterwards()

    run(start())
    code = place.store.find().code
    assert (code is not None) == has_landlock
    if code is not None:
        assert (code / "compiled").read_bytes() == b"code"
