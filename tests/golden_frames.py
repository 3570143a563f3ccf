"""The golden frames of `tests/golden`, for tests in Python."""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyodide_kernel.bridge.messages import Message, decode_body

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """All frames of one direction: as messages, and as the bytes of one stream."""

    messages: list[Message]
    data: bytes


def load_golden(direction: str) -> Golden:
    """The frames `from_host` or `from_deno`."""
    entries = json.loads((FOLDER / "frames.json").read_text("utf-8"))[direction]
    data = (FOLDER / f"{direction}.bin").read_bytes()
    return Golden(messages=[_message(entry) for entry in entries], data=data)


def load_malformed() -> dict[str, bytes]:
    """Frames of the host that nobody may accept, by what is wrong with them."""
    entries = json.loads((FOLDER / "malformed.json").read_text("utf-8"))
    return {entry["name"]: _malformed(entry) for entry in entries}


def _message(entry: dict[str, Any]) -> Message:
    content, metadata = decode_body(entry["body"].encode())
    return Message(
        msg_type=entry["msg_type"],
        id=entry.get("id", ""),
        parent_id=entry.get("parent_id", ""),
        content=content,
        metadata=metadata,
        buffers=[base64.b64decode(buffer) for buffer in entry.get("buffers", ())],
    )


def _malformed(entry: dict[str, str]) -> bytes:
    if "header_hex" in entry:
        header = bytes.fromhex(entry["header_hex"])
    elif "header_utf16" in entry:
        header = entry["header_utf16"].encode("utf-16-le")
    else:
        header = entry["header"].encode()
    return struct.pack(">I", len(header)) + header
