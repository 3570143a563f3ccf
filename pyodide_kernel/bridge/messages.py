"""The messages of the pipe: their schema, their limits and their byte form.

Single source of truth. The host and the guest import this module, `tools/generate_messages_ts.py`
turns its tables into `js/messages.ts`. It uses the standard library only and does no I/O.

A frame on the pipe is

    u32, big endian   length of the header in bytes
    header            UTF-8 JSON: {"msg_type", "id", "parent_id", "lengths": [body, buffer, …]}
    body              UTF-8 JSON: {"content", "metadata"}, in the form of the Jupyter messaging spec
    buffers           raw bytes, one after the other

The body stays opaque on its way: the broker routes by the header and never parses the body of a
message that is not its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

PROTOCOL_VERSION: Final = 1

MAX_HEADER_BYTES: Final = 64 * 1024
"""A header holds ids and lengths only; 64 kB leaves room for some thousands of buffers."""

MAX_BUFFERS: Final = 4096
MAX_MESSAGE_BYTES: Final = 256 * 1024 * 1024
"""Body and buffers of one message together."""

MAX_ID_LENGTH: Final = 128

CLIENT_HEADER: Final = "pyodide_kernel.client_header"
"""Key in the metadata of a request or comm message: the header of the client's message."""

FRAME_COST_BYTES: Final = 512
"""Fixed cost of one frame in flow control, so that a million empty frames are not free."""

CREDIT_BYTES: Final = 8 * 1024 * 1024
"""Bytes that the worker may have under way to the host before it waits."""

STDIN_CHUNK_BYTES: Final = 256 * 1024
"""Room in the shared page for one piece of an answer to a blocked guest."""

