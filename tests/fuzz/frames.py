"""Frames for the host: whatever arrives is messages or a RemoteProtocolError."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, Final

import psutil

from pyodide_kernel.bridge.messages import (
    IOPUB_TYPES,
    MESSAGE_TYPES,
    PROTOCOL_VERSION,
    Message,
)
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import RemoteProtocolError

GOLDEN: Final = (Path(__file__).parents[1] / "golden" / "from_deno.bin").read_bytes()

MOST_GROWN: Final = 100 * 2**20
"""Bytes; the inputs announce terabytes."""

_VALUES: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1, 2**31, 2**32, 2**53, 2**64, 1e308, 0.5, "", "x", "x" * 129, "\ud800",
    [], {}, [[]], {"content": {}}, [0], [-1], [2**40], [2], [0.5], ["2"], [2] * 5000,
)  # fmt: skip


def fuzz(count: int, seed: int) -> dict[str, int]:
    """Feed `count` inputs to connections of their own; how many were taken and refused.

    Raises AssertionError, or whatever else the protocol lets out, with the input's number.
    """
    generator = random.Random(seed)
    hello = b"".join(
        Protocol(Role.DENO).send(
            Message(msg_type="hello", content={"protocol_version": PROTOCOL_VERSION})
        )
    )
    outcomes = {"taken": 0, "refused": 0}
    before = psutil.Process().memory_info().rss
    for number in range(count):
        host = Protocol(Role.HOST)
        host.receive_data(hello)
        data = _input(generator)
        try:
            outcomes[_feed(host, data, generator)] += 1
        except Exception as error:
            error.add_note(f"input {number} of seed {seed}: {data[:400]!r}")
            raise
    grown = psutil.Process().memory_info().rss - before
    assert grown < MOST_GROWN, f"memory has grown by {grown:,} bytes after {count:,} inputs"
    return outcomes


def _feed(host: Protocol, data: bytes, generator: random.Random) -> str:
    """Send the bytes in one or two pieces, then the end."""
    cut = generator.randrange(len(data) + 1)
    try:
        for piece in (data[:cut], data[cut:]):
            for message in host.receive_data(piece):
                assert message.msg_type in MESSAGE_TYPES
        host.receive_eof()
    except RemoteProtocolError as error:
        text = str(error)
    else:
        return "taken"
    assert text
    assert "\n" not in text
    assert len(text) < 1000
    return "refused"


def _input(generator: random.Random) -> bytes:
    kind = generator.randrange(4)
    if kind == 0:
        return generator.randbytes(generator.randrange(64))
    if kind == 1:
        return _altered(GOLDEN, generator)
    msg_type = generator.choice(generator.choice((tuple(MESSAGE_TYPES), IOPUB_TYPES)))
    body = _body(msg_type, generator)
    header: dict[str, Any] = {
        "msg_type": msg_type,
        "id": "",
        "parent_id": "",
        "lengths": [len(body)],
    }
    for name in generator.sample(sorted(header), generator.randrange(3)):
        header[name] = generator.choice(_VALUES)
    if generator.random() < 0.1:
        del header[generator.choice(sorted(header))]
    text = json.dumps(header).encode()
    frame = len(text).to_bytes(4, "big") + text + body
    return _altered(frame, generator) if kind == 3 else frame


def _body(msg_type: str, generator: random.Random) -> bytes:
    content: dict[str, Any] = {
        name: types[0]() for name, types in MESSAGE_TYPES[msg_type].content.items()
    }
    for name in generator.sample(sorted(content), min(len(content), generator.randrange(2))):
        content[name] = generator.choice(_VALUES)
    body = generator.choice(({"content": content, "metadata": {}}, {"content": content}, content))
    if generator.random() < 0.01:
        return b"[" * 5000
    return json.dumps(body).encode()


def _altered(data: bytes, generator: random.Random) -> bytes:
    """With some bytes changed, added, removed or repeated; cut at times."""
    altered = bytearray(data[: generator.choice((len(data), 700))])
    for _ in range(generator.randrange(1, 4)):
        place = generator.randrange(len(altered) + 1)
        match generator.randrange(4):
            case 0:
                altered[place : place + 1] = generator.randbytes(1)
            case 1:
                altered[place:place] = generator.randbytes(generator.randrange(4))
            case 2:
                del altered[place : place + generator.randrange(9)]
            case _:
                altered[place:place] = altered[place : place + generator.randrange(40)]
    return bytes(altered)
