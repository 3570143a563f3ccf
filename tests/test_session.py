from __future__ import annotations

import json
import math
import threading

import pytest

from pyodide_kernel.session import KernelSession, clean, pack_json


def nested(depth: int) -> object:
    value: object = 1
    for _ in range(depth):
        value = [value]
    return value


def test_message_ids_are_unique_across_threads() -> None:
    session = KernelSession(key=b"k")
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.extend(session.msg_id for _ in range(2000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == len(ids) == 8000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a\ud800b", "a\ufffdb"),
        ("\ud83d\ude00", "\U0001f600"),
        ({"\udfff": [math.nan, -math.inf]}, {"\ufffd": ["nan", "-inf"]}),
        ((1, None, True), [1, None, True]),
    ],
)
def test_what_json_cannot_express_is_replaced(value: object, expected: object) -> None:
    assert clean(value) == expected
    assert json.loads(pack_json(value)) == expected


def test_endless_nesting_is_cut() -> None:
    text = pack_json(nested(100_000)).decode()
    assert text.count("[") < 1000
    assert "…" in text


def test_ordinary_values_are_packed_as_they_are() -> None:
    value = {"text": "äöü\U0001f600", "n": 1.5, "x": nested(50)}
    assert json.loads(pack_json(value)) == value
