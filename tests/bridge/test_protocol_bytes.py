"""Frames as bytes: pieces, golden frames, limits, and everything that is malformed."""

from __future__ import annotations

import json
import struct
import tracemalloc
from array import array

import pytest
from golden import generate
from golden_frames import FOLDER, load_golden, load_malformed
from wired import HELLO, asking, encoded, greeted

from pyodide_kernel.bridge import messages
from pyodide_kernel.bridge.messages import (
    BROKER_TYPES,
    GUEST_TYPES,
    HOST_TYPES,
    MESSAGE_TYPES,
    Message,
)
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import LocalProtocolError, RemoteProtocolError

FROM_HOST = load_golden("from_host")
FROM_DENO = load_golden("from_deno")
MALFORMED = load_malformed()


def frame(
    msg_type: str = "stream",
    *,
    lengths: object = None,
    body: bytes = b'{"content":{"name":"stdout","text":""}}',
    tail: bytes = b"",
) -> bytes:
    """A frame of the Deno side, right or wrong."""
    header = {
        "msg_type": msg_type,
        "id": "",
        "parent_id": "",
        "lengths": [len(body)] if lengths is None else lengths,
    }
    data = json.dumps(header).encode()
    return struct.pack(">I", len(data)) + data + body + tail


def host_with_question() -> Protocol:
    """A host that was asked what the golden frames answer."""
    return asking()[0]


def host_with_requests() -> Protocol:
    """A host that has sent all golden frames, so that all golden replies are legal."""
    host = host_with_question()
    for message in FROM_HOST.messages:
        host.send(message)
    return host


def test_golden_frames_are_those_of_frames_json() -> None:
    entries = json.loads((FOLDER / "frames.json").read_text("utf-8"))
    for direction, golden in (("from_host", FROM_HOST), ("from_deno", FROM_DENO)):
        assert b"".join(map(generate.frame, entries[direction])) == golden.data


def test_every_type_has_a_golden_frame_in_each_of_its_directions() -> None:
    assert {message.msg_type for message in FROM_HOST.messages} == set(HOST_TYPES)
    deno_types = {message.msg_type for message in FROM_DENO.messages}
    assert deno_types == {*BROKER_TYPES, *GUEST_TYPES}


def test_host_encodes_the_golden_frames_byte_for_byte() -> None:
    host = host_with_question()
    chunks = [chunk for message in FROM_HOST.messages for chunk in host.send(message)]
    assert b"".join(chunks) == FROM_HOST.data


def test_host_decodes_the_golden_frames() -> None:
    assert host_with_requests().receive_data(FROM_DENO.data) == FROM_DENO.messages


def test_deno_role_decodes_the_golden_frames() -> None:
    assert asking()[1].receive_data(FROM_HOST.data) == FROM_HOST.messages


def test_frames_fed_byte_by_byte_are_the_same_messages() -> None:
    host = host_with_requests()
    arrived = [message for value in FROM_DENO.data for message in host.receive_data(bytes([value]))]
    assert arrived == FROM_DENO.messages
    host.receive_eof()


def test_message_is_complete_with_its_last_byte_and_not_before() -> None:
    wired = greeted()
    data = encoded(wired.deno, "stream", content={"name": "stdout", "text": "x"})
    assert wired.host.receive_data(data[:-1]) == []
    assert len(wired.host.receive_data(data[-1:])) == 1


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_data_may_be_any_bytes_and_is_not_kept(kind: type) -> None:
    wired = greeted()
    data = bytearray(encoded(wired.deno, "comm_msg", content={"comm_id": "c"}, buffers=[b"abc"]))
    (message,) = wired.host.receive_data(kind(data))
    data[:] = bytes(len(data))
    assert bytes(message.buffers[0]) == b"abc"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_buffers_may_be_any_bytes(kind: type) -> None:
    (message,) = greeted().from_host(
        "comm_msg", content={"comm_id": "c"}, buffers=[kind(b"abc"), kind(b"")]
    )
    assert [bytes(buffer) for buffer in message.buffers] == [b"abc", b""]


def test_chunks_count_their_bytes_whatever_the_buffers_hold() -> None:
    numbers = array("i", [1, 2, 3])
    message = Message(msg_type="comm_msg", content={"comm_id": "c"}, buffers=[memoryview(numbers)])
    *_, chunk = greeted().host.send(message)
    # asyncio's transport takes len() of a memoryview for its size in bytes.
    assert len(chunk) == len(numbers.tobytes())
    assert bytes(chunk) == numbers.tobytes()


