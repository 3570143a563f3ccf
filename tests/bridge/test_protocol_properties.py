"""Properties of the protocol that hold for all messages and for all bytes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import pairwise
from typing import Any

from golden_frames import load_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from wired import HELLO, asking, greeted

from pyodide_kernel.bridge.messages import IOPUB_TYPES, MESSAGE_TYPES, Message
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import RemoteProtocolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=4,
)
OF_TYPE: dict[type, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(),
    bool: st.booleans(),
    dict: st.dictionaries(st.text(), JSON, max_size=3),
    list: st.lists(st.text(), max_size=3),
}
IDS = st.text(max_size=128)


def contents(msg_type: str) -> st.SearchStrategy[dict[str, Any]]:
    members = {name: OF_TYPE[types[0]] for name, types in MESSAGE_TYPES[msg_type].content.items()}
    more = st.dictionaries(st.text(), JSON, max_size=2)
    return st.builds(lambda extra, own: {**extra, **own}, more, st.fixed_dictionaries(members))


def outputs() -> st.SearchStrategy[Message]:
    """Any message of the guest that is legal at any time."""
    return st.sampled_from(IOPUB_TYPES).flatmap(
        lambda msg_type: st.builds(
            Message,
            msg_type=st.just(msg_type),
            id=IDS,
            parent_id=IDS,
            content=contents(msg_type),
            metadata=OF_TYPE[dict],
            buffers=st.lists(st.binary(max_size=40), max_size=4),
        )
    )


@st.composite
def split(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data` in any pieces, empty ones too."""
    cuts = draw(st.lists(st.integers(0, len(data)), max_size=12))
    edges = sorted([0, *cuts, len(data)])
    return [data[begin:end] for begin, end in pairwise(edges)]


def received(protocol: Protocol, pieces: Iterable[bytes]) -> Iterator[Message]:
    for piece in pieces:
        yield from protocol.receive_data(piece)


@settings(max_examples=50)  # the slowest test by far
@given(sent=st.lists(outputs(), max_size=4), data=st.data())
def test_any_split_of_any_messages_gives_the_same_messages(
    sent: list[Message], data: st.DataObject
) -> None:
    wired = greeted()
    stream = b"".join(chunk for message in sent for chunk in wired.deno.send(message))
    pieces = data.draw(split(stream))
    assert list(received(wired.host, pieces)) == sent
    wired.host.receive_eof()


@given(pieces=split(load_golden("from_host").data))
def test_any_split_of_the_golden_frames_gives_the_same_messages(pieces: list[bytes]) -> None:
    arrived = list(received(asking()[1], pieces))
    assert arrived == load_golden("from_host").messages


def check_total(pieces: Iterable[bytes]) -> None:
    """Whatever arrives is messages or a RemoteProtocolError."""
    host = Protocol(Role.HOST)
    host.receive_data(b"".join(Protocol(Role.DENO).send(HELLO)))
    with suppress(RemoteProtocolError):
        for message in received(host, pieces):
            assert message.msg_type in MESSAGE_TYPES


@given(pieces=st.lists(st.binary(max_size=200), max_size=8))
def test_any_bytes_are_messages_or_a_remote_protocol_error(pieces: list[bytes]) -> None:
    check_total(pieces)


@given(header=JSON | st.text(), rest=st.binary(max_size=60))
def test_any_json_as_header_is_a_message_or_a_remote_protocol_error(
    header: object, rest: bytes
) -> None:
    check_total([_frame(header), rest])


@given(
    msg_type=st.sampled_from(sorted(MESSAGE_TYPES)),
    members=st.fixed_dictionaries({}, optional={"id": JSON, "parent_id": JSON, "lengths": JSON}),
    body=st.fixed_dictionaries({}, optional={"content": JSON, "metadata": JSON}),
)
def test_any_members_of_header_and_body_are_a_message_or_a_remote_protocol_error(
    msg_type: str, members: dict[str, Any], body: dict[str, Any]
) -> None:
    text = _json(body)
    header = {"msg_type": msg_type, "id": "", "parent_id": "", "lengths": [len(text)], **members}
    check_total([_frame(header), text])


@given(
    position=st.integers(0, len(load_golden("from_deno").data) - 1),
    value=st.integers(0, 255),
)
def test_any_byte_altered_is_messages_or_a_remote_protocol_error(position: int, value: int) -> None:
    altered = bytearray(load_golden("from_deno").data)
    altered[position] = value
    check_total([bytes(altered)])


def test_memory_stays_bounded_over_many_messages() -> None:
    wired = greeted()
    message = Message(msg_type="comm_msg", content={"comm_id": "c"}, buffers=[bytes(1000)])
    frame = b"".join(wired.deno.send(message))
    stream = frame * 1000
    tracemalloc.start()
    try:
        count = 0
        for begin in range(0, len(stream), 1500):
            count += len(wired.host.receive_data(stream[begin : begin + 1500]))
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 1000
    assert held < 20_000
    assert peak < 100_000


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _frame(header: object) -> bytes:
    data = _json(header)
    return len(data).to_bytes(4, "big") + data
