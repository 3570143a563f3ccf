"""What can happen to one interpreter that is rare: the wrong moment, and our own bugs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S
from fake_deno import FakeDeno, FakeLaunch, Gate

from pyodide_kernel.bridge.bridge import MAX_DEATHS
from pyodide_kernel.bridge.life import explain
from pyodide_kernel.errors import WorkerStartError

OnData = Callable[[bytes], None]


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


async def answers_cells(deno: FakeDeno) -> None:
    await deno.get_ready()
    while True:
        deno.reply(await deno.hear("execute_request"))


async def late(launch: FakeLaunch, on_data: OnData) -> FakeDeno:
    """A launch that returns after its process has said its first words."""
    deno = await launch(on_data)
    for _ in range(10):
        await asyncio.sleep(0)
    return deno


def test_unexpected_error_of_a_launch_is_a_death_and_is_logged(
    start_bridge: StartBridge, caplog: pytest.LogCaptureFixture
) -> None:
    async def launch(_on_data: OnData) -> FakeDeno:
        raise ZeroDivisionError("a bug of ours")

    harness = start_bridge(launch=launch)
    future = harness.execute()
    for _ in range(MAX_DEATHS):
        death = harness.next_death()
        assert death.cause == "An error of the kernel itself: ZeroDivisionError('a bug of ours')."
        assert death.during_start
    harness.next_death(gives_up=True)
    with pytest.raises(WorkerStartError, match="a bug of ours"):
        future.result(PATIENCE_S)
    assert [record for record in caplog.records if record.exc_info is not None]


def test_unexpected_error_while_waiting_ends_the_process_too(start_bridge: StartBridge) -> None:
    class Broken(FakeDeno):
        async def wait(self) -> str:
            raise ZeroDivisionError("a bug of ours")

    broken: list[Broken] = []
    fake = FakeLaunch(answers_cells)

    async def launch(on_data: OnData) -> FakeDeno:
        if broken:
            return await fake(on_data)
        broken.append(Broken(on_data))
        return broken[0]

    harness = start_bridge(launch=launch)
    assert "a bug of ours" in harness.next_death().cause
    assert broken[0]._end.done()
    assert harness.execute().result(PATIENCE_S).content["status"] == "ok"


def test_hello_may_come_before_the_launch_is_over(start_bridge: StartBridge) -> None:
    fake = FakeLaunch(answers_cells)

    async def launch(on_data: OnData) -> FakeDeno:
        return await late(fake, on_data)

    harness = start_bridge(launch=launch)
    assert harness.execute().result(PATIENCE_S).content["status"] == "ok"


def test_readiness_before_boot_breaks_the_protocol(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        deno.hello()
        deno.say("ready", {"execution_count": 1})

    fake = FakeLaunch(script, answers_cells)

    async def launch(on_data: OnData) -> FakeDeno:
        return await late(fake, on_data)

    harness = start_bridge(launch=launch)
    future = harness.execute()
    assert "a ready message before boot" in harness.next_death().cause
    assert future.result(PATIENCE_S).content["status"] == "ok"


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        ("RangeError: Maximum call stack size exceeded", "the recursion was too deep for WebAss"),
        ("RecursionError.", "the recursion was too deep for WebAssembly"),
        ("RangeError: WebAssembly.Memory(): out of memory", "it ran out of memory"),
        ("Array buffer allocation failed", "it ran out of memory"),
        ("something else.", "something else"),
    ],
)
def test_last_words_are_explained(cause: str, told: str) -> None:
    assert told in explain(cause)


def test_launch_that_was_ended_may_clean_up_in_peace(start_bridge: StartBridge) -> None:
    launching, cleaning, ended = Gate(), Gate(), Gate()
    cleaned: list[bool] = []

    async def launch(_on_data: OnData) -> FakeDeno:
        launching.open()
        try:
            await asyncio.Event().wait()
        finally:
            cleaning.open()
            await ended.opened()
            cleaned.append(True)
        raise AssertionError

    harness = start_bridge(launch=launch)
    launching.wait(PATIENCE_S)
    harness.bridge.restart("The kernel was restarted.")
    cleaning.wait(PATIENCE_S)
    harness.bridge.restart("The kernel was restarted again.")
    harness.bridge._call(harness.bridge._close)
    harness.bridge._call(ended.open)
    harness.close()
    assert cleaned == [True]
