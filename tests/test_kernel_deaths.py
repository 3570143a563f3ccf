"""Interpreters that die, and processes that end."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from kernel_process import TIMEOUT_S, kernel_process

ARGUMENTS = ("--PyodideKernel.history_file=:memory:",)


def test_a_cell_whose_interpreter_dies_says_why_and_the_next_one_runs() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        kernel.run("pass")
        dying = kernel.execute("await worker.comms.get(); await die('it ran out of luck')")
        queued = kernel.execute("1")
        kernel.let_go()
        outcome = kernel.outcome(dying)
        (error,) = outcome.outputs()
        assert error["ename"] == outcome.content["ename"] == "DeadKernelError"
        assert "it ran out of luck" in error["evalue"]
        assert "gone" in error["evalue"]
        assert error["evalue"] in error["traceback"][0]
        assert outcome.content["status"] == "error"
        assert kernel.outcome(queued).content["status"] == "aborted"
        after = kernel.run("pass")
        assert after.content["execution_count"] == 1
        assert after.outputs() == []


def test_a_death_aborts_the_queue_even_without_stop_on_error() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        dying = kernel.execute("await worker.comms.get(); await die('x')", stop_on_error=False)
        queued = kernel.execute("1")
        kernel.let_go()
        assert kernel.outcome(dying).content["status"] == "error"
        assert kernel.outcome(queued).content["status"] == "aborted"


def test_a_silent_cell_dies_silently() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        outcome = kernel.run("await die('x')", silent=True)
        assert outcome.content["ename"] == "DeadKernelError"
        assert outcome.outputs() == []


def test_a_death_while_nothing_runs_is_told_below_the_latest_cell() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        cell = kernel.execute(
            "async def wait():\n"
            "    await worker.comms.get()\n"
            "    await die('boredom')\n"
            "worker.spawn(wait())"
        )
        kernel.outcome(cell)
        kernel.send("comm_msg", {"comm_id": "c"})
        notice = kernel.output("stream")
        assert notice["content"]["name"] == "stderr"
        assert "boredom" in notice["content"]["text"]
        assert notice["parent_header"]["msg_id"] == cell
        assert kernel.run("pass").content["execution_count"] == 1


def test_history_goes_on_in_a_new_session_after_a_death() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        kernel.run("'before'")
        kernel.run("await die('x')")
        kernel.run("'after'")
        asked = {"hist_access_type": "tail", "output": False, "raw": True, "n": 3}
        rows = kernel.ask("history_request", asked).content["history"]
        assert [(row[1], row[2]) for row in rows] == [
            (1, "'before'"),
            (2, "await die('x')"),
            (1, "'after'"),
        ]
        asked = {"hist_access_type": "range", "output": False, "session": 0, "start": 1}
        assert kernel.ask("history_request", asked).content["history"] == [[0, 1, "'after'"]]


def test_too_many_deaths_end_the_process_with_an_error_for_the_user() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        for _ in range(3):
            kernel.run("await die('x')")
        outcome = kernel.run("await die('the last time')")
        assert "the last time" in outcome.content["evalue"]
        assert kernel.wait() == 1


def test_kernel_info_is_answered_before_the_interpreter_is_ready() -> None:
    with kernel_process(*ARGUMENTS, environ={"FAKE_BOOTS": "0"}) as kernel:
        content = kernel.ask("kernel_info_request", {}).content
        assert content["language_info"]["version"] == "3.14.2"


def test_a_shutdown_lets_the_guest_say_goodbye() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        kernel.run(
            "async def watch():\n"
            "    while not worker.memory.get('asked'): await asyncio.sleep(0.001)\n"
            "    print(worker.memory['asked'][-1].content)\n"
            "worker.spawn(watch())\n"
            "worker.memory['shutdown_request'] = {'status': 'ok'}"
        )
        msg_id = kernel.send("shutdown_request", {"restart": True}, channel="control")
        reply = kernel.reply(msg_id, channel="control")
        assert reply["content"] == {"status": "ok", "restart": True}
        assert kernel.wait() == 0


def test_a_shutdown_request_without_content_is_obeyed() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        msg_id = kernel.send("shutdown_request", {}, channel="control")
        assert kernel.reply(msg_id, channel="control")["content"]["restart"] is False
        assert kernel.wait() == 0


@pytest.mark.parametrize("channel", ["control", "shell"])
def test_shutdown_is_told_on_iopub(channel: str) -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        kernel.send("shutdown_request", {"restart": False}, channel=channel)
        assert kernel.output("shutdown_reply")["content"]["restart"] is False
        assert kernel.wait() == 0


def test_a_shutdown_during_a_cell_does_not_wait_for_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as stderr, kernel_process(*ARGUMENTS, stderr=stderr) as kernel:
        cell = kernel.execute("print('on'); await asyncio.sleep(60)")
        kernel.output("stream")
        kernel.send("shutdown_request", {"restart": False}, channel="control")
        assert kernel.reply(cell)["content"]["status"] == "aborted"
        assert kernel.wait() == 0
    assert [line for line in log.read_text().splitlines() if "over TCP" not in line] == []


def test_a_shutdown_before_the_interpreter_is_ready_does_not_wait_for_it() -> None:
    with kernel_process(*ARGUMENTS, environ={"FAKE_BOOTS": "0"}) as kernel:
        began = time.monotonic()
        kernel.send("shutdown_request", {"restart": False}, channel="control")
        assert kernel.wait() == 0
        assert time.monotonic() - began < TIMEOUT_S / 4


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_in_good_order(number: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as stderr, kernel_process(*ARGUMENTS, stderr=stderr) as kernel:
        cell = kernel.execute("print('on'); await asyncio.sleep(60)")
        kernel.output("stream")
        os.kill(kernel.pid, number)
        assert kernel.reply(cell)["content"]["status"] == "aborted"
        assert kernel.wait() == -number
    assert [line for line in log.read_text().splitlines() if "over TCP" not in line] == []


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_ctrl_c_in_the_terminal_is_ignored() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        cell = kernel.execute("print('on'); await asyncio.sleep(0.1); print('off')")
        kernel.output("stream")
        os.kill(kernel.pid, signal.SIGINT)
        assert kernel.outcome(cell).content["status"] == "ok"
