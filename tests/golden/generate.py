"""Writes `from_host.bin` and `from_deno.bin`, the frames of `frames.json` as bytes.

`frames.json` is written by hand: one entry or more for each message type of the schema, with the
body as the JSON text that travels, and buffers in base64. This script spells the form of a frame
out for itself, so that the two codecs (`bridge/protocol.py` and `js/framing.ts`) are measured
against a third opinion. Run it after a change of `frames.json`, never after a change of a codec:

    python tests/golden/generate.py
"""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
DIRECTIONS = ("from_host", "from_deno")


def frame(entry: dict[str, Any]) -> bytes:
    """The bytes of one entry of frames.json."""
    parts = [entry["body"].encode(), *map(base64.b64decode, entry.get("buffers", ()))]
    lengths = ",".join(str(len(part)) for part in parts)
    header = (
        f'{{"msg_type":"{entry["msg_type"]}","id":"{entry.get("id", "")}",'
        f'"parent_id":"{entry.get("parent_id", "")}","lengths":[{lengths}]}}'
    ).encode()
    return struct.pack(">I", len(header)) + header + b"".join(parts)


def main() -> None:
    """Write both files."""
    entries = json.loads((FOLDER / "frames.json").read_text("utf-8"))
    for direction in DIRECTIONS:
        data = b"".join(map(frame, entries[direction]))
        (FOLDER / f"{direction}.bin").write_bytes(data)


if __name__ == "__main__":
    main()
