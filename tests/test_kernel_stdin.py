"""Questions of a cell to the user, over the kernel's real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from kernel_process import TIMEOUT_S, KernelProcess, kernel_process


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProcess]:
    with kernel_process("--PyodideKernel.history_file=:memory:") as kernel:
        yield kernel


def question(kernel: KernelProcess) -> dict[str, Any]:
    message: dict[str, Any] = kernel.client.get_stdin_msg(timeout=TIMEOUT_S)
    return message


def test_a_question_goes_to_the_client_whose_cell_asks(kernel: KernelProcess) -> None:
    msg_id = kernel.execute("print(await ask('Name? '))", allow_stdin=True)
    asked = question(kernel)
    assert asked["msg_type"] == "input_request"
    assert asked["content"] == {"prompt": "Name? ", "password": False}
    assert asked["parent_header"]["msg_id"] == msg_id
    kernel.client.input("Ada")
    assert kernel.outcome(msg_id).text == "Ada\n"


def test_two_questions_and_a_password_in_one_cell(kernel: KernelProcess) -> None:
    code = "print(await ask('a') + await ask('b', password=True))"
    msg_id = kernel.execute(code, allow_stdin=True)
    for answer, password in (("1", False), ("2", True)):
        assert question(kernel)["content"]["password"] is password
        kernel.client.input(answer)
    assert kernel.outcome(msg_id).text == "12\n"


def test_what_was_printed_before_the_question_is_seen_before_it(kernel: KernelProcess) -> None:
    msg_id = kernel.execute("print('first'); await ask('?')", allow_stdin=True)
    question(kernel)
    assert kernel.client.iopub_channel.msg_ready()
    kernel.client.input("")
    assert kernel.outcome(msg_id).text == "first\n"


def test_end_of_input_is_an_eof_error(kernel: KernelProcess) -> None:
    msg_id = kernel.execute("await ask('?')", allow_stdin=True)
    question(kernel)
    kernel.client.input("\x04")
    assert kernel.outcome(msg_id).content["ename"] == "EOFError"


@pytest.mark.parametrize("value", [3, None, ["x"]])
def test_an_answer_that_is_no_text_counts_as_an_empty_line(
    kernel: KernelProcess, value: object
) -> None:
    msg_id = kernel.execute("print(repr(await ask('?')))", allow_stdin=True)
    question(kernel)
    kernel.send("input_reply", {"value": value}, channel="stdin")
    assert kernel.outcome(msg_id).text == "''\n"


def test_a_client_without_stdin_is_not_asked(kernel: KernelProcess) -> None:
    content = kernel.run("await ask('?')").content
    assert (content["ename"], content["evalue"]) == ("RuntimeError", "StdinNotImplementedError")


def test_a_task_that_outlives_its_cell_is_not_allowed_to_ask(kernel: KernelProcess) -> None:
    kernel.run(
        "async def later():\n"
        "    await worker.memory.setdefault('go', asyncio.Event()).wait()\n"
        "    try: await ask('?')\n"
        "    except RuntimeError as error: print(error)\n"
        "worker.spawn(later())",
        allow_stdin=True,
    )
    msg_id = kernel.execute("asyncio.get_running_loop().call_later(0.05, worker.memory['go'].set)")
    kernel.outcome(msg_id)
    assert kernel.output("stream")["content"]["text"] == "StdinNotImplementedError\n"


def test_answers_to_nobody_are_dropped(kernel: KernelProcess) -> None:
    kernel.client.input("stale")
    msg_id = kernel.execute("print(await ask('?'))", allow_stdin=True)
    asked = question(kernel)
    session = kernel.client.session
    socket = kernel.client.stdin_channel.socket
    stale = session.msg("input_reply", {"value": "stale"}, parent=session.msg("input_request"))
    session.send(socket, stale)
    session.send(socket, "input_request", {"value": "of the wrong type"})
    session.send(socket, "input_reply", {"value": "fresh"}, parent=asked)
    assert kernel.outcome(msg_id).text == "fresh\n"


def test_an_interrupt_ends_the_wait_and_the_next_question_is_a_new_one(
    kernel: KernelProcess,
) -> None:
    msg_id = kernel.execute("await ask('first')", allow_stdin=True)
    question(kernel)
    kernel.send("interrupt_request", {}, channel="control")
    assert kernel.outcome(msg_id).content["ename"] == "KeyboardInterrupt"
    kernel.client.input("too late")
    msg_id = kernel.execute("print(await ask('second'))", allow_stdin=True)
    assert question(kernel)["content"]["prompt"] == "second"
    kernel.client.input("in time")
    assert kernel.outcome(msg_id).text == "in time\n"


def test_the_death_of_the_interpreter_ends_the_wait(kernel: KernelProcess) -> None:
    code = "worker._loop.call_later(0.05, break_protocol); await ask('?')"
    msg_id = kernel.execute(code, allow_stdin=True)
    question(kernel)
    assert kernel.outcome(msg_id).content["ename"] == "DeadKernelError"
    msg_id = kernel.execute("print(await ask('again'))", allow_stdin=True)
    assert question(kernel)["content"]["prompt"] == "again"
    kernel.client.input("yes")
    assert kernel.outcome(msg_id).text == "yes\n"


def test_the_answer_of_another_client_does_not_count(kernel: KernelProcess) -> None:
    other = BlockingKernelClient()
    other.load_connection_file(kernel.manager.connection_file)
    other.start_channels(hb=False, iopub=False, shell=False, control=False)
    try:
        msg_id = kernel.execute("print(await ask('?'))", allow_stdin=True)
        question(kernel)
        other.input("mine")
        kernel.client.input("yours")
        assert kernel.outcome(msg_id).text == "yours\n"
    finally:
        other.stop_channels()
        other.context.destroy()
