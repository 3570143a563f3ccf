"""Bytes to messages and back, and which message is legal when. No I/O, no clocks.

One class plays both roles: the host's end of the pipe, and, for tests, the end of the Deno process.
What the other side does wrong raises RemoteProtocolError, after which the connection is unusable;
what the caller does wrong raises LocalProtocolError, and nothing is sent.

The rules, all of them:

* the first message of the Deno side is `hello`, the first of the host is `boot`;
* each side sends only the message types of its origins (`messages.MESSAGE_TYPES`), comm messages
  go both ways; the content has the members that the schema requires;
* a request with an id gets exactly one reply of the type that the schema names, with that id as
  its `parent_id`; a reply to anything else is an error, and so is a request of the id of another
  that has no reply yet;
* a `guest_reply` answers the last question of the guest (`QUESTION_TYPES`), at most once: the guest
  is blocked by one question at a time, and gives an earlier one up before it asks the next;
* header, number of buffers and total size are bounded and refused before they are allocated.
"""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import Any, Final

from pyodide_kernel.bridge import messages
from pyodide_kernel.bridge.messages import MESSAGE_TYPES, Message
from pyodide_kernel.errors import LocalProtocolError, RemoteProtocolError


class Role(Enum):
    """Which end of the pipe a Protocol plays."""

    HOST = auto()
    DENO = auto()


_SENDABLE: Final = {
    Role.HOST: frozenset(messages.HOST_TYPES),
    Role.DENO: frozenset((*messages.BROKER_TYPES, *messages.GUEST_TYPES)),
}
_FIRST: Final = {Role.HOST: "boot", Role.DENO: "hello"}
_REPLIES: Final = frozenset(row.reply for row in MESSAGE_TYPES.values() if row.reply)
_PREFIX_BYTES: Final = 4