Origin = Literal["host", "broker", "guest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageType:
    """One row of the schema."""

    origin: Origin
    """Who may send it."""

    content: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    """Required members of `content` and the JSON types they may have."""

    reply: str | None = None
    """The type of the one reply that answers it, if any."""


_STR = (str,)
_INT = (int,)
_BOOL = (bool,)
_DICT = (dict,)
_LIST = (list,)

MESSAGE_TYPES: Final[Mapping[str, MessageType]] = {
    # host -> broker
    "boot": MessageType(
        origin="host",
        content={"worker": _DICT, "permissions": _DICT, "guest": _DICT},
    ),
    "ping": MessageType(origin="host", reply="pong"),
    "interrupt": MessageType(origin="host"),
    "guest_reply": MessageType(origin="host", content={"status": _STR}),
    # host -> worker
    "fetch_reply": MessageType(origin="host", content={"status": _STR}),
    "fetch_chunk": MessageType(origin="host", content={"status": _STR}),
    # host -> guest
    "execute_request": MessageType(
        origin="host",
        content={"code": _STR, "silent": _BOOL, "store_history": _BOOL, "allow_stdin": _BOOL},
        reply="execute_reply",
    ),
    "complete_request": MessageType(
        origin="host", content={"code": _STR, "cursor_pos": _INT}, reply="complete_reply"
    ),
    "inspect_request": MessageType(
        origin="host",
        content={"code": _STR, "cursor_pos": _INT, "detail_level": _INT},
        reply="inspect_reply",
    ),
    "is_complete_request": MessageType(
        origin="host", content={"code": _STR}, reply="is_complete_reply"
    ),
    "comm_info_request": MessageType(origin="host", reply="comm_info_reply"),
    "shutdown_request": MessageType(
        origin="host", content={"restart": _BOOL}, reply="shutdown_reply"
    ),
    "snapshot_verdict": MessageType(origin="host", content={"good": _BOOL}),
    # broker -> host
    "hello": MessageType(origin="broker", content={"protocol_version": _INT}),
    "pong": MessageType(origin="broker"),
    "worker_died": MessageType(origin="broker", content={"cause": _STR}),
    # guest -> host
    "ready": MessageType(origin="guest", content={"execution_count": _INT}),
    "snapshot": MessageType(origin="guest"),
    "execute_reply": MessageType(origin="guest", content={"status": _STR, "execution_count": _INT}),
    "complete_reply": MessageType(origin="guest", content={"status": _STR}),
    "inspect_reply": MessageType(origin="guest", content={"status": _STR}),
    "is_complete_reply": MessageType(origin="guest", content={"status": _STR}),
    "comm_info_reply": MessageType(origin="guest", content={"comms": _DICT}),
    "shutdown_reply": MessageType(origin="guest", content={"status": _STR}),
    "input_request": MessageType(origin="guest", content={"prompt": _STR, "password": _BOOL}),
    "sandbox_request": MessageType(origin="guest"),
    # what the worker has the host fetch; the host answers each request and each read once
    "fetch_request": MessageType(
        origin="guest",
        content={"method": _STR, "url": _STR, "headers": _LIST},
        reply="fetch_reply",
    ),
    "fetch_read": MessageType(origin="guest", content={"fetch": _STR}, reply="fetch_chunk"),
    "fetch_cancel": MessageType(origin="guest", content={"fetch": _STR}),
    "package_request": MessageType(origin="guest", content={"names": _LIST, "wheels": _LIST}),
    "index_request": MessageType(
        origin="guest", content={"index": _STR, "project": _STR, "file": _STR}
    ),
    "stream": MessageType(origin="guest", content={"name": _STR, "text": _STR}),
    "display_data": MessageType(origin="guest", content={"data": _DICT, "metadata": _DICT}),
    "update_display_data": MessageType(
        origin="guest", content={"data": _DICT, "metadata": _DICT, "transient": _DICT}
    ),
    "execute_result": MessageType(
        origin="guest", content={"data": _DICT, "metadata": _DICT, "execution_count": _INT}
    ),
    "clear_output": MessageType(origin="guest", content={"wait": _BOOL}),
    "error": MessageType(
        origin="guest", content={"ename": _STR, "evalue": _STR, "traceback": _LIST}
    ),
    # both ways; the origin is the guest for the check of what comes in
    "comm_open": MessageType(origin="guest", content={"comm_id": _STR, "target_name": _STR}),
    "comm_msg": MessageType(origin="guest", content={"comm_id": _STR}),
    "comm_close": MessageType(origin="guest", content={"comm_id": _STR}),
}

PACKAGE_TYPES: Final = ("package_request", "index_request")
"""What the guest asks about packages."""

QUESTION_TYPES: Final = ("input_request", "sandbox_request", *PACKAGE_TYPES)
"""What the guest asks, and is blocked by until the `guest_reply`."""

FETCH_TYPES: Final = ("fetch_request", "fetch_read", "fetch_cancel")
"""What the worker wants of the host's network."""

COMM_TYPES: Final = ("comm_open", "comm_msg", "comm_close")

IOPUB_TYPES: Final = (
    "stream",
    "display_data",
    "update_display_data",
    "execute_result",
    "clear_output",
    "error",
    *COMM_TYPES,
)
"""What the guest sends that a client sees on the iopub channel."""

GUEST_TYPES: Final = tuple(name for name, row in MESSAGE_TYPES.items() if row.origin == "guest")
BROKER_TYPES: Final = tuple(name for name, row in MESSAGE_TYPES.items() if row.origin == "broker")
HOST_TYPES: Final = (
    *(name for name, row in MESSAGE_TYPES.items() if row.origin == "host"),
    *COMM_TYPES,
)
WORKER_BOUND_TYPES: Final = tuple(
    name for name in HOST_TYPES if name not in {"boot", "ping", "interrupt", "guest_reply"}
)
"""What the host sends that the broker passes on to the worker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message on the pipe, a thin envelope around a Jupyter message.

    `id` names a request or a question of the guest and comes back as the `parent_id` of its reply.
    Every output carries the id of the request that caused it as `parent_id`; the host, which alone
    knows the Jupyter header behind that id, puts it into the `parent_header`.
    """

    msg_type: str
    id: str = ""
    parent_id: str = ""
    content: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    buffers: Sequence[bytes | memoryview] = ()


def encode_body(message: Message) -> bytes:
    """The JSON body of a message, UTF-8. Lone surrogates travel as escapes, as in Jupyter.

    Raises ValueError or TypeError if content or metadata can't be expressed in JSON.
    """
    body = {"content": message.content, "metadata": message.metadata}
    try:
        return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise ValueError(f"a {message.msg_type} that nests too deep") from None


def decode_body(body: bytes | memoryview) -> tuple[dict[str, Any], dict[str, Any]]:
    """Content and metadata of a JSON body.

    Raises ValueError if it is not a JSON object of that shape, RecursionError if it nests too deep.
    """
    # As text, since json.loads guesses the encoding of bytes and lets surrogates through.
    value = json.loads(str(body, "utf-8"))
    if not isinstance(value, dict):
        raise ValueError("the body is not a JSON object")
    content, metadata = value.get("content"), value.get("metadata", {})
    if not isinstance(content, dict) or not isinstance(metadata, dict):
        raise ValueError("content or metadata is not a JSON object")
    return content, metadata


def encode_header(msg_type: str, message_id: str, parent_id: str, lengths: Sequence[int]) -> bytes:
    """Length prefix and JSON header of a frame."""
    header = {"msg_type": msg_type, "id": message_id, "parent_id": parent_id, "lengths": lengths}
    data = json.dumps(header, separators=(",", ":")).encode("ascii")
    return len(data).to_bytes(4, "big") + data


def check_content(msg_type: str, content: Mapping[str, Any]) -> None:
    """Raise ValueError, naming the member, if content lacks what its message type requires."""
    for name, types in MESSAGE_TYPES[msg_type].content.items():
        if name not in content:
            raise ValueError(f"{msg_type} has no {name!r}")
        value = content[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise ValueError(f"{name!r} of {msg_type} is a {type(value).__name__}")
