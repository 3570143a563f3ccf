"""Interpreters that nobody needs for a while."""

from __future__ import annotations

from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S
from fake_deno import FakeDeno, Gate

SOON_S = 0.02


async def answers_cells(deno: FakeDeno) -> None:
    await deno.get_ready()
    while True:
        deno.reply(await deno.hear("execute_request"))


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


def test_an_idle_interpreter_is_ended_and_the_next_cell_starts_a_fresh_one(
    start_bridge: StartBridge,
) -> None:
    harness = start_bridge(answers_cells, answers_cells, idle_timeout_s=SOON_S)
    harness.wait_ready()
    death = harness.next_death()
    assert death.idle
    assert death.requested
    assert death.cause == (
        "Nothing was asked of the interpreter for 0.02 s (--idle-timeout), so it was ended. All "
        "variables, imports and files outside mounted folders are gone. The next cell starts a "
        "fresh interpreter."
    )
    assert harness.bridge.pid() is None
    harness.no_more_events()  # nothing is started before somebody needs it
    assert harness.execute().result(PATIENCE_S).content["status"] == "ok"
    harness.wait_ready()


def test_a_cell_that_runs_is_work(start_bridge: StartBridge) -> None:
    gate = Gate()

    async def takes_its_time(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        await gate.opened()
        deno.reply(request)

    harness = start_bridge(takes_its_time, idle_timeout_s=SOON_S)
    future = harness.execute()
    harness.wait_ready()
    # Three times as long as without work.
    harness.bridge._loop.call_soon_threadsafe(
        harness.bridge._loop.call_later, 3 * SOON_S, gate.open
    )
    assert future.result(PATIENCE_S).content["status"] == "ok"
    assert harness.next_death().idle


def test_a_bridge_closes_while_its_interpreter_rests(start_bridge: StartBridge) -> None:
    harness = start_bridge(gets_ready, idle_timeout_s=SOON_S)
    harness.wait_ready()
    assert harness.next_death().idle
    harness.close()


def test_without_a_time_an_interpreter_is_never_idle(start_bridge: StartBridge) -> None:
    harness = start_bridge(answers_cells)
    harness.wait_ready()
    assert harness.bridge._idle_timer is None
    harness.execute().result(PATIENCE_S)
    assert harness.bridge._idle_timer is None
