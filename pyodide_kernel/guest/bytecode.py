"""Compiles the modules of an image, for a cache of bytecode. Runs in an interpreter of its own.

Modules are compiled and never run, so nothing that a package contains decides what is sent.
"""

from __future__ import annotations

import importlib.util
import marshal
import warnings
from collections.abc import Sequence
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.guest.imports import PACKAGES

BATCH_BYTES: Final = 2_000_000
_UNCHECKED_HASH: Final = (1).to_bytes(4, "little")
"""Loaded without a look at the source: an image does not change."""


def compile_module(source: bytes, path: str) -> bytes:
    """The pyc file of a module. Raises SyntaxError or ValueError if it can't be compiled."""
    code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    return MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source) + marshal.dumps(code)


def compile_image(shell: Any, folder: str, names: Sequence[str]) -> None:
    """Send the pyc files of an image's modules, in messages of many.

    A module that can't be compiled is left out: importing it will show why.
    """
    shell.host.mount_image(folder, False)
    try:
        batch = _Batch(shell)
        for name in names:
            path = f"{PACKAGES}/{name}"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    batch.add(name, compile_module(Path(path).read_bytes(), path))
                except (SyntaxError, ValueError, RecursionError):
                    continue
        batch.send()
    finally:
        shell.host.unmount_image(folder)


class _Batch:
    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._names: list[str] = []
        self._files: list[memoryview] = []
        self._size = 0

    def add(self, name: str, data: bytes) -> None:
        self._names.append(name)
        self._files.append(memoryview(data))
        self._size += len(data)
        if self._size >= BATCH_BYTES or len(self._files) >= 1000:
            self.send()

    def send(self) -> None:
        content = {"data": {}, "metadata": {}, "transient": {"bytecode": self._names}}
        self._shell.outlet.send("display_data", content, buffers=self._files)
        self._names, self._files, self._size = [], [], 0
