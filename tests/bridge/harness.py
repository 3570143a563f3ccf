"""A bridge under test: what it told its owner, in order, and whether it cleaned up."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any

from fake_deno import FakeLaunch
from wired import BOOT, EXECUTE

from pyodide_kernel.bridge.bridge import Bridge, Death
from pyodide_kernel.bridge.life import BridgeConfig, Launch
from pyodide_kernel.bridge.messages import Message

PATIENCE_S = 60
"""How long a test waits for what must happen; nothing ever waits this long for its result."""


class Harness:
    """A bridge, and the callbacks that it made."""

    def __init__(
        self, launch: Launch, *, boot: Mapping[str, Any] = BOOT.content, **config: Any
    ) -> None:
        self.launch = launch
        self.callbacks_raise = False
        self.futures: list[Future[Message]] = []
        """Of the cells requested."""
        self.done_at_death: list[bool] = []
        """Which of them were done when the last death was told."""
        self._events: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.bridge = Bridge(
            launch=launch,
            config=BridgeConfig(boot=boot, **config),
            on_message=partial(self._note, "message"),
            on_ready=partial(self._note, "ready"),
            on_death=partial(self._note, "death"),
            on_give_up=partial(self._note, "give up"),
        )

    def next_message(self) -> Message:
        """The next callback, which must be a message."""
        message = self._next("message")
        assert isinstance(message, Message)
        return message

    def messages_so_far(self) -> list[Message]:
        """All callbacks up to now, which must be messages."""
        return [self.next_message() for _ in range(self._events.qsize())]

    def wait_ready(self, timeout_s: float = PATIENCE_S) -> Message:
        """The next callback, which must say that the interpreter is ready."""
        message = self._next("ready", timeout_s)
        assert isinstance(message, Message)
        return message

    def next_death(self, *, gives_up: bool = False) -> Death:
        """The next callback, which must tell of a death."""
        death = self._next("give up" if gives_up else "death")
        assert isinstance(death, Death)
        return death

    def no_more_events(self) -> None:
        """Assert that there was no callback beside those asked for."""
        assert list(self._events.queue) == []

    def execute(self, **content: Any) -> Future[Message]:
        """Request a cell."""
        _, future = self.bridge.request("execute_request", {**EXECUTE, **content})
        self.futures.append(future)
        return future

    def close(self) -> None:
        """Close the bridge, and assert that nothing of it is left."""
        self.bridge.close()
        assert not self.bridge._thread.is_alive()
        assert self.bridge._loop.is_closed()
        if isinstance(self.launch, FakeLaunch):
            self.launch.check()

    def _note(self, kind: str, value: Any) -> None:
        if kind == "death":
            self.done_at_death = [future.done() for future in self.futures]
        self._events.put((kind, value))
        if self.callbacks_raise:
            raise ValueError("a bug of the bridge's owner")

    def _next(self, kind: str, timeout_s: float = PATIENCE_S) -> Any:
        actual, value = self._events.get(timeout=timeout_s)
        assert actual == kind, f"{actual} instead of {kind}: {value}"
        return value
