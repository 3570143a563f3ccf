"""One scenario against the fake worker and the real guest: what the fake does, Pyodide does too.

Tests of the kernel use the fake. It may do less than the real thing, but nothing else: each test
here says what comes over the pipe, type by type, and holds for both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from bridge.harness import PATIENCE_S, Harness
from fake_worker import FakeWorker
from wired import BOOT

from pyodide_kernel import runtime
from pyodide_kernel.bridge.deno import DenoCommand, find_deno
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.preparation import boot_content
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.errors import DeadKernelError


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The same cells in the language of each side."""

    gives_two: str
    asks: str
    asks_secretly: str
    receives_a_comm_message: str
    never_ends: str
    dies: str


FAKE = Cells(
    gives_two="show(2)",
    asks="print('hello ' + await ask('name? '))",
    asks_secretly="print(await ask('key? ', password=True))",
    receives_a_comm_message=(
        "emit('comm_open', {'comm_id': 'c', 'target_name': 't', 'data': {}})\n"
        "print((await worker.comms.get()).content['data'])"
    ),
    never_ends="print('running')\nawait asyncio.Event().wait()",
    dies="await die('the worker ended')",
)
REAL = Cells(
    gives_two="1+1",
    asks="print('hello ' + input('name? '))",
    asks_secretly="import getpass\nprint(getpass.getpass('key? '))",
    receives_a_comm_message=(
        "import asyncio, comm\n"
        "data = asyncio.get_event_loop().create_future()\n"
        "c = comm.create_comm(target_name='t')\n"
        "c.on_msg(lambda message: data.set_result(message['content']['data']))\n"
        "print(await data)"
    ),
    never_ends="print('running')\nwhile True: pass",
    dies="import js\njs.self.close()\nwhile True: pass",
)


class Side:
    """A running interpreter, fake or real."""

    def __init__(self, harness: Harness, cells: Cells) -> None:
        self.harness = harness
        self.cells = cells

    def start(self, code: str) -> Future[Message]:
        """Request a cell."""
        return self.harness.execute(code=code, user_expressions={})

    def run(self, code: str) -> tuple[list[Message], Message]:
        """Run a cell that ends: its outputs, and its reply."""
        request_id, future = self.harness.bridge.request("execute_request", cell(code))
        reply = future.result(PATIENCE_S)
        outputs = self.harness.messages_so_far()
        assert {message.parent_id for message in [*outputs, reply]} == {request_id}
        return outputs, reply


def cell(code: str) -> dict[str, Any]:
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "allow_stdin": True,
        "user_expressions": {},
    }


def start_fake() -> Side:
    async def launch_fake(on_data: Callable[[bytes], None]) -> FakeWorker:
        return FakeWorker(on_data)

    return Side(Harness(launch_fake, boot=BOOT.content), FAKE)


def start_real() -> Side:
    command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir())
    return Side(Harness(partial(launch, command), boot=boot_content(command)), REAL)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(start_fake, id="fake"),
        pytest.param(start_real, id="real", marks=pytest.mark.deno),
    ],
)
def side(request: pytest.FixtureRequest) -> Iterator[Side]:
    side: Side = request.param()
    side.harness.bridge.start()
    ready = side.harness.wait_ready(timeout_s=60)
    assert ready.content["execution_count"] == 1
    yield side
    side.harness.close()


def types(messages: list[Message]) -> list[str]:
    return [message.msg_type for message in messages]


def text(messages: list[Message]) -> str:
    assert {message.content["name"] for message in messages} == {"stdout"}
    return "".join(message.content["text"] for message in messages)


def test_value_of_a_cell(side: Side) -> None:
    outputs, reply = side.run(side.cells.gives_two)
    assert types(outputs) == ["execute_result"]
    assert outputs[0].content["data"]["text/plain"] == "2"
    assert outputs[0].content["metadata"] == {}
    assert reply.content["status"] == "ok"
    assert reply.content["execution_count"] == outputs[0].content["execution_count"]
    assert reply.content["user_expressions"] == {}
    assert reply.content["payload"] == []


def test_execution_count_goes_up_by_one_with_each_cell(side: Side) -> None:
    counts = [side.run("None")[1].content["execution_count"] for _ in range(3)]
    assert counts == list(range(counts[0], counts[0] + 3))


