"""An image: the files of a package as one blob, with an index that `js/files.ts` reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final

INDEX: Final = "files.json"
BLOB: Final = "files.bin"


class ImageWriter:
    """Writes an image into a folder that exists: `add` each file, then `finish`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blob = (folder / BLOB).open("xb")
        self._digest = hashlib.sha256()
        self._offset = 0
        self._files: dict[str, list[int]] = {}

    def __enter__(self) -> ImageWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._blob.close()

    def add(self, name: str, data: bytes) -> None:
        """Add one file."""
        self._write(name, [data])

    def copy(self, name: str, chunks: Iterable[bytes]) -> int:
        """Add one file in pieces; how long it is."""
        return self._write(name, chunks)

    def _write(self, name: str, chunks: Iterable[bytes]) -> int:
        if name in self._files:
            raise ValueError(f"{name!r} is in it twice")
        size = 0
        for chunk in chunks:
            self._blob.write(chunk)
            self._digest.update(chunk)
            size += len(chunk)
        self._files[name] = [self._offset, size]
        self._offset += size
        return size

    def finish(self) -> None:
        """Write the index; without it an image is none."""
        self._blob.close()
        index = {
            "files": self._files,
            "blob": {"size": self._offset, "sha256": self._digest.hexdigest()},
        }
        (self._folder / INDEX).write_text(json.dumps(index, separators=(",", ":")), "utf-8")
