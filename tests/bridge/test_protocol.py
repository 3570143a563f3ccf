"""Which message is legal when; the bytes are in test_protocol_bytes.py."""

from __future__ import annotations

from typing import Any

import pytest
from wired import BOOT, EXECUTE, HELLO, Wired, encoded, greeted

from pyodide_kernel.bridge.messages import BROKER_TYPES, GUEST_TYPES, HOST_TYPES, Message
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import LocalProtocolError, RemoteProtocolError

OK = {"status": "ok", "execution_count": 1}
DENO_TYPES = (*BROKER_TYPES, *GUEST_TYPES)


def forged(msg_type: str, **members: Any) -> bytes:
    """A message from a Deno side that does not care about the rules."""
    return encoded(_Lawless(Role.DENO), msg_type, **members)


class _Lawless(Protocol):
    def _check_send(self, message: Message) -> None:
        pass

    def _note_sent(self, message: Message) -> None:
        pass


def asked() -> Wired:
    """A connection on which the request "a" waits for its reply."""
    wired = greeted()
    wired.from_host("execute_request", id="a", content=EXECUTE)
    return wired


def test_message_arrives_as_it_was_sent() -> None:
    wired = greeted()
    message = Message(
        msg_type="comm_msg",
        id="an id",
        parent_id="a parent",
        content={"comm_id": "c", "data": {"x": [1, None, "é"]}},
        metadata={"m": True},
        buffers=[b"one", b"", b"three"],
    )
    assert wired.deno.receive_data(b"".join(wired.host.send(message))) == [message]


@pytest.mark.parametrize("msg_type", [name for name in DENO_TYPES if name != "hello"])
def test_first_message_of_the_deno_side_is_hello(msg_type: str) -> None:
    with pytest.raises(LocalProtocolError, match="before 'hello'"):
        Protocol(Role.DENO).send(Message(msg_type=msg_type, id="1"))


def test_first_message_of_the_host_is_boot() -> None:
    with pytest.raises(LocalProtocolError, match="before 'boot'"):
        Protocol(Role.HOST).send(Message(msg_type="ping", id="1"))


def test_another_first_message_breaks_the_protocol() -> None:
    data = forged("stream", content={"name": "stdout", "text": ""})
    with pytest.raises(RemoteProtocolError, match="before 'hello'"):
        Protocol(Role.HOST).receive_data(data)


@pytest.mark.parametrize("msg_type", [name for name in DENO_TYPES if name not in HOST_TYPES])
def test_host_may_not_send_what_is_the_deno_sides(msg_type: str) -> None:
    with pytest.raises(LocalProtocolError, match="not for this side"):
        greeted().host.send(Message(msg_type=msg_type, id="1"))


@pytest.mark.parametrize("msg_type", [name for name in HOST_TYPES if name not in DENO_TYPES])
def test_deno_side_may_not_send_what_is_the_hosts(msg_type: str) -> None:
    with pytest.raises(LocalProtocolError, match="not for this side"):
        greeted().deno.send(Message(msg_type=msg_type, id="1"))


@pytest.mark.parametrize("msg_type", ["explode", "", "execute_request "])
def test_unknown_type_may_not_be_sent(msg_type: str) -> None:
    with pytest.raises(LocalProtocolError):
        greeted().host.send(Message(msg_type=msg_type, id="1"))


def test_host_message_that_comes_back_breaks_the_protocol() -> None:
    wired = greeted()
    data = encoded(wired.host, "ping", id="1")
    with pytest.raises(RemoteProtocolError, match="unknown message type 'ping'"):
        wired.host.receive_data(data)


@pytest.mark.parametrize("role", [Role.HOST, Role.DENO])
@pytest.mark.parametrize("msg_type", ["comm_open", "comm_msg", "comm_close"])
def test_comm_messages_go_both_ways(role: Role, msg_type: str) -> None:
    wired = greeted()
    send = wired.from_host if role is Role.HOST else wired.from_deno
    (arrived,) = send(msg_type, content={"comm_id": "c", "target_name": "t"})
    assert arrived.msg_type == msg_type


def test_request_is_pending_until_its_reply() -> None:
    wired = asked()
    assert wired.host.pending == {"a"}
    wired.from_deno("execute_reply", parent_id="a", content=OK)
    assert wired.host.pending == frozenset()


