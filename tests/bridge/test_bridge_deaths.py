"""Interpreters that end, however they do it, and what comes after."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S
from fake_deno import FakeDeno, Gate

from pyodide_kernel.bridge import bridge as bridge_module
from pyodide_kernel.bridge.bridge import MAX_DEATHS
from pyodide_kernel.errors import DeadKernelError, WorkerStartError

SOON_S = 0.02


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


async def answers_cells(deno: FakeDeno) -> None:
    await deno.get_ready()
    while True:
        deno.reply(await deno.hear("execute_request"))


async def ends_at_once(deno: FakeDeno) -> None:
    deno.end("Deno exited with code 1")


async def ends_in_a_cell(deno: FakeDeno) -> None:
    await deno.get_ready()
    request = await deno.hear("execute_request")
    deno.say("stream", {"name": "stdout", "text": "last words"}, parent_id=request.id)
    deno.end("Deno was ended by SIGKILL")


def test_death_fails_the_running_request_and_a_fresh_interpreter_takes_the_next(
    start_bridge: StartBridge,
) -> None:
    harness = start_bridge(ends_in_a_cell, answers_cells)
    future = harness.execute()
    harness.wait_ready()
    assert harness.next_message().content["text"] == "last words"
    death = harness.next_death()
    assert death.cause == (
        "The sandboxed interpreter ended: Deno was ended by SIGKILL. All variables, imports and "
        "files outside mounted folders are gone. A fresh interpreter is starting."
    )
    assert not death.requested
    assert not death.during_start
    with pytest.raises(DeadKernelError) as failure:
        future.result(PATIENCE_S)
    assert failure.value.cause == death.cause
    harness.wait_ready()
    assert harness.execute().result(PATIENCE_S).content["status"] == "ok"


def test_running_request_fails_before_the_death_is_told(start_bridge: StartBridge) -> None:
    noted = Gate()

    async def ends_when_the_request_is_noted(deno: FakeDeno) -> None:
        await deno.get_ready()
        await deno.hear("execute_request")
        await noted.opened()
        deno.end("Deno was ended by SIGKILL")

    harness = start_bridge(ends_when_the_request_is_noted, gets_ready)
    harness.execute()
    noted.open()
    harness.wait_ready()
    harness.next_death()
    assert harness.done_at_death == [True]


def test_waiting_requests_are_kept_for_the_next_life(start_bridge: StartBridge) -> None:
    asked = Gate()

    async def dies_before_it_is_ready(deno: FakeDeno) -> None:
        deno.hello()
        await deno.hear("boot")
        await asked.opened()
        deno.end("Deno exited with code 1")

    harness = start_bridge(dies_before_it_is_ready, answers_cells)
    futures = [harness.execute() for _ in range(3)]
    asked.open()
    death = harness.next_death()
    assert death.during_start
    assert "All variables" not in death.cause
    for future in futures:
        assert future.result(PATIENCE_S).content["status"] == "ok"


def test_second_request_that_the_dead_interpreter_had_seen_fails_too(
    start_bridge: StartBridge,
) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        await deno.hear("execute_request")
        await deno.hear("comm_info_request")
        deno.end("it ended")

    harness = start_bridge(script, gets_ready)
    futures = [harness.execute(), harness.bridge.request("comm_info_request", {})[1]]
    for future in futures:
        with pytest.raises(DeadKernelError):
            future.result(PATIENCE_S)


def test_worker_that_died_is_replaced_and_its_last_words_are_told(
    start_bridge: StartBridge,
) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        deno.say("worker_died", {"cause": "RuntimeError: unreachable"})

    harness = start_bridge(script, gets_ready)
    harness.wait_ready()
    assert "ended: RuntimeError: unreachable. All" in harness.next_death().cause
    harness.wait_ready()


def violations() -> dict[str, tuple[Callable[[FakeDeno], None], str]]:
    ready = {"execution_count": 1}
    return {
        "half a header": (lambda deno: deno.say_bytes(b"\xff\xff\xff\xff"), "a header of"),
        "no JSON": (lambda deno: deno.say_bytes(b"\0\0\0\1{"), "not JSON"),
        "second hello": (lambda deno: deno.hello(), "a second hello"),
        "second ready": (lambda deno: deno.say("ready", ready), "a second ready"),
    }


@pytest.mark.parametrize("name", violations())
def test_whoever_breaks_the_protocol_is_ended_and_told_of(
    start_bridge: StartBridge, name: str
) -> None:
    violate, named = violations()[name]

    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        await deno.hear("execute_request")
        violate(deno)

    harness = start_bridge(script, gets_ready)
    future = harness.execute()
    harness.wait_ready()
    death = harness.next_death()
    assert named in death.cause
    assert "so it was ended" in death.cause
    with pytest.raises(DeadKernelError):
        future.result(PATIENCE_S)
    harness.wait_ready()


def test_another_version_of_the_protocol_is_refused(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        deno.hello(version=99)

    death = start_bridge(script, gets_ready).next_death()
    assert "protocol version 99, not 1" in death.cause


def test_hung_broker_is_ended(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        deno.answers_pings = False
        await deno.get_ready()

    harness = start_bridge(script, gets_ready, hang_timeout_s=SOON_S)
    harness.wait_ready()
    death = harness.next_death()
    assert "did not answer for 0.02 s" in death.cause
    assert not death.requested
    harness.wait_ready()


def test_broker_that_answers_is_pinged_again_and_again(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        await deno.hear_pings(10)
        deno.reply(request)

    harness = start_bridge(script, hang_timeout_s=SOON_S)
    harness.execute().result(PATIENCE_S)
    harness.wait_ready()
    harness.no_more_events()


def test_interpreter_that_does_not_get_ready_is_ended(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        deno.hello()

    harness = start_bridge(script, gets_ready, start_timeout_s=SOON_S)
    death = harness.next_death()
    assert death.cause == "The interpreter was not ready after 0.02 s."
    assert death.during_start
    harness.wait_ready()


def test_too_many_deaths_give_up_and_fail_all_requests(start_bridge: StartBridge) -> None:
    asked = Gate()

    async def ends_when_asked(deno: FakeDeno) -> None:
        await asked.opened()
        deno.end("Deno exited with code 1")

    harness = start_bridge(ends_when_asked)
    waiting = harness.execute()
    asked.open()
    for _ in range(MAX_DEATHS):
        harness.next_death()
    death = harness.next_death(gives_up=True)
    assert "Deno exited with code 1" in death.cause
    with pytest.raises(WorkerStartError, match=r"died 4 times within 60 s; .*code 1"):
        waiting.result(PATIENCE_S)
    with pytest.raises(WorkerStartError, match="died 4 times"):
        harness.execute().result(PATIENCE_S)
    harness.bridge.interrupt()
    harness.bridge.restart("no effect any more")
    harness.close()
    harness.no_more_events()


def test_failed_launches_count_as_deaths(start_bridge: StartBridge) -> None:
    async def launch(_on_data: object) -> FakeDeno:
        raise WorkerStartError("the sandbox did not start: no such file")

    harness = start_bridge(launch=launch)
    for _ in range(MAX_DEATHS):
        death = harness.next_death()
        assert death.cause == "the sandbox did not start: no such file"
        assert death.during_start
    harness.next_death(gives_up=True)


def test_deaths_far_apart_do_not_give_up(
    start_bridge: StartBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridge_module, "DEATH_WINDOW_S", 0.0)
    harness = start_bridge(*[ends_at_once] * 10, gets_ready)
    for _ in range(10):
        harness.next_death()
    harness.wait_ready()


def test_requested_deaths_do_not_count(start_bridge: StartBridge) -> None:
    harness = start_bridge(gets_ready)
    for _ in range(2 * MAX_DEATHS):
        harness.wait_ready()
        harness.bridge.restart("The kernel was restarted.")
        death = harness.next_death()
        assert death.requested
        assert death.cause.startswith("The kernel was restarted.")
    harness.wait_ready()


def test_first_cause_of_a_death_is_the_one_told(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        deno.say("worker_died", {"cause": "the first"})
        deno.say("worker_died", {"cause": "the second"})
        deno.say_bytes(b"\xff\xff\xff\xff")
        deno.end("the third")

    harness = start_bridge(script, gets_ready)
    harness.wait_ready()
    assert "the first" in harness.next_death().cause


def test_callbacks_that_raise_do_not_end_the_thread(
    start_bridge: StartBridge, caplog: pytest.LogCaptureFixture
) -> None:
    harness = start_bridge(ends_in_a_cell, answers_cells)
    harness.callbacks_raise = True
    with pytest.raises(DeadKernelError):
        harness.execute().result(PATIENCE_S)
    assert harness.execute().result(PATIENCE_S).content["status"] == "ok"
    failures = [record for record in caplog.records if "a callback" in record.message]
    assert len(failures) >= 3
    assert all(record.levelno == logging.ERROR for record in failures)
