"""Starting and closing a bridge at any time, and using it from many threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S, Harness
from fake_deno import FakeDeno, FakeLaunch, Gate

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import DeadKernelError

OnData = Callable[[bytes], None]


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


async def answers_cells(deno: FakeDeno) -> None:
    await deno.get_ready()
    while True:
        request = await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": request.id}, parent_id=request.id)
        deno.reply(request)


async def never_answers(deno: FakeDeno) -> None:
    await deno.get_ready()
    while True:
        await deno.hear("execute_request")


def assert_shut_down(future: Future[Message]) -> None:
    with pytest.raises(DeadKernelError, match="the kernel was shut down"):
        future.result(PATIENCE_S)


def test_close_ends_the_process_and_fails_what_runs(start_bridge: StartBridge) -> None:
    harness = start_bridge(never_answers)
    harness.wait_ready()
    future = harness.execute()
    harness.close()
    assert_shut_down(future)
    harness.no_more_events()


def test_close_may_be_repeated(start_bridge: StartBridge) -> None:
    harness = start_bridge(gets_ready)
    harness.wait_ready()
    for _ in range(3):
        harness.close()


def test_close_may_be_called_by_many_threads_at_once(start_bridge: StartBridge) -> None:
    harness = start_bridge(gets_ready)
    harness.wait_ready()
    with ThreadPoolExecutor(8) as pool:
        for closing in [pool.submit(harness.close) for _ in range(8)]:
            closing.result(PATIENCE_S)


def test_close_right_after_start(start_bridge: StartBridge) -> None:
    for _ in range(20):
        harness = start_bridge(gets_ready)
        future = harness.execute()
        harness.close()
        assert future.done()


def test_calls_after_close_do_nothing_and_requests_fail(start_bridge: StartBridge) -> None:
    harness = start_bridge(gets_ready)
    harness.wait_ready()
    harness.close()
    assert_shut_down(harness.execute())
    harness.bridge.send("comm_msg", {"comm_id": "c"})
    harness.bridge.reply("q", {"status": "ok"})
    harness.bridge.restart("again")
    assert not harness.bridge.interrupt()
    assert harness.bridge.pid() is None


def test_death_while_closing_is_not_told(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        await deno.hear("execute_request")
        deno.end("it ended")

    for _ in range(20):
        harness = start_bridge(script, gets_ready)
        harness.wait_ready()
        future = harness.execute()
        harness.close()
        with pytest.raises(DeadKernelError):
            future.result(PATIENCE_S)


def test_many_threads_may_request_at_once(start_bridge: StartBridge) -> None:
    harness = start_bridge(answers_cells)

    def ask(number: int) -> str:
        request_id, future = harness.bridge.request(
            "execute_request",
            {"code": f"{number}", "silent": False, "store_history": True, "allow_stdin": True},
        )
        assert future.result(PATIENCE_S).parent_id == request_id
        return request_id

    harness.wait_ready()
    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(ask, range(400)))
    assert len(set(ids)) == 400
    printed = {harness.next_message().content["text"] for _ in range(400)}
    assert printed == set(ids)


def test_every_request_ends_however_close_and_requests_meet(start_bridge: StartBridge) -> None:
    for _ in range(20):
        harness = start_bridge(answers_cells)
        futures: list[Future[Message]] = []
        go = threading.Barrier(5)

        def ask(harness: Harness, futures: list[Future[Message]], go: threading.Barrier) -> None:
            go.wait()
            futures.extend(harness.execute() for _ in range(50))

        threads = [threading.Thread(target=ask, args=(harness, futures, go)) for _ in range(4)]
        for thread in threads:
            thread.start()
        go.wait()
        harness.close()
        for thread in threads:
            thread.join()
        assert len(futures) == 200
        assert wait(futures, PATIENCE_S).not_done == set()


def test_bridge_that_was_never_started_leaves_nothing() -> None:
    harness = Harness(FakeLaunch(gets_ready))
    future = harness.execute()
    harness.close()
    assert_shut_down(future)
    assert_shut_down(harness.execute())
    harness.close()


def test_bridge_that_was_closed_does_not_start() -> None:
    launch = FakeLaunch(gets_ready)
    harness = Harness(launch)
    harness.close()
    harness.bridge.start()
    harness.close()
    assert launch.launched == []


def test_close_may_be_called_by_a_callback(start_bridge: StartBridge) -> None:
    prepared, closed = Gate(), Gate()

    async def script(deno: FakeDeno) -> None:
        await prepared.opened()
        deno.hello()
        deno.say("stream", {"name": "stdout", "text": ""})

    harness = start_bridge(script)
    close = harness.bridge.close

    def close_in_callback(_message: Message) -> None:
        close()
        closed.open()

    harness.bridge._on_message = close_in_callback
    prepared.open()
    closed.wait(PATIENCE_S)
    harness.close()


async def hangs(_on_data: OnData) -> FakeDeno:
    """A launch that never ends by itself."""
    await asyncio.Event().wait()
    raise AssertionError


def test_close_during_start_ends_the_start(start_bridge: StartBridge) -> None:
    launching = Gate()
    ended: list[str] = []

    async def launch(on_data: OnData) -> FakeDeno:
        launching.open()
        try:
            return await hangs(on_data)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    harness = start_bridge(launch=launch)
    future = harness.execute()
    launching.wait(PATIENCE_S)
    harness.close()
    assert ended == ["cancelled"]
    assert_shut_down(future)
    harness.no_more_events()


def test_restart_during_start_starts_another(start_bridge: StartBridge) -> None:
    launching = Gate()
    fake = FakeLaunch(answers_cells)

    async def launch(on_data: OnData) -> FakeDeno:
        if not launching.is_open:
            launching.open()
            await hangs(on_data)
        return await fake(on_data)

    harness = start_bridge(launch=launch)
    future = harness.execute()
    launching.wait(PATIENCE_S)
    harness.bridge.restart("The kernel was restarted.")
    death = harness.next_death()
    assert death.requested
    assert death.during_start
    assert death.cause == "The kernel was restarted."
    assert future.result(PATIENCE_S).content["status"] == "ok"


def test_reply_to_a_request_that_was_cancelled_is_dropped(start_bridge: StartBridge) -> None:
    cancelled = Gate()

    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": "running"})
        await cancelled.opened()
        deno.reply(request)
        deno.reply(await deno.hear("execute_request"))

    harness = start_bridge(script)
    future = harness.execute()
    harness.wait_ready()
    harness.next_message()
    future.cancel()
    cancelled.open()
    harness.execute().result(PATIENCE_S)
    harness.no_more_events()


def test_waiting_request_that_was_cancelled_is_never_sent(start_bridge: StartBridge) -> None:
    cancelled = Gate()

    async def script(deno: FakeDeno) -> None:
        await cancelled.opened()
        await deno.get_ready()
        request = await deno.hear("execute_request")
        assert request.content["code"] == "the second"
        deno.reply(request)

    harness = start_bridge(script)
    assert harness.execute(code="the first").cancel()
    second = harness.execute(code="the second")
    cancelled.open()
    second.result(PATIENCE_S)


def test_death_over_a_request_that_was_cancelled_is_told(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": "running"})
        await cancelled.opened()
        deno.end("it ended")

    cancelled = Gate()
    harness = start_bridge(script, gets_ready)
    future = harness.execute()
    harness.wait_ready()
    harness.next_message()
    future.cancel()
    cancelled.open()
    assert "it ended" in harness.next_death().cause
    harness.wait_ready()
