from __future__ import annotations

import enum
import json
import numbers
from collections import OrderedDict
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from pyodide_kernel.bridge.messages import MAX_BUFFERS, Message, encode_body
from pyodide_kernel.guest import jsonable as module
from pyodide_kernel.guest.jsonable import MessageTooLargeError, check_size, jsonable


class Scalar:
    """Like numpy's: a number by registration, not by inheritance."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __int__(self) -> int:
        return int(self.value)

    def __float__(self) -> float:
        return float(self.value)


class Number(int):
    def __str__(self) -> str:
        return "not a number"


class Colour(str, enum.Enum):  # noqa: UP042  # what libraries have
    RED = "red"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("text", "text"),
        (True, True),
        (None, None),
        (10**40, 10**40),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (b"\x89PNG", "iVBORw=="),
        (bytearray(b"a"), "YQ=="),
        (memoryview(b"a"), "YQ=="),
        ((1, (2, 3)), [1, [2, 3]]),
        ({3}, [3]),
        ((n for n in range(2)), [0, 1]),
        ({1: "a", "b": {None: 2}}, {"1": "a", "b": {"None": 2}}),
        (OrderedDict(a=1), {"a": 1}),
        (Number(3), 3),
        (Colour.RED, "red"),
        (Fraction(1, 2), 0.5),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "2024-02-29T01:02:03+00:00"),
    ],
)
def test_value_becomes_plain_json(value: Any, plain: Any) -> None:
    result = jsonable(value)
    assert result == plain
    assert type(result) is type(plain)
    json.dumps(result, allow_nan=False)


def test_registered_number_types_become_numbers() -> None:
    class Integer(Scalar):
        pass

    class Real(Scalar):
        pass

    numbers.Integral.register(Integer)
    numbers.Real.register(Real)
    assert jsonable([Integer(3), Real(2.5), Real(float("nan"))]) == [3, 2.5, "nan"]


@pytest.mark.parametrize("value", [object(), {"a": [len]}, Decimal("1.5"), 1j])
def test_value_without_json_form_is_named(value: Any) -> None:
    with pytest.raises(ValueError, match="can't express in JSON"):
        jsonable(value)


def test_keys_that_would_collide_are_refused() -> None:
    with pytest.raises(ValueError, match="two keys"):
        jsonable({1: "a", "1": "b"})


def test_value_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        jsonable(loop)


def test_message_at_the_limit_passes_and_above_it_does_not() -> None:
    message = Message(msg_type="display_data", content={"data": "é" * 100}, buffers=[b"12345"])
    size = 5 + len(encode_body(message))
    assert check_size(message, limit=size) is message
    with pytest.raises(MessageTooLargeError, match=f"{size} bytes, more than the limit of"):
        check_size(message, limit=size - 1)


def test_estimate_of_the_size_is_never_too_small() -> None:
    for value in ("", "a", "é" * 9, "𝄞" * 9, 10**300, -1, 1.2345678901234567e-300, None, True):
        for nested in (value, [value] * 5, {str(value): value}, [[], {}, [value]]):
            body = json.dumps(nested)
            # An astral character is written as two escapes.
            assert module._MAX_ESCAPE * module._characters(nested) >= len(body), nested


def test_too_many_buffers_are_refused() -> None:
    with pytest.raises(ValueError, match=str(MAX_BUFFERS)):
        check_size(Message(msg_type="comm_msg", buffers=[b""] * (MAX_BUFFERS + 1)), limit=10**6)