def test_replies_may_come_in_any_order() -> None:
    wired = asked()
    wired.from_host("ping", id="p")
    wired.from_host("comm_info_request", id="c")
    wired.from_deno("comm_info_reply", parent_id="c", content={"comms": {}})
    wired.from_deno("pong", parent_id="p")
    wired.from_deno("execute_reply", parent_id="a", content=OK)
    assert wired.host.pending == frozenset()


@pytest.mark.parametrize("request_id", ["", "a"])
def test_request_needs_a_fresh_id(request_id: str) -> None:
    with pytest.raises(LocalProtocolError, match="fresh id"):
        asked().host.send(Message(msg_type="execute_request", id=request_id, content=EXECUTE))


def test_id_may_be_used_again_after_its_reply() -> None:
    wired = asked()
    wired.from_deno("execute_reply", parent_id="a", content=OK)
    assert wired.from_host("execute_request", id="a", content=EXECUTE)


def test_id_of_a_refused_request_is_not_pending() -> None:
    wired = greeted(max_message_bytes=1000)
    with pytest.raises(LocalProtocolError, match="larger than the limit"):
        wired.from_host("execute_request", id="b", content={**EXECUTE, "code": "x" * 1000})
    with pytest.raises(TypeError):
        wired.from_host("execute_request", id="b", content={**EXECUTE, "more": object()})
    assert wired.host.pending == frozenset()


def test_refused_message_leaves_the_connection_usable() -> None:
    wired = asked()
    with pytest.raises(LocalProtocolError):
        wired.host.send(Message(msg_type="stream"))
    assert wired.from_host("ping", id="p")


@pytest.mark.parametrize(
    ("msg_type", "parent_id", "content"),
    [
        ("execute_reply", "b", OK),
        ("execute_reply", "", OK),
        ("complete_reply", "a", {"status": "ok"}),
        ("pong", "a", {}),
    ],
)
def test_reply_for_unknown_id_is_a_remote_protocol_error(
    msg_type: str, parent_id: str, content: dict[str, Any]
) -> None:
    data = forged(msg_type, parent_id=parent_id, content=content)
    with pytest.raises(RemoteProtocolError, match="no request waits for"):
        asked().host.receive_data(data)


def test_second_reply_is_a_remote_protocol_error() -> None:
    wired = asked()
    wired.from_deno("execute_reply", parent_id="a", content=OK)
    with pytest.raises(RemoteProtocolError, match="no request waits for"):
        wired.host.receive_data(forged("execute_reply", parent_id="a", content=OK))


def test_reply_to_nothing_may_not_be_sent() -> None:
    wired = asked()
    with pytest.raises(LocalProtocolError, match="no request waits for"):
        wired.deno.send(Message(msg_type="execute_reply", parent_id="b", content=OK))
    with pytest.raises(LocalProtocolError, match="no request waits for"):
        wired.deno.send(Message(msg_type="complete_reply", parent_id="a"))
    wired.from_deno("execute_reply", parent_id="a", content=OK)
    with pytest.raises(LocalProtocolError, match="no request waits for"):
        wired.deno.send(Message(msg_type="execute_reply", parent_id="a", content=OK))


def test_content_that_lacks_a_member_breaks_the_protocol() -> None:
    with pytest.raises(RemoteProtocolError, match="malformed stream: stream has no 'text'"):
        greeted().host.receive_data(forged("stream", content={"name": "stdout"}))


def test_nothing_is_received_or_sent_after_a_broken_protocol() -> None:
    wired = greeted()
    with pytest.raises(RemoteProtocolError):
        wired.host.receive_data(forged("ready", content={}))
    good = encoded(wired.deno, "stream", content={"name": "stdout", "text": ""})
    with pytest.raises(RemoteProtocolError, match="closed by an earlier"):
        wired.host.receive_data(good)
    with pytest.raises(LocalProtocolError, match="closed by an earlier"):
        wired.host.send(Message(msg_type="ping", id="1"))


def test_end_between_frames_is_fine() -> None:
    wired = asked()
    wired.host.receive_eof()
    wired.deno.receive_eof()


