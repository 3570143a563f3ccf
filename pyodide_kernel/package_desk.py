"""Packages for one kernel: its store, the questions of its guest, and what the user sees of it."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.packages.background import Background
from pyodide_kernel.packages.desk import Desk, Reply
from pyodide_kernel.packages.opening import Packages
from pyodide_kernel.parents import Parent, Parents
from pyodide_kernel.publisher import Publisher

UPDATE_S: Final = 0.2
"""Time between two changes of what users see."""

NONE: Final = {"status": "error", "ename": "PackageError", "evalue": "there are no packages"}


class PackageDesk:
    """A kernel's packages. `connect` comes before the first question."""

    def __init__(self, packages: Packages, *, cache: Path, log: logging.Logger) -> None:
        """`cache` is the folder of all cached files. Raises ConfigurationError."""
        self._packages = packages
        self._background = Background(cache, log=log)
        self._log = log
        self._desk: Desk | None = None
        self.view = packages.view
        """What an interpreter sees of them, for the policy."""
        if packages.problem:
            self._log.warning("There will be no packages: %s", packages.problem)
        else:
            for notice in packages.notices:
                self._log.warning("Packages: %s", notice)

    def connect(self, *, publisher: Publisher, parents: Parents, reply: Reply) -> None:
        """Take questions from now on."""
        if self.view is None:
            return
        shown = Shown(publisher=publisher, parents=parents)
        self._desk = Desk(
            store=lambda: self._packages.store,
            reply=reply,
            begin=shown.begin,
            end=shown.end,
            after=self._loaded,
            log=self._log,
        )

    def ask(self, message: Message, refuse: Reply) -> None:
        """Take a question of the guest."""
        if self._desk is None:
            refuse(message.id, NONE)
        else:
            self._desk.ask(message)

    def cancel(self) -> None:
        """Nobody waits for an answer any more."""
        if self._desk is not None:
            self._desk.cancel()

    def close(self) -> None:
        """Give up what is under way."""
        self.cancel()
        self._background.close()
        if self._desk is not None:
            self._packages.close()

    def _loaded(self, images: list[Mapping[str, Any]]) -> None:
        """After an answer: make room in the cache, and bytecode for the next time."""
        self._packages.cache.evict()
        if self._packages.config.compile_packages and any(
            len(image["folders"]) == 1 and not image["library"] for image in images
        ):
            self._background.start()


class Shown:
    """What users see while packages are loaded: a line that changes and then goes away.

    A cell has one at most, however often it asks.
    """

    def __init__(self, *, publisher: Publisher, parents: Parents) -> None:
        self._publisher = publisher
        self._parents = parents
        self._lock = threading.Lock()
        self._cell: Parent | None = None
        """The cell that has a line, which may be empty."""
        self._display = ""
        self._line = ""

    def begin(self, parent_id: str) -> Callable[[str], None]:
        """A function that shows a line below the cell of that id."""
        last = -UPDATE_S

        def report(line: str) -> None:
            nonlocal last
            with self._lock:
                now = time.monotonic()
                if now - last >= UPDATE_S and (cell := self._find(parent_id)):
                    last = now
                    self._show(cell, line)

        return report

    def end(self, parent_id: str) -> None:
        """Take the line away."""
        with self._lock:
            cell = self._find(parent_id)
            if cell is None or cell is not self._cell or not self._line:
                return
            if cell.sent_bytes == 0:  # the line is all there is, so the whole output may go
                self._publisher.publish("clear_output", {"wait": False}, parent=cell.header)
                self._cell, self._line = None, ""
            else:
                self._show(cell, "")

    def _show(self, cell: Parent, line: str) -> None:
        msg_type = "update_display_data"
        if cell is not self._cell:
            msg_type = "display_data"
            self._cell, self._display = cell, secrets.token_hex(8)
        self._line = line
        content = {
            "data": {"text/plain": line},
            "metadata": {},
            "transient": {"display_id": self._display},
        }
        self._publisher.publish(msg_type, content, parent=cell.header)

    def _find(self, parent_id: str) -> Parent | None:
        return self._parents.get(parent_id) or self._parents.running_cell
