"""Comm messages both ways, over the kernel's real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kernel_process import KernelProcess, kernel_process


@pytest.fixture(scope="module")
def kernel() -> Iterator[KernelProcess]:
    with kernel_process("--PyodideKernel.history_file=:memory:") as kernel:
        yield kernel


NEXT = "message = await worker.comms.get()"


def test_a_comm_message_reaches_the_guest_with_its_buffers(kernel: KernelProcess) -> None:
    content = {"comm_id": "c", "data": {"x": 1}}
    msg_id = kernel.send("comm_msg", content, buffers=[b"\0\1", b""], metadata={"version": "2"})
    states = [message["content"]["execution_state"] for message in kernel.until_idle(msg_id)]
    assert states == ["busy", "idle"]
    outcome = kernel.run(
        f"{NEXT}\n"
        "version = message.metadata['version']\n"
        "print((message.msg_type, message.content, version, list(message.buffers)))"
    )
    expected = ("comm_msg", content, "2", [b"\0\1", b""])
    assert eval(outcome.text) == expected


def test_what_a_comm_message_causes_carries_it_as_the_parent(kernel: KernelProcess) -> None:
    comm = kernel.send("comm_open", {"comm_id": "c", "target_name": "t", "data": {}})
    kernel.until_idle(comm)
    cell = kernel.execute(
        f"{NEXT}\n"
        "emit('comm_msg', {'comm_id': 'c', 'data': {}}, parent_id=message.id, buffers=[b'ab'])"
    )
    answer = kernel.output("comm_msg")
    assert answer["parent_header"]["msg_id"] == comm
    assert [bytes(buffer) for buffer in answer["buffers"]] == [b"ab"]
    kernel.outcome(cell)


def test_a_running_cell_gets_comm_messages_at_once_and_in_order(kernel: KernelProcess) -> None:
    cell = kernel.execute(
        "print('on')\nfor _ in range(3): print((await worker.comms.get()).content['data']['n'])"
    )
    waiting = kernel.execute("pass")
    assert kernel.output("stream")["content"]["text"] == "on\n"
    sent = [kernel.send("comm_msg", {"comm_id": "c", "data": {"n": n}}) for n in range(3)]
    outcome = kernel.outcome(cell)
    assert kernel.outcome(waiting).content["status"] == "ok"
    assert outcome.text == "0\n1\n2\n"
    assert len(sent) == 3


def test_a_comm_message_during_a_cell_has_its_own_statuses_and_the_cell_stays_busy(
    kernel: KernelProcess,
) -> None:
    cell = kernel.execute("print('on'); await worker.comms.get()")
    kernel.output("stream")
    comm = kernel.send("comm_msg", {"comm_id": "c", "data": {}})
    statuses = [kernel.output("status") for _ in range(4)]
    assert [
        (message["parent_header"]["msg_id"], message["content"]["execution_state"])
        for message in statuses
    ] == [(comm, "busy"), (comm, "idle"), (cell, "busy"), (cell, "idle")]
    kernel.reply(cell)


def test_comms_are_never_cut_by_the_output_limit(kernel: KernelProcess) -> None:
    with kernel_process("--output-limit=1kB", "--PyodideKernel.history_file=:memory:") as small:
        code = "for n in range(50): emit('comm_msg', {'comm_id': 'c', 'data': {'n': n}})"
        outcome = small.run(code)
        assert [content["data"]["n"] for content in outcome.outputs("comm_msg")] == [*range(50)]


@pytest.mark.parametrize("content", [{}, {"comm_id": 3}])
def test_a_malformed_comm_message_harms_nothing(
    kernel: KernelProcess, content: dict[str, object]
) -> None:
    kernel.until_idle(kernel.send("comm_msg", content))
    assert kernel.run("pass").content["status"] == "ok"
