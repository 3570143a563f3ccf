from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from pyodide_kernel.bridge import messages
from pyodide_kernel.bridge.messages import (
    MESSAGE_TYPES,
    Message,
    check_content,
    decode_body,
    encode_body,
    encode_header,
)


def round_trip(content: dict[str, Any]) -> dict[str, Any]:
    return decode_body(encode_body(Message(msg_type="stream", content=content)))[0]


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def test_message_is_an_immutable_value() -> None:
    message = Message(msg_type="stream", content={"name": "stdout", "text": "x"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.msg_type = "error"  # type: ignore[misc]  # what is tested
    assert message == Message(msg_type="stream", content={"name": "stdout", "text": "x"})


@pytest.mark.parametrize("text", ["", "\x00", "é", "世界", "🌍", "a\ud800b", "\r\n\x1b[0m"])
def test_body_carries_any_text_unchanged(text: str) -> None:
    assert round_trip({"text": text}) == {"text": text}


def test_body_is_ascii() -> None:
    encode_body(Message(msg_type="stream", content={"text": "é世🌍\ud800"})).decode("ascii")


def test_body_of_raw_utf_8_is_understood() -> None:
    body = '{"content":{"text":"é世🌍"},"metadata":{}}'.encode()
    assert decode_body(body)[0] == {"text": "é世🌍"}


def test_body_may_be_a_memoryview_and_lack_metadata() -> None:
    assert decode_body(memoryview(b'{"content":{"a":1}}')) == ({"a": 1}, {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"1",
        b'"content"',
        b"{}",
        b'{"content":null}',
        b'{"content":[]}',
        b'{"content":{},"metadata":null}',
        b'{"content":{},"metadata":[]}',
        b'{"content":{}}{}',
        b'{"content":{"a":"\xff"}}',
        b'{"content":{"a":"\xed\xa0\x80"}}',
        b'\xef\xbb\xbf{"content":{}}',
        '{"content":{}}'.encode("utf-16-le"),
    ],
)
def test_body_of_another_shape_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_body(body)


@pytest.mark.parametrize("content", [{"a": object()}, {"a": b"bytes"}, {(1, 2): 3}])
def test_content_that_is_not_json_is_a_type_error(content: dict[Any, Any]) -> None:
    with pytest.raises(TypeError):
        encode_body(Message(msg_type="stream", content=content))


def test_content_that_contains_itself_is_a_value_error() -> None:
    content: dict[str, Any] = {}
    content["self"] = content
    with pytest.raises(ValueError, match="Circular"):
        encode_body(Message(msg_type="stream", content=content))


def test_header_holds_the_envelope_and_the_lengths() -> None:
    data = encode_header("ping", "an id", "a parent", [3, 0, 7])
    assert int.from_bytes(data[:4], "big") == len(data) - 4
    assert json.loads(data[4:]) == {
        "msg_type": "ping",
        "id": "an id",
        "parent_id": "a parent",
        "lengths": [3, 0, 7],
    }


def test_largest_header_fits_its_limit() -> None:
    longest_id = "🌍" * messages.MAX_ID_LENGTH
    lengths = [messages.MAX_MESSAGE_BYTES] * (messages.MAX_BUFFERS + 1)
    longest_type = max(MESSAGE_TYPES, key=len)
    header = encode_header(longest_type, longest_id, longest_id, lengths)
    assert len(header) - 4 <= messages.MAX_HEADER_BYTES


def test_every_reply_is_a_type_of_the_other_side() -> None:
    for name, row in MESSAGE_TYPES.items():
        if row.reply is not None:
            answering = MESSAGE_TYPES[row.reply].origin
            assert (row.origin == "host") != (answering == "host"), name


def test_every_type_has_a_sender() -> None:
    senders = {*messages.HOST_TYPES, *messages.BROKER_TYPES, *messages.GUEST_TYPES}
    assert senders == set(MESSAGE_TYPES)


def test_only_comm_messages_go_both_ways() -> None:
    both = set(messages.HOST_TYPES) & {*messages.BROKER_TYPES, *messages.GUEST_TYPES}
    assert both == set(messages.COMM_TYPES)


def test_content_with_its_members_and_others_passes() -> None:
    check_content("stream", {"name": "stdout", "text": "", "more": [1]})


@pytest.mark.parametrize(
    ("msg_type", "content", "named"),
    [
        ("stream", {"name": "stdout"}, "text"),
        ("stream", {"name": 1, "text": ""}, "name"),
        ("stream", {"name": None, "text": ""}, "name"),
        ("error", {"ename": "E", "evalue": "v", "traceback": "text"}, "traceback"),
        ("hello", {"protocol_version": True}, "protocol_version"),
        ("hello", {"protocol_version": 1.0}, "protocol_version"),
        ("clear_output", {"wait": 1}, "wait"),
        ("display_data", {"data": [], "metadata": {}}, "data"),
    ],
)
def test_content_that_lacks_a_member_or_its_type_is_a_value_error_that_names_it(
    msg_type: str, content: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=repr(named)):
        check_content(msg_type, content)


def test_content_that_nests_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="nests too deep"):
        encode_body(Message(msg_type="stream", content={"deep": nested(200_000)}))
