"""Which Jupyter message stands behind an id on the pipe."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

_SHOWN: Final = ("msg_id", "msg_type", "session", "date", "version")

MAX_PARENTS: Final = 10_000
"""Requests whose late output still finds its cell; a header takes about 1 kB."""


@dataclass(slots=True, kw_only=True)
class Parent:
    """A request or comm message of a client, for as long as output may name it."""

    id: str
    header: Mapping[str, Any]
    """In JSON form: dates are text."""
    ident: Sequence[bytes] = ()
    """ZMQ route to the client that sent it."""
    allow_stdin: bool = False
    sent_bytes: int = 0
    """Output published for it so far."""
    over_limit: bool = False
    """Whether its output was cut and the user has been told."""
    overtime: str = ""
    """Why the host interrupted it, as a sentence for the user; empty if it did not."""

    @property
    def guest_header(self) -> dict[str, Any]:
        """What code may know of the header: not who sent it."""
        return {name: self.header[name] for name in _SHOWN if name in self.header}


class Parents:
    """A bounded map from ids to parents; safe to use from several threads."""

    def __init__(self, *, limit: int = MAX_PARENTS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._parents: OrderedDict[str, Parent] = OrderedDict()
        self._latest: Parent | None = None
        self._running: Parent | None = None

    def add(self, parent: Parent) -> None:
        """Register before the id goes out; the oldest finished ones make room."""
        with self._lock:
            self._parents[parent.id] = parent
            if len(self._parents) > self._limit:
                self._evict()

    def get(self, message_id: str) -> Parent | None:
        """The parent behind an id, if it is known (still)."""
        with self._lock:
            return self._parents.get(message_id)

    @contextmanager
    def running(self, parent: Parent) -> Iterator[None]:
        """Mark a registered parent as the cell that runs, for as long as the context lasts."""
        self._latest = self._running = parent
        try:
            yield
        finally:
            self._running = None

    @property
    def running_cell(self) -> Parent | None:
        """The cell that runs now."""
        return self._running

    @property
    def latest_cell(self) -> Parent | None:
        """The cell that runs now or ran last."""
        return self._latest

    def _evict(self) -> None:
        """Drop the oldest one; the running cell is the one request that must stay."""
        oldest = next(parent for parent in self._parents.values() if parent is not self._running)
        del self._parents[oldest.id]
