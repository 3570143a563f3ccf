"""Requests, replies and outputs; interrupts, deaths and threads have files of their own."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S
from fake_deno import FakeDeno, Gate
from wired import BOOT, EXECUTE

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import LocalProtocolError


async def gets_ready(deno: FakeDeno) -> None:
    await deno.get_ready()


async def answers_cells(deno: FakeDeno) -> None:
    """Prints the code of each cell and replies."""
    await deno.get_ready()
    while True:
        request = await deno.hear("execute_request")
        deno.say(
            "stream", {"name": "stdout", "text": request.content["code"]}, parent_id=request.id
        )
        deno.reply(request)


def content(future: Future[Message]) -> object:
    return future.result(PATIENCE_S).content


def test_interpreter_is_booted_and_reported_ready(start_bridge: StartBridge) -> None:
    async def checks_boot(deno: FakeDeno) -> None:
        boot = await deno.get_ready(execution_count=7)
        assert boot.content == BOOT.content

    ready = start_bridge(checks_boot).wait_ready()
    assert ready.content == {"execution_count": 7}


def test_request_is_answered_by_its_reply(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        assert request.content == EXECUTE
        assert request.metadata == {"cellId": "c"}
        deno.reply(request, execution_count=5)

    harness = start_bridge(script)
    request_id, future = harness.bridge.request(
        "execute_request", EXECUTE, metadata={"cellId": "c"}
    )
    reply = future.result(PATIENCE_S)
    assert reply.msg_type == "execute_reply"
    assert reply.parent_id == request_id
    assert reply.content["execution_count"] == 5


def test_request_keeps_the_id_that_it_is_given(start_bridge: StartBridge) -> None:
    harness = start_bridge(answers_cells)
    request_id, future = harness.bridge.request("execute_request", EXECUTE, id="mine")
    assert request_id == "mine"
    assert future.result(PATIENCE_S).parent_id == "mine"


def test_ids_of_requests_are_random(start_bridge: StartBridge) -> None:
    harness = start_bridge(gets_ready)
    ids = {harness.bridge.request("execute_request", EXECUTE)[0] for _ in range(100)}
    assert len(ids) == 100


def test_requests_before_readiness_are_sent_in_order_when_it_is_ready(
    start_bridge: StartBridge,
) -> None:
    codes = [f"cell {number}" for number in range(20)]

    all_asked = Gate()

    async def script(deno: FakeDeno) -> None:
        await all_asked.opened()
        await deno.get_ready()
        for code in codes:
            request = await deno.hear("execute_request")
            assert request.content["code"] == code
            deno.reply(request)

    harness = start_bridge(script)
    futures = [harness.execute(code=code) for code in codes]
    all_asked.open()
    for future in futures:
        future.result(PATIENCE_S)


def test_outputs_come_before_their_reply_and_in_order(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        for number in range(100):
            text = {"name": "stdout", "text": f"{number}"}
            deno.say("stream", text, parent_id=request.id)
        deno.reply(request)

    harness = start_bridge(script)
    harness.wait_ready()
    seen_at_reply: list[int] = []
    future = harness.execute()
    future.add_done_callback(lambda _: seen_at_reply.append(harness._events.qsize()))
    future.result(PATIENCE_S)
    assert [harness.next_message().content["text"] for _ in range(100)] == list(
        map(str, range(100))
    )
    assert seen_at_reply == [100]


def test_output_names_its_parent_and_has_its_buffers(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        deno.say("comm_msg", {"comm_id": "c"}, parent_id="an earlier cell", buffers=[b"\x00\xff"])

    harness = start_bridge(script)
    harness.wait_ready()
    message = harness.next_message()
    assert message.parent_id == "an earlier cell"
    assert [bytes(buffer) for buffer in message.buffers] == [b"\x00\xff"]


def test_replies_may_overtake_each_other(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        first = await deno.hear("execute_request")
        second = await deno.hear("comm_info_request")
        deno.reply(second)
        deno.reply(first)

    harness = start_bridge(script)
    first = harness.execute()
    _, second = harness.bridge.request("comm_info_request", {})
    assert second.result(PATIENCE_S).msg_type == "comm_info_reply"
    assert first.result(PATIENCE_S).msg_type == "execute_reply"


def test_question_is_passed_on_and_its_answer_back(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        asked = {"prompt": "name? ", "password": False}
        deno.say("input_request", asked, id="q", parent_id=request.id)
        answer = await deno.hear("guest_reply")
        assert answer.parent_id == "q"
        deno.reply(request, value=answer.content["value"])

    harness = start_bridge(script)
    future = harness.execute()
    harness.wait_ready()
    question = harness.next_message()
    assert question.content["prompt"] == "name? "
    harness.bridge.reply(question.id, {"status": "ok", "value": "Ada"})
    assert future.result(PATIENCE_S).content["value"] == "Ada"


def test_answer_to_no_question_is_dropped(start_bridge: StartBridge) -> None:
    harness = start_bridge(answers_cells)
    harness.wait_ready()
    harness.bridge.reply("no question", {"status": "ok", "value": ""})
    assert content(harness.execute()) is not None


def test_message_without_a_reply_is_sent(start_bridge: StartBridge) -> None:
    async def script(deno: FakeDeno) -> None:
        await deno.get_ready()
        message = await deno.hear("comm_msg")
        assert message.id == "m"
        deno.say("comm_msg", message.content, buffers=[bytes(message.buffers[0])])

    harness = start_bridge(script)
    harness.wait_ready()
    harness.bridge.send("comm_msg", {"comm_id": "c"}, id="m", buffers=[memoryview(b"xyz")])
    assert bytes(harness.next_message().buffers[0]) == b"xyz"


def test_message_before_readiness_is_dropped(start_bridge: StartBridge) -> None:
    sent = Gate()

    async def script(deno: FakeDeno) -> None:
        await sent.opened()
        await deno.get_ready()
        deno.reply(await deno.hear("execute_request"))

    harness = start_bridge(script)
    harness.bridge.send("comm_msg", {"comm_id": "c"})
    sent.open()
    assert content(harness.execute())


def test_request_that_cannot_be_sent_fails_alone(start_bridge: StartBridge) -> None:
    harness = start_bridge(answers_cells)
    bad = [
        (LocalProtocolError, harness.bridge.request("execute_request", {})[1]),
        (LocalProtocolError, harness.bridge.request("no_request", {})[1]),
        (LocalProtocolError, harness.execute(code=None)),
        (TypeError, harness.execute(more=object())),
    ]
    good = harness.execute()
    for error, future in bad:
        with pytest.raises(error):
            future.result(PATIENCE_S)
    assert content(good)


def test_pid_is_that_of_the_process(start_bridge: StartBridge) -> None:
    class WithPid(FakeDeno):
        @property
        def pid(self) -> int | None:
            return 4711

    async def launch(on_data: object) -> FakeDeno:
        deno = WithPid(on_data)  # type: ignore[arg-type]  # a callback
        deno.follow(gets_ready)
        return deno

    harness = start_bridge(launch=launch)
    harness.wait_ready()
    assert harness.bridge.pid() == 4711
    harness.close()
    assert harness.bridge.pid() is None


def test_second_request_of_the_same_id_fails_alone(start_bridge: StartBridge) -> None:
    asked = Gate()

    async def script(deno: FakeDeno) -> None:
        await asked.opened()
        await deno.get_ready()
        deno.reply(await deno.hear("execute_request"))

    harness = start_bridge(script)
    _, first = harness.bridge.request("execute_request", EXECUTE, id="mine")
    _, second = harness.bridge.request("execute_request", EXECUTE, id="mine")
    asked.open()
    assert first.result(PATIENCE_S).parent_id == "mine"
    with pytest.raises(LocalProtocolError, match="fresh id"):
        second.result(PATIENCE_S)