@pytest.mark.parametrize("cut", [1, 4, 20, -1])
def test_end_in_the_middle_of_a_frame_breaks_the_protocol(cut: int) -> None:
    host = Protocol(Role.HOST)
    assert host.receive_data(b"".join(Protocol(Role.DENO).send(HELLO))[:cut]) == []
    with pytest.raises(RemoteProtocolError, match="middle of a frame"):
        host.receive_eof()


def test_both_ends_of_a_fresh_connection_may_speak_first() -> None:
    wired = Wired()
    assert len(wired.deno.receive_data(b"".join(wired.host.send(BOOT)))) == 1
    assert len(wired.host.receive_data(b"".join(wired.deno.send(HELLO)))) == 1


@pytest.mark.parametrize("name", ["id", "parent_id"])
@pytest.mark.parametrize("value", ["x" * 129, "🌍" * 65], ids=["ascii", "surrogate pairs"])
def test_id_that_the_other_side_would_refuse_may_not_be_sent(name: str, value: str) -> None:
    members: dict[str, Any] = {"id": "1", name: value}
    with pytest.raises(LocalProtocolError, match="an id of more than 128 characters"):
        greeted().host.send(Message(msg_type="ping", **members))


def test_content_that_lacks_a_member_may_not_be_sent() -> None:
    wired = greeted()
    with pytest.raises(LocalProtocolError, match="execute_request has no 'code'"):
        wired.host.send(Message(msg_type="execute_request", id="a"))
    assert wired.host.pending == frozenset()


def test_question_is_answered_at_most_once() -> None:
    wired = asked()
    wired.from_deno("input_request", id="q", content={"prompt": "", "password": False})
    wired.from_host("guest_reply", parent_id="q", content={"status": "ok"})
    with pytest.raises(LocalProtocolError, match="no question waits"):
        wired.host.send(Message(msg_type="guest_reply", parent_id="q", content={"status": "ok"}))


@pytest.mark.parametrize("parent_id", ["", "another"])
def test_answer_to_no_question_may_not_be_sent(parent_id: str) -> None:
    wired = asked()
    wired.from_deno("input_request", id="q", content={"prompt": "", "password": False})
    reply = Message(msg_type="guest_reply", parent_id=parent_id, content={"status": "ok"})
    with pytest.raises(LocalProtocolError, match="no question waits"):
        wired.host.send(reply)


def test_answer_to_an_earlier_question_may_not_be_sent() -> None:
    wired = asked()
    for question in ("q1", "q2"):
        wired.from_deno("input_request", id=question, content={"prompt": "", "password": False})
    with pytest.raises(LocalProtocolError, match="no question waits"):
        wired.from_host("guest_reply", parent_id="q1", content={"status": "ok"})
    wired.from_host("guest_reply", parent_id="q2", content={"status": "ok"})


FETCH = {"method": "GET", "url": "https://example.com/", "headers": []}


def test_fetches_are_asked_and_answered_beside_each_other() -> None:
    wired = asked()
    for fetch in ("f1", "f2"):
        wired.from_deno("fetch_request", id=fetch, content=FETCH)
    wired.from_deno("fetch_read", id="r1", content={"fetch": "f1"})
    for msg_type, parent_id in (
        ("fetch_chunk", "r1"),
        ("fetch_reply", "f2"),
        ("fetch_reply", "f1"),
    ):
        wired.from_host(msg_type, parent_id=parent_id, content={"status": "ok"})


def test_fetch_is_answered_once_and_by_its_own_type() -> None:
    wired = asked()
    wired.from_deno("fetch_request", id="f", content=FETCH)
    with pytest.raises(LocalProtocolError, match="no request waits"):
        wired.from_host("fetch_chunk", parent_id="f", content={"status": "ok"})
    wired.from_host("fetch_reply", parent_id="f", content={"status": "ok"})
    with pytest.raises(LocalProtocolError, match="no request waits"):
        wired.from_host("fetch_reply", parent_id="f", content={"status": "ok"})


@pytest.mark.parametrize("second", ["f", ""])
def test_request_of_the_guest_without_a_fresh_id_breaks_the_protocol(second: str) -> None:
    host = asked().host
    host.receive_data(forged("fetch_request", id="f", content=FETCH))
    with pytest.raises(RemoteProtocolError, match="without a fresh id"):
        host.receive_data(forged("fetch_request", id=second, content=FETCH))