def test_buffer_that_is_not_contiguous_is_a_type_error() -> None:
    message = Message(
        msg_type="comm_msg", content={"comm_id": "c"}, buffers=[memoryview(b"abcd")[::2]]
    )
    with pytest.raises(TypeError, match="contiguous"):
        greeted().host.send(message)


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_golden_header_breaks_the_protocol(name: str) -> None:
    wired = greeted()
    with pytest.raises(RemoteProtocolError):
        wired.deno.receive_data(MALFORMED[name])


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"content":[]}', b'{"content":{"name":"stdout"}}', b"\xff"],
)
def test_malformed_body_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="a malformed stream"):
        greeted().host.receive_data(frame(body=body))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [500, 5_000, 60_000])
def test_nesting_of_any_depth_is_a_message_or_breaks_the_protocol(
    opening: bytes, depth: int
) -> None:
    closing = b"]" if opening == b"[" else b"}"
    deep = opening * depth + b"0" + closing * depth
    body = b'{"content":{"name":"stdout","text":"","deep":' + deep + b"}}"
    try:
        assert len(greeted().host.receive_data(frame(body=body))) == 1
    except RemoteProtocolError as error:
        assert "malformed stream" in str(error)  # noqa: PT017  # either outcome is right


def test_deeply_nested_header_breaks_the_protocol() -> None:
    header = b"[" * messages.MAX_HEADER_BYTES
    with pytest.raises(RemoteProtocolError):
        greeted().host.receive_data(struct.pack(">I", len(header)) + header)


def test_header_beyond_the_limit_is_refused_before_it_arrives() -> None:
    host = greeted().host
    with pytest.raises(RemoteProtocolError, match="a header of 65,537 bytes"):
        host.receive_data(struct.pack(">I", messages.MAX_HEADER_BYTES + 1))


def test_header_of_the_limit_is_accepted() -> None:
    data = frame()
    padding = b" " * (messages.MAX_HEADER_BYTES - struct.unpack(">I", data[:4])[0])
    header_end = data.index(b"}") + 1
    padded = data[4:header_end] + padding
    stream = struct.pack(">I", len(padded)) + padded + data[header_end:]
    assert len(greeted().host.receive_data(stream)) == 1


def test_number_of_buffers_is_limited_on_both_sides() -> None:
    most = messages.MAX_BUFFERS
    wired = greeted()
    (message,) = wired.from_deno("comm_msg", content={"comm_id": "c"}, buffers=[b""] * most)
    assert len(message.buffers) == most
    with pytest.raises(LocalProtocolError, match="larger than the limit"):
        wired.from_deno("comm_msg", content={"comm_id": "c"}, buffers=[b""] * (most + 1))
    with pytest.raises(RemoteProtocolError, match="malformed list of lengths"):
        wired.host.receive_data(frame(lengths=[39] + [0] * (most + 1)))


def test_message_of_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    body = len(messages.encode_body(Message(msg_type="comm_msg", content={"comm_id": "c"})))
    wired = greeted(max_message_bytes=1000)
    room = 1000 - body
    assert wired.from_deno("comm_msg", content={"comm_id": "c"}, buffers=[bytes(room)])
    with pytest.raises(LocalProtocolError, match="1,001 bytes"):
        wired.from_deno("comm_msg", content={"comm_id": "c"}, buffers=[bytes(room + 1)])
    with pytest.raises(RemoteProtocolError, match="a stream of more than 1,000 bytes"):
        wired.host.receive_data(frame(lengths=[39, 962]))


def test_huge_message_is_refused_by_its_header_alone() -> None:
    host = greeted().host
    tracemalloc.start()
    try:
        with pytest.raises(RemoteProtocolError, match="more than 268,435,456 bytes"):
            host.receive_data(frame(lengths=[messages.MAX_MESSAGE_BYTES, 1], body=b""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_announced_size_is_not_allocated_before_it_arrives() -> None:
    host = greeted().host
    tracemalloc.start()
    try:
        assert host.receive_data(frame(lengths=[messages.MAX_MESSAGE_BYTES], body=b"{")) == []
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


def test_what_was_complete_before_a_malformed_frame_is_lost() -> None:
    host = Protocol(Role.HOST)
    good = b"".join(Protocol(Role.DENO).send(HELLO))
    with pytest.raises(RemoteProtocolError):
        host.receive_data(good + frame("explode"))


def test_schema_has_no_type_without_a_row() -> None:
    assert set(HOST_TYPES) | set(GUEST_TYPES) | set(BROKER_TYPES) == set(MESSAGE_TYPES)


def test_lengths_whose_sum_has_too_many_digits_to_print_break_the_protocol() -> None:
    largest = 10**4299
    with pytest.raises(RemoteProtocolError, match="more than 268,435,456 bytes"):
        greeted().host.receive_data(frame(lengths=[largest] * 12))