class Protocol:
    """One connection, seen from one of its two ends."""

    def __init__(
        self,
        role: Role,
        *,
        max_message_bytes: int = messages.MAX_MESSAGE_BYTES,
        max_received_bytes: int = messages.MAX_MESSAGE_BYTES,
    ) -> None:
        self._role = role
        self._peer = Role.DENO if role is Role.HOST else Role.HOST
        self._max_message_bytes = max_message_bytes
        self._max_received_bytes = min(max_message_bytes, max_received_bytes)
        self._buffer = bytearray()
        self._start = 0
        self._header: tuple[str, str, str, list[int]] | None = None
        self._sent_first = False
        self._received_first = False
        self._broken = False
        self._expected: dict[str, str] = {}
        """Ids of our requests and the type of the reply that each waits for."""
        self._owed: dict[str, str] = {}
        """Ids of the other side's requests and the type of the reply that we owe."""
        self._question: str | None = None
        """Id of the question that we may answer."""

    @property
    def pending(self) -> frozenset[str]:
        """Ids of our requests that have no reply yet."""
        return frozenset(self._expected)

    def send(self, message: Message) -> list[bytes | memoryview]:
        """The bytes of a message, as chunks to be written one after the other.

        Raises LocalProtocolError if the message may not be sent now or is too large, ValueError or
        TypeError if its content can't be expressed in JSON.
        """
        if self._broken:
            raise LocalProtocolError("the pipe was closed by an earlier protocol error")
        self._check_send(message)
        body = messages.encode_body(message)
        buffers = [memoryview(buffer).cast("B") for buffer in message.buffers]
        lengths = [len(body), *map(len, buffers)]
        if len(buffers) > messages.MAX_BUFFERS or sum(lengths) > self._max_message_bytes:
            raise LocalProtocolError(
                f"a {message.msg_type} of {sum(lengths):,} bytes in {len(lengths)} parts is larger "
                f"than the limit of {self._max_message_bytes:,} bytes in {messages.MAX_BUFFERS}"
            )
        header = messages.encode_header(message.msg_type, message.id, message.parent_id, lengths)
        self._note_sent(message)
        return [header, body, *buffers]

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Message]:
        """The messages that are complete now that `data` has arrived.

        Raises RemoteProtocolError if the data breaks the protocol; what was complete before it is
        lost then, since nothing of such a peer is to be trusted.
        """
        if self._broken:
            raise RemoteProtocolError("the pipe was closed by an earlier protocol error")
        self._buffer += data
        complete: list[Message] = []
        try:
            while (message := self._next_message()) is not None:
                self._note_received(message)
                complete.append(message)
        except RemoteProtocolError:
            self._broken = True
            self._buffer.clear()
            raise
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        return complete

    def receive_eof(self) -> None:
        """Note the end of the stream. Raises RemoteProtocolError if it cuts a frame."""
        if self._buffer or self._header is not None:
            self._broken = True
            raise RemoteProtocolError("the pipe ended in the middle of a frame")

    def _check_send(self, message: Message) -> None:
        if message.msg_type not in _SENDABLE[self._role]:
            raise LocalProtocolError(f"{message.msg_type!r} is not for this side to send")
        if not self._sent_first and message.msg_type != _FIRST[self._role]:
            raise LocalProtocolError(f"{message.msg_type!r} before {_FIRST[self._role]!r}")
        if max(map(_utf16_length, (message.id, message.parent_id))) > messages.MAX_ID_LENGTH:
            raise LocalProtocolError(f"an id of more than {messages.MAX_ID_LENGTH} characters")
        reply = MESSAGE_TYPES[message.msg_type].reply
        if reply and (not message.id or message.id in self._expected):
            raise LocalProtocolError(f"{message.msg_type} needs a fresh id, not {message.id!r}")
        if message.msg_type in _REPLIES and self._owed.get(message.parent_id) != message.msg_type:
            raise LocalProtocolError(f"no request waits for {message.msg_type!r}")
        if message.msg_type == "guest_reply" and message.parent_id != self._question:
            raise LocalProtocolError(f"no question waits for an answer to {message.parent_id!r}")
        try:
            messages.check_content(message.msg_type, message.content)
        except ValueError as error:
            raise LocalProtocolError(str(error)) from error

    def _note_sent(self, message: Message) -> None:
        self._sent_first = True
        reply = MESSAGE_TYPES[message.msg_type].reply
        if reply:
            self._expected[message.id] = reply
        if message.msg_type in _REPLIES:
            del self._owed[message.parent_id]
        if message.msg_type == "guest_reply":
            self._question = None

    def _note_received(self, message: Message) -> None:
        first = not self._received_first
        self._received_first = True
        if first and message.msg_type != _FIRST[self._peer]:
            raise RemoteProtocolError(f"{message.msg_type!r} before {_FIRST[self._peer]!r}")
        if message.msg_type in _REPLIES:
            if self._expected.get(message.parent_id) != message.msg_type:
                raise RemoteProtocolError(f"a {message.msg_type} that no request waits for")
            del self._expected[message.parent_id]
        reply = MESSAGE_TYPES[message.msg_type].reply
        if reply:
            if not message.id or message.id in self._owed:
                raise RemoteProtocolError(f"a {message.msg_type} without a fresh id")
            self._owed[message.id] = reply
        if message.msg_type in messages.QUESTION_TYPES:
            self._question = message.id

    def _next_message(self) -> Message | None:
        if self._header is None and not self._read_header():
            return None
        assert self._header is not None
        msg_type, message_id, parent_id, lengths = self._header
        if len(self._buffer) - self._start < sum(lengths):
            return None
        self._header = None
        parts: list[bytes] = []
        with memoryview(self._buffer) as view:
            for length in lengths:
                parts.append(bytes(view[self._start : self._start + length]))
                self._start += length
        content, metadata = self._parse_body(msg_type, parts[0])
        return Message(
            msg_type=msg_type,
            id=message_id,
            parent_id=parent_id,
            content=content,
            metadata=metadata,
            buffers=parts[1:],
        )

    def _read_header(self) -> bool:
        available = len(self._buffer) - self._start
        if available < _PREFIX_BYTES:
            return False
        size = int.from_bytes(self._buffer[self._start : self._start + _PREFIX_BYTES], "big")
        if size > messages.MAX_HEADER_BYTES:
            raise RemoteProtocolError(f"a header of {size:,} bytes")
        if available < _PREFIX_BYTES + size:
            return False
        begin = self._start + _PREFIX_BYTES
        self._header = self._parse_header(bytes(self._buffer[begin : begin + size]))
        self._start = begin + size
        return True

    def _parse_header(self, data: bytes) -> tuple[str, str, str, list[int]]:
        try:
            header = json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise RemoteProtocolError("a header that is not JSON") from error
        if not isinstance(header, dict):
            raise RemoteProtocolError("a header that is not a JSON object")
        msg_type = header.get("msg_type")
        if not isinstance(msg_type, str) or msg_type not in _SENDABLE[self._peer]:
            raise RemoteProtocolError(f"an unknown message type {str(msg_type)[:40]!r}")
        message_id, parent_id = (
            _check_id(msg_type, header.get(name)) for name in ("id", "parent_id")
        )
        return msg_type, message_id, parent_id, self._check_lengths(msg_type, header.get("lengths"))

    def _check_lengths(self, msg_type: str, lengths: Any) -> list[int]:
        if not isinstance(lengths, list) or not 1 <= len(lengths) <= messages.MAX_BUFFERS + 1:
            raise RemoteProtocolError(f"a {msg_type} with a malformed list of lengths")
        for length in lengths:
            if type(length) is not int or length < 0:
                raise RemoteProtocolError(f"a {msg_type} with a malformed length")
        if sum(lengths) > self._max_received_bytes:
            # The sum may have more digits than Python is willing to print.
            limit = f"{self._max_received_bytes:,}"
            raise RemoteProtocolError(f"a {msg_type} of more than {limit} bytes")
        return lengths

    def _parse_body(self, msg_type: str, body: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
        try:
            content, metadata = messages.decode_body(body)
            messages.check_content(msg_type, content)
        except (ValueError, RecursionError) as error:
            raise RemoteProtocolError(f"a malformed {msg_type}: {error}") from error
        return content, metadata


def _utf16_length(text: str) -> int:
    """Length as JavaScript counts it."""
    return len(text) + sum(character > "\uffff" for character in text)


def _check_id(msg_type: str, value: Any) -> str:
    if not isinstance(value, str) or len(value) > messages.MAX_ID_LENGTH:
        raise RemoteProtocolError(f"a {msg_type} with a malformed id")
    return value
