"""The three stages of an interrupt, with times of milliseconds."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S, Harness
from fake_deno import FakeDeno, FakeLaunch, Gate

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import DeadKernelError, StartInterruptedError

SOON_S = 0.02
NEVER_S = 1000.0


async def swallows_interrupts(deno: FakeDeno) -> None:
    await deno.get_ready()
    await deno.hear("execute_request")
    deno.say("stream", {"name": "stdout", "text": "running"})
    while True:
        await deno.hear("interrupt")
        deno.say("stream", {"name": "stdout", "text": "ignored"})


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


def running_cell(harness: Harness) -> Future[Message]:
    """A cell that has said that it runs."""
    future = harness.execute()
    harness.wait_ready()
    assert harness.next_message().content["text"] == "running"
    return future


def test_first_stage_asks_the_guest(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": "running"})
        await deno.hear("interrupt")
        deno.reply(request, status="error", ename="KeyboardInterrupt")

    harness = start_bridge(script)
    future = running_cell(harness)
    assert harness.bridge.interrupt()
    assert future.result(PATIENCE_S).content["ename"] == "KeyboardInterrupt"
    harness.no_more_events()


def test_interrupt_while_nothing_runs_does_nothing(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        deno.reply(await deno.hear("execute_request"))

    harness = start_bridge(script, interrupt_grace_s=SOON_S)
    harness.wait_ready()
    assert not harness.bridge.interrupt()
    # Had the script heard an interrupt, it would have failed.
    harness.execute().result(PATIENCE_S)


def test_interrupt_before_readiness_fails_what_waits(start_bridge: StartBridge) -> None:
    interrupted = Gate()

    async def script(deno: FakeDeno) -> None:
        await interrupted.opened()
        await deno.get_ready()
        deno.reply(await deno.hear("execute_request"), execution_count=2)

    harness = start_bridge(script)
    future = harness.execute()
    harness.bridge.interrupt()
    with pytest.raises(StartInterruptedError, match="interrupted before"):
        future.result(PATIENCE_S)
    interrupted.open()
    harness.wait_ready()
    assert harness.execute().result(PATIENCE_S).content["execution_count"] == 2


def test_cell_that_does_not_react_is_killed_after_the_grace_time(start_bridge: StartBridge) -> None:
    harness = start_bridge(swallows_interrupts, gets_ready, interrupt_grace_s=SOON_S)
    future = running_cell(harness)
    harness.bridge.interrupt()
    assert harness.next_message().content["text"] == "ignored"
    death = harness.next_death()
    assert death.requested
    assert "did not react to the interrupt (after 0.02 s)" in death.cause
    assert "All variables" in death.cause
    with pytest.raises(DeadKernelError, match="did not react"):
        future.result(PATIENCE_S)
    harness.wait_ready()


def test_cell_that_reacts_in_time_is_not_killed(start_bridge: StartBridge) -> None:
    """The first cell's grace time is over before the second cell ends."""

    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        first = await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": "running"})
        await deno.hear("interrupt")
        deno.reply(first)
        second = await deno.hear("execute_request")
        await deno.hear_pings(4)
        deno.reply(second)

    harness = start_bridge(script, interrupt_grace_s=SOON_S, hang_timeout_s=3 * SOON_S)
    first = running_cell(harness)
    harness.bridge.interrupt()
    first.result(PATIENCE_S)
    harness.execute().result(PATIENCE_S)
    harness.no_more_events()


def test_grace_time_of_zero_never_kills(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": "running"})
        await deno.hear("interrupt")
        await deno.hear_pings(4)
        deno.reply(request)

    harness = start_bridge(script, interrupt_grace_s=0.0, hang_timeout_s=3 * SOON_S)
    future = running_cell(harness)
    harness.bridge.interrupt()
    assert future.result(PATIENCE_S).content["status"] == "ok"
    harness.no_more_events()


def test_second_interrupt_soon_after_the_first_asks_once_more(start_bridge: StartBridge) -> None:
    harness = start_bridge(swallows_interrupts, second_interrupt_s=NEVER_S)
    running_cell(harness)
    for _ in range(3):
        harness.bridge.interrupt()
        assert harness.next_message().content["text"] == "ignored"
    harness.no_more_events()


def test_second_interrupt_after_a_while_kills(start_bridge: StartBridge) -> None:
    harness = start_bridge(swallows_interrupts, gets_ready, second_interrupt_s=0.0)
    future = running_cell(harness)
    harness.bridge.interrupt()
    assert harness.next_message().content["text"] == "ignored"
    harness.bridge.interrupt()
    death = harness.next_death()
    assert death.requested
    assert "after a second interrupt" in death.cause
    with pytest.raises(DeadKernelError):
        future.result(PATIENCE_S)
    harness.wait_ready()


def test_second_interrupt_kills_without_a_grace_time_too(start_bridge: StartBridge) -> None:
    harness = start_bridge(
        swallows_interrupts, gets_ready, second_interrupt_s=0.0, interrupt_grace_s=0.0
    )
    running_cell(harness)
    harness.bridge.interrupt()
    assert harness.next_message().content["text"] == "ignored"
    harness.bridge.interrupt()
    assert harness.next_death().requested


def test_first_interrupt_of_the_next_cell_is_a_first_one(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        for _ in range(3):
            request = await deno.hear("execute_request")
            deno.say("stream", {"name": "stdout", "text": "running"})
            await deno.hear("interrupt")
            deno.reply(request)

    harness = start_bridge(script, second_interrupt_s=0.0)
    harness.wait_ready()
    for _ in range(3):
        future = harness.execute()
        harness.next_message()
        harness.bridge.interrupt()
        future.result(PATIENCE_S)
    harness.no_more_events()


def test_interrupts_never_count_as_too_many_deaths(start_bridge: StartBridge) -> None:
    harness = start_bridge(swallows_interrupts, second_interrupt_s=0.0)
    for _ in range(6):
        running_cell(harness)
        harness.bridge.interrupt()
        assert harness.next_message().content["text"] == "ignored"
        harness.bridge.interrupt()
        harness.next_death()
    assert isinstance(harness.launch, FakeLaunch)
    assert len(harness.launch.launched) >= 6
