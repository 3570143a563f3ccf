"""Requests with a time limit, with times of milliseconds."""

from __future__ import annotations

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S
from fake_deno import FakeDeno
from wired import EXECUTE

from pyodide_kernel.bridge import life
from pyodide_kernel.errors import DeadKernelError

SOON_S = 0.02
TOLD = "The cell ran longer than 0.02 s (--cell-timeout)."


async def swallows_interrupts(deno: FakeDeno) -> None:
    await deno.get_ready()
    await deno.hear("execute_request")
    while True:
        await deno.hear("interrupt")


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


def test_a_request_is_interrupted_when_its_time_is_over(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        await deno.hear("interrupt")
        deno.reply(request, status="error", ename="KeyboardInterrupt")

    harness = start_bridge(script)
    _, future = harness.bridge.request("execute_request", EXECUTE, time_limit_s=SOON_S)
    assert future.result(PATIENCE_S).content["ename"] == "KeyboardInterrupt"


def test_a_request_in_time_is_left_alone(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        deno.reply(await deno.hear("execute_request"))
        deno.reply(await deno.hear("execute_request"))

    harness = start_bridge(script)
    for _ in range(2):
        _, future = harness.bridge.request("execute_request", EXECUTE, time_limit_s=PATIENCE_S)
        assert future.result(PATIENCE_S).content["status"] == "ok"


def test_a_limit_holds_even_where_an_interrupt_has_all_the_time(
    start_bridge: StartBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "DEFAULT_GRACE_S", SOON_S)
    harness = start_bridge(swallows_interrupts, gets_ready, interrupt_grace_s=0)
    _, future = harness.bridge.request("execute_request", EXECUTE, time_limit_s=SOON_S)
    with pytest.raises(DeadKernelError) as caught:
        future.result(PATIENCE_S)
    assert caught.value.cause.startswith(TOLD)
    assert "(after 0.02 s)" in caught.value.cause