def test_error_of_a_cell(side: Side) -> None:
    outputs, reply = side.run("1/0")
    assert types(outputs) == ["error"]
    for content in (outputs[0].content, reply.content):
        assert content["ename"] == "ZeroDivisionError"
        assert content["evalue"] == "division by zero"
        assert all(isinstance(line, str) for line in content["traceback"])
        assert "ZeroDivisionError" in "".join(content["traceback"])
    assert reply.content["status"] == "error"


@pytest.mark.parametrize("secret", [False, True])
def test_question_of_a_cell_and_its_answer(side: Side, secret: bool) -> None:
    future = side.start(side.cells.asks_secretly if secret else side.cells.asks)
    question = side.harness.next_message()
    assert question.msg_type == "input_request"
    assert question.content == {"prompt": "key? " if secret else "name? ", "password": secret}
    assert question.id
    side.harness.bridge.reply(question.id, {"status": "ok", "value": "Ada Ωλ 🌍"})
    reply = future.result(PATIENCE_S)
    assert reply.parent_id == question.parent_id
    assert reply.content["status"] == "ok"
    expected = "Ada Ωλ 🌍\n" if secret else "hello Ada Ωλ 🌍\n"
    assert text(side.harness.messages_so_far()) == expected


def test_end_of_input_is_an_eof_error(side: Side) -> None:
    future = side.start(side.cells.asks)
    question = side.harness.next_message()
    side.harness.bridge.reply(question.id, {"status": "error", "ename": "EOFError", "evalue": ""})
    assert future.result(PATIENCE_S).content["ename"] == "EOFError"
    assert types(side.harness.messages_so_far()) == ["error"]


def test_comm_message_reaches_a_cell_that_waits(side: Side) -> None:
    future = side.start(side.cells.receives_a_comm_message)
    opened = side.harness.next_message()
    assert opened.msg_type == "comm_open"
    assert opened.content["target_name"] == "t"
    message = {"comm_id": opened.content["comm_id"], "data": {"x": 1}}
    side.harness.bridge.send("comm_msg", message, id="m")
    assert future.result(PATIENCE_S).content["status"] == "ok"
    assert text(side.harness.messages_so_far()) == "{'x': 1}\n"


def test_interrupt_ends_a_cell_with_a_keyboard_interrupt(side: Side) -> None:
    future = side.start(side.cells.never_ends)
    assert text([side.harness.next_message()]) == "running\n"
    side.harness.bridge.interrupt()
    reply = future.result(PATIENCE_S)
    assert reply.content["status"] == "error"
    assert reply.content["ename"] == "KeyboardInterrupt"
    outputs = side.harness.messages_so_far()
    assert types(outputs) == ["error"]
    assert outputs[0].content["ename"] == "KeyboardInterrupt"
    assert types(side.run(side.cells.gives_two)[0]) == ["execute_result"]


def test_interrupt_while_a_cell_asks(side: Side) -> None:
    future = side.start(side.cells.asks)
    question = side.harness.next_message()
    side.harness.bridge.interrupt()
    assert future.result(PATIENCE_S).content["ename"] == "KeyboardInterrupt"
    assert types(side.harness.messages_so_far()) == ["error"]
    side.harness.bridge.reply(question.id, {"status": "ok", "value": "too late"})
    assert types(side.run(side.cells.gives_two)[0]) == ["execute_result"]


@pytest.mark.parametrize(
    ("msg_type", "asked", "status"),
    [
        ("complete_request", {"code": "zi", "cursor_pos": 2}, "ok"),
        ("inspect_request", {"code": "print", "cursor_pos": 2, "detail_level": 0}, "ok"),
        ("is_complete_request", {"code": "if 1:"}, "incomplete"),
        ("comm_info_request", {}, "ok"),
    ],
)
def test_other_requests_are_answered_without_outputs(
    side: Side, msg_type: str, asked: dict[str, Any], status: str
) -> None:
    request_id, future = side.harness.bridge.request(msg_type, asked)
    reply = future.result(PATIENCE_S)
    assert reply.parent_id == request_id
    assert reply.content["status"] == status
    assert side.harness.messages_so_far() == []


def test_interpreter_that_dies_is_replaced(side: Side) -> None:
    future = side.start(side.cells.dies)
    with pytest.raises(DeadKernelError, match="the worker ended"):
        future.result(PATIENCE_S)
    death = side.harness.next_death()
    assert not death.requested
    assert side.harness.wait_ready(timeout_s=60).content["execution_count"] == 1
    assert types(side.run(side.cells.gives_two)[0]) == ["execute_result"]
