"""Requests of the shell channel, one after the other, and which of them are aborted."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One message, with its place in the order of arrival."""

    number: int
    ident: list[bytes]
    message: dict[str, Any]

    @property
    def msg_type(self) -> str:
        """The Jupyter message type, whatever the client put there."""
        return str(self.message["header"]["msg_type"])


class ShellQueue:
    """A queue in the order of arrival, worked off by `run`. For one thread.

    ipykernel marks "aborting" with a flag that its event loop takes back a turn later; without the
    thread of the shell channel it is gone before the next request looks. Numbers do not have that
    trouble: aborted is whatever arrived up to the moment of the error.
    """

    def __init__(self, dispatch: Callable[[Received], Awaitable[None]]) -> None:
        self._dispatch = dispatch
        self._waiting: deque[Received] = deque()
        self._arrived = asyncio.Event()
        self._count = 0
        self._aborted_up_to = 0
        self._abort_deadline = 0.0
        self._stopping = False

    def put(self, ident: list[bytes], message: dict[str, Any]) -> None:
        """Add a message that has just arrived."""
        self._count += 1
        if time.monotonic() < self._abort_deadline:
            self._aborted_up_to = self._count
        self._waiting.append(Received(number=self._count, ident=ident, message=message))
        self._arrived.set()

    def take(self, msg_types: Collection[str]) -> list[Received]:
        """Remove and return the waiting messages of these types."""
        taken = [received for received in self._waiting if received.msg_type in msg_types]
        if taken:
            kept = [received for received in self._waiting if received.msg_type not in msg_types]
            self._waiting = deque(kept)
        return taken

    def abort(self, *, grace_s: float = 0) -> None:
        """Mark what has arrived so far, and what arrives within the grace time, as aborted."""
        self._aborted_up_to = self._count
        self._abort_deadline = time.monotonic() + grace_s if grace_s else 0.0

    def is_aborted(self, received: Received) -> bool:
        """Whether an execute request must not run."""
        return received.number <= self._aborted_up_to

    def stop(self) -> None:
        """Let `run` return once the message in work is done."""
        self._stopping = True
        self._arrived.set()

    async def run(self) -> None:
        """Dispatch one message after the other, until `stop`."""
        while not self._stopping:
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._dispatch(self._waiting.popleft())
