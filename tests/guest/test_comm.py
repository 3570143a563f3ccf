from __future__ import annotations

from typing import Any

import pytest
from guest.guest import Guest

from pyodide_kernel.bridge.messages import Message


@pytest.fixture(autouse=True)
def _no_comms(guest: Guest) -> Any:
    yield
    guest.kernel.comms.manager.comms.clear()
    guest.kernel.comms.manager.targets.clear()


def comm_messages(messages: list[Message]) -> list[Message]:
    return [message for message in messages if message.msg_type.startswith("comm_")]


OPEN = "import comm\nc = comm.create_comm(target_name='t', comm_id='c1', data={'a': (1, 2)})"


def test_new_comm_opens_its_other_end(guest: Guest) -> None:
    outcome = guest.run(
        "import comm\n"
        "c = comm.create_comm(target_name='t', data={'a': (1, 2)}, metadata={'m': {3}},\n"
        "                     buffers=[b'raw', memoryview(bytearray(b'more'))])\n"
    )
    (message,) = comm_messages(outcome.outputs)
    assert message.msg_type == "comm_open"
    assert message.content["data"] == {"a": [1, 2]}
    assert message.content["target_name"] == "t"
    assert message.content["target_module"] is None
    assert message.metadata == {"m": [3]}
    assert [bytes(buffer) for buffer in message.buffers] == [b"raw", b"more"]


def test_comm_sends_and_closes_after_what_was_printed(guest: Guest) -> None:
    guest.run(OPEN)
    outcome = guest.run("print('first')\nc.send({'x': 1}, buffers=[b''])\nc.close({'why': 'done'})")
    assert outcome.types == ["stream", "comm_msg", "comm_close"]
    assert outcome.of("comm_msg") == [{"comm_id": "c1", "data": {"x": 1}}]
    assert outcome.of("comm_close") == [{"comm_id": "c1", "data": {"why": "done"}}]


def test_buffers_of_any_shape_become_bytes(guest: Guest) -> None:
    guest.run(OPEN)
    outcome = guest.run(
        "import array\n"
        "grid = memoryview(bytes(range(6))).cast('B', (2, 3))\n"
        "c.send({}, buffers=[array.array('i', [1, 2]), grid])"
    )
    (message,) = comm_messages(outcome.outputs)
    assert [len(buffer) for buffer in message.buffers] == [8, 6]
    assert bytes(message.buffers[1]) == bytes(range(6))
    error = guest.run("c.send({}, buffers=[memoryview(b'abcd')[::2]])").error
    assert error[0] == "ValueError"


def test_message_from_the_front_end_reaches_its_callback(guest: Guest) -> None:
    guest.run(OPEN)
    guest.run(
        "got = []\n"
        "def on_msg(msg):\n"
        "    data, buffers = msg['content']['data'], [bytes(b) for b in msg['buffers']]\n"
        "    got.append((data, buffers, msg['metadata']))\n"
        "    print('called')\n"
        "    c.send({'echo': msg['content']['data']})\n"
        "c.on_msg(on_msg)"
    )
    messages = guest.send(
        "comm_msg",
        {"comm_id": "c1", "data": {"v": 1}},
        metadata={"version": 2},
        buffers=(b"\x00\xff",),
    )
    assert [message.msg_type for message in messages] == ["stream", "comm_msg"]
    assert len({message.parent_id for message in messages}) == 1
    assert messages[0].parent_id.startswith("comm_msg-")
    assert guest.run("got").result == "[({'v': 1}, [b'\\x00\\xff'], {'version': 2})]"


def test_front_end_opens_a_comm_of_a_registered_target(guest: Guest) -> None:
    guest.run(
        "import comm\n"
        "opened = []\n"
        "comm.get_comm_manager().register_target('t', lambda c, msg: opened.append((c, msg)))"
    )
    content = {"comm_id": "theirs", "target_name": "t", "data": {"a": 1}}
    assert guest.send("comm_open", content) == []
    assert guest.run("[(c.comm_id, m['content']['data']) for c, m in opened]").result == (
        "[('theirs', {'a': 1})]"
    )
    assert guest.request("comm_info_request").reply["comms"] == {"theirs": {"target_name": "t"}}


@pytest.mark.parametrize("target", ["none", "broken"])
def test_comm_that_can_not_be_opened_is_closed_back(guest: Guest, target: str) -> None:
    guest.run(
        "import comm\n"
        "def broken(c, msg): raise ValueError('no')\n"
        "comm.get_comm_manager().register_target('broken', broken)"
    )
    messages = guest.send("comm_open", {"comm_id": "theirs", "target_name": target})
    (message,) = comm_messages(messages)
    assert message.msg_type == "comm_close"
    assert message.content["comm_id"] == "theirs"
    assert guest.request("comm_info_request").reply["comms"] == {}


def test_front_end_closes_a_comm(guest: Guest) -> None:
    guest.run(OPEN)
    guest.run("closed = []\nc.on_close(lambda msg: closed.append(msg['content']['data']))")
    assert guest.send("comm_close", {"comm_id": "c1", "data": {"bye": 1}}) == []
    assert guest.run("closed").result == "[{'bye': 1}]"
    assert guest.request("comm_info_request").reply["comms"] == {}


@pytest.mark.parametrize("msg_type", ["comm_msg", "comm_close"])
def test_message_for_an_unknown_comm_is_ignored(
    guest: Guest, msg_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert comm_messages(guest.send(msg_type, {"comm_id": "nobody"})) == []
    assert "No such comm: nobody" in caplog.text


def test_failing_callback_is_logged_and_breaks_nothing(
    guest: Guest, caplog: pytest.LogCaptureFixture
) -> None:
    guest.run(f"{OPEN}\nc.on_msg(lambda msg: 1/0)")
    guest.send("comm_msg", {"comm_id": "c1"})
    assert "ZeroDivisionError" in caplog.text
    assert guest.run("1").result == "1"


def test_interrupted_callback_is_an_error_and_breaks_nothing(guest: Guest) -> None:
    guest.run(f"{OPEN}\ndef f(msg): raise KeyboardInterrupt\nc.on_msg(f)")
    messages = guest.send("comm_msg", {"comm_id": "c1"})
    # The comm of a former test may be collected here, and closes.
    errors = [m for m in messages if m.msg_type != "comm_close"]
    assert [m.content["ename"] for m in errors] == ["KeyboardInterrupt"]


def test_comms_are_listed_by_target(guest: Guest) -> None:
    guest.run(OPEN)
    guest.run("d = comm.create_comm(target_name='u', comm_id='c2')")
    info = guest.request("comm_info_request").reply
    assert info == {
        "status": "ok",
        "comms": {"c1": {"target_name": "t"}, "c2": {"target_name": "u"}},
    }
    info = guest.request("comm_info_request", target_name="u").reply
    assert info["comms"] == {"c2": {"target_name": "u"}}


def test_comm_message_may_come_while_a_cell_waits(guest: Guest) -> None:
    guest.run(OPEN)
    guest.run("got = []\nc.on_msg(lambda msg: print('inside'))")

    def while_waiting() -> None:
        guest.send("comm_msg", {"comm_id": "c1"})

    guest.host.while_waiting = while_waiting
    outcome = guest.run(
        "import asyncio\nprint('before')\nawait asyncio.sleep(0.001)\nprint('after')"
    )
    parents = {
        message.content["text"]: message.parent_id.rstrip("0123456789-")
        for message in outcome.outputs
    }
    assert parents == {
        "before\n": "execute_request",
        "inside\n": "comm_msg",
        "after\n": "execute_request",
    }
