"""Plain JSON values out of what libraries put into messages, and the limit of a message."""

from __future__ import annotations

import math
import numbers
from base64 import b64encode
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from pyodide_kernel.bridge.messages import (
    MAX_BUFFERS,
    Message,
    encode_body,
)

_AS_THEY_ARE = frozenset({str, int, bool, type(None)})
_BYTES = (bytes, bytearray, memoryview)
_MAX_ESCAPE = 12  # JSON writes one character as at most two \uXXXX


class MessageTooLargeError(ValueError):
    """A message over the limit of the pipe; it was not sent."""

    def __init__(self, msg_type: str, size: int, limit: int) -> None:
        super().__init__(
            f"this {msg_type} message has {size:,} bytes, more than the limit of "
            f"{limit:,} (--message-limit). Write the data to a file, or send it in pieces"
        )
        self.size = size


def jsonable(value: Any) -> Any:
    """The same value in str, int, float, bool, None, list and dict with str keys.

    Bytes become base64; NaN and infinities their repr, since JSON has neither and Jupyter's own
    session does the same. Raises ValueError for what has no such form, for keys that would collide,
    and for a value that contains itself or nests too deep.
    """
    try:
        return _plain(value)
    except RecursionError:
        raise ValueError("can't express in JSON: nested too deep, or contains itself") from None


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is float:
        return value if math.isfinite(value) else repr(value)
    if kind is list or kind is tuple:
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return _plain_mapping(value)
    return _plain_scalar(value)


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    plain = {str(key): _plain(item) for key, item in value.items()}
    if len(plain) != len(value):
        raise ValueError(
            f"can't express in JSON: two keys of {list(value)[:10]!r} are the same as strings"
        )
    return plain


def _plain_scalar(value: Any) -> Any:
    """Subclasses and foreign types, numpy's scalars among them."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return _plain(float(value))
    if isinstance(value, _BYTES):
        return b64encode(value).decode("ascii")
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    raise ValueError(f"can't express in JSON: {value!r} ({type(value).__name__})")


def check_size(message: Message, *, limit: int) -> Message:
    """The message itself; raises MessageTooLargeError if it has more than `limit` bytes.

    Content must be plain JSON already, buffers must be bytes or memoryviews of bytes.
    """
    if len(message.buffers) > MAX_BUFFERS:
        raise ValueError(
            f"this {message.msg_type} message has {len(message.buffers)} buffers; "
            f"the limit is {MAX_BUFFERS}"
        )
    size = sum(len(buffer) for buffer in message.buffers)
    if size + _MAX_ESCAPE * _characters([message.content, message.metadata]) > limit:
        size += len(encode_body(message))
        if size > limit:
            raise MessageTooLargeError(message.msg_type, size, limit)
    return message


def _characters(value: Any) -> int:
    """About how long the JSON text of a plain value is, never less than a twelfth of it."""
    if isinstance(value, str):
        return len(value) + 4
    if isinstance(value, Mapping):
        return sum(len(key) + 8 + _characters(item) for key, item in value.items())
    if isinstance(value, list):
        return 4 + sum(map(_characters, value))
    return 24 if isinstance(value, float) else 8 + (value.bit_length() if type(value) is int else 0)
