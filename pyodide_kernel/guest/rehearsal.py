"""What a session does, done once before a memory snapshot is made.

Modules, caches and parsed files that it takes are then in the snapshot. The first completion of a
session costs 1.8 s without it, the first traceback 0.3 s.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping
from typing import Any, Final

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest.kernel import GuestKernel

_CELL: Final = {
    "silent": False,
    "store_history": True,
    "allow_stdin": False,
    "user_expressions": {},
}

_CELLS: Final = (
    "1+1",
    "import sys\nprint('text')\nprint('text', file=sys.stderr)",
    "from IPython.display import HTML, Markdown, display\ndisplay(HTML('<b>text</b>'))",
    "[{'a': 1, 'b': (1.5, None)}, {1, 2}, 'text', b'bytes']",
    "%time sum(range(10))",
    "def f(x):\n    return 1 / x\n\nf(0)",
    "import json\njson.loads('{')",
    "undefined_name",
    "f(",
    "f?",
)

_COMPLETIONS: Final = (
    *("import o", "import os; os.pa", "f", "text = 'a'\ntext.sp", "[].a", "{}.ke", "pri"),
    *("from collections import Ord", "%ti", "open('", "import json\njson.loads('1').b"),
)

_INSTALLER_NEEDS: Final = ("importlib.metadata", "email.parser", "html.parser", "zipfile")
"""Modules that micropip imports. A snapshot can't have micropip itself, which holds objects of
JavaScript."""

_INSPECTIONS: Final = ("print", "f", "str.split", "missing")


class ClosedDoors:
    """The doors of a guest that no session has begun in: what goes out is dropped."""

    def post(self, *_message: Any) -> None:
        """Drop a message."""

    def setDirty(self, dirty: bool) -> None:  # as JavaScript has it
        """Nobody waits for output."""

    def takeInterrupt(self) -> bool:  # as JavaScript has it
        """There is none."""
        return False


def rehearse(kernel: GuestKernel) -> None:
    """Run cells, complete, inspect, and forget it all."""
    for code in _CELLS:
        _handle(kernel, "execute_request", {**_CELL, "code": code})
    for code in _COMPLETIONS:
        _handle(kernel, "complete_request", {"code": code, "cursor_pos": len(code)})
    for code in _INSPECTIONS:
        for level in (0, 1):
            content = {"code": code, "cursor_pos": len(code), "detail_level": level}
            _handle(kernel, "inspect_request", content)
    for code in ("for i in range(3):", "1+1", ")"):
        _handle(kernel, "is_complete_request", {"code": code})
    for name in _INSTALLER_NEEDS:
        importlib.import_module(name)
    kernel.forget()
    kernel.remember_generators()
    gc.collect()
    gc.freeze()  # or the first collection of each session goes through all of it


def _handle(kernel: GuestKernel, msg_type: str, content: Mapping[str, Any]) -> None:
    kernel.handle(Message(msg_type=msg_type, id="rehearsal", content=content))
