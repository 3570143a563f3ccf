"""The life of one interpreter: from its launch over readiness and interrupts to its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pyodide_kernel.bridge.messages import MAX_MESSAGE_BYTES, PROTOCOL_VERSION, Message
from pyodide_kernel.bridge.process import DataCallback, Pipe
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import RemoteProtocolError, WorkerStartError

log = logging.getLogger(__name__)

_HEARTBEATS_PER_TIMEOUT: Final = 3

OVERUSE_CHECK_S: Final = 0.5
"""Nothing tells when a process uses more than it may, so it is looked at now and then."""

Launch = Callable[[DataCallback], Awaitable[Pipe]]
"""Starts a process, connects it and returns its pipe; raises WorkerStartError."""

DEFAULT_GRACE_S: Final = 10.0

LOST: Final = "All variables, imports and files outside mounted folders are gone."


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """What a bridge needs to know beside how to launch its process."""

    boot: Mapping[str, Any] = field(default_factory=dict)
    """Content of the `boot` message."""

    interrupt_grace_s: float = DEFAULT_GRACE_S
    """Time from an interrupt to the end of an interpreter that does not react; 0: never."""

    second_interrupt_s: float = 2.0
    """An interrupt at least this long after the first does not wait for the grace time."""

    hang_timeout_s: float = 15.0
    """Time without an answer of the broker after which it counts as hung."""

    idle_timeout_s: float = 0.0
    """Time without a request or an output after which an interpreter is ended; 0: never."""

    start_timeout_s: float = 120.0
    """Time from spawn to readiness after which the start counts as failed."""

    makes_snapshot: bool = False
    """Whether the interpreter sends a snapshot of itself instead of getting ready."""

    message_limit_bytes: int = MAX_MESSAGE_BYTES
    """Size of a message that the sandbox may send."""

    overuse: Callable[[int], str] | None = None
    """What the process of this id has used beyond its limits, as a sentence; nothing if none."""


class Life:
    """One process, from launch to end. Its methods belong to the thread of its loop."""

    def __init__(
        self,
        *,
        launch: Launch,
        config: BridgeConfig,
        on_message: Callable[[Message], None],
        on_ready: Callable[[Message], None],
        verdict: asyncio.Future[bool] | None = None,
    ) -> None:
        self._launch = launch
        self._config = config
        self._verdict = verdict
        self._what_comes = "A fresh interpreter is starting."
        self._on_message = on_message
        self._on_ready = on_ready
        self._protocol = Protocol(Role.HOST, max_received_bytes=config.message_limit_bytes)
        self._cause: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._interrupted_at: float | None = None
        self._unanswered_since: float | None = None
        self._greeted = False
        self._launching: asyncio.Future[Pipe] | None = None
        self._watches: list[asyncio.Task[None]] = []
        self._became_ready = asyncio.Event()
        self.pipe: Pipe | None = None
        self.requested = False
        self.was_ready = False

    @property
    def ready(self) -> bool:
        """Whether requests may be sent."""
        return self.was_ready and self._cause is None

    async def run(self) -> str:
        """Launch, serve and bury one process. The cause of its end, as a sentence for the user."""
        self._launching = asyncio.ensure_future(self._launch(self._data))
        try:
            self.pipe = await self._launching
        except WorkerStartError as error:
            return self._cause or str(error)
        except asyncio.CancelledError:
            if self._cause is None:
                raise
            return self._cause
        if self._cause is not None:
            self.pipe.kill()
        elif self._greeted:
            self._boot()
        watches = (self._watch_over(), self._watch_use(self.pipe.pid))
        self._watches = [asyncio.ensure_future(watch) for watch in watches]
        try:
            reason = await self.pipe.wait()
        finally:
            for watch in self._watches:
                watch.cancel()
            self._cancel_timer()
        return self._tell(self._cause or f"The sandboxed interpreter ended: {explain(reason)}.")

    def _tell(self, cause: str) -> str:
        if not self.was_ready:
            return cause
        return f"{cause} {LOST} {self._what_comes}"

    def send(self, message: Message) -> None:
        """Write one message. Raises LocalProtocolError, ValueError or TypeError if it can't be."""
        assert self.pipe is not None
        self.pipe.write(self._protocol.send(message))

    def interrupt(self, *, cause: str = "") -> None:
        """Interrupt what runs: softly at first, by ending the interpreter if that does not help.

        `cause` is a sentence for the user, if it was not the user who asked for it. What did is a
        limit, which has to hold, so the grace time then ends even if it is set to never end.
        """
        loop = asyncio.get_running_loop()
        if self._interrupted_at is None:
            self._interrupted_at = loop.time()
        elif loop.time() - self._interrupted_at >= self._config.second_interrupt_s:
            self._lose_patience(cause, "a second interrupt")
            return
        grace = self._config.interrupt_grace_s or (DEFAULT_GRACE_S if cause else 0)
        if grace and self._timer is None:
            self._timer = loop.call_later(grace, self._lose_patience, cause, f"{grace:g} s")
        self.send(Message(msg_type="interrupt"))

    def settled(self) -> None:
        """Nothing runs any more: an interrupt is over."""
        self._interrupted_at = None
        self._cancel_timer()

    def end(self, cause: str, *, requested: bool = False) -> None:
        """Kill the process; `cause` says why, the first one counts."""
        if self._cause is not None:
            return
        self._cause = cause
        self.requested = requested
        if self.pipe is not None:
            self.pipe.kill()
        elif self._launching is not None:
            self._launching.cancel()

    def rest(self, cause: str) -> None:
        """Kill the process as `end` does, when nothing follows before it is needed."""
        self._what_comes = "The next cell starts a fresh interpreter."
        self.end(cause, requested=True)

    def _lose_patience(self, cause: str, after: str) -> None:
        told = (
            f"The code did not react to the interrupt (after {after}), "
            "so the interpreter was replaced."
        )
        self.end(f"{cause} {told}".lstrip(), requested=True)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _data(self, data: bytes) -> None:
        if self._cause is not None:
            return
        try:
            for message in self._protocol.receive_data(data):
                self._dispatch(message)
        except RemoteProtocolError as error:
            log.warning("the sandbox broke the protocol: %s", error)
            self.end(f"The sandboxed interpreter sent {error}, so it was ended.")

    def _dispatch(self, message: Message) -> None:
        match message.msg_type:
            case "hello":
                self._hello(message)
            case "pong":
                self._unanswered_since = None
            case "worker_died":
                self.end(f"The sandboxed interpreter ended: {explain(message.content['cause'])}.")
            case "ready":
                if self.pipe is None:
                    raise RemoteProtocolError("a ready message before boot")
                if self.was_ready:
                    raise RemoteProtocolError("a second ready message")
                self.was_ready = True
                self._became_ready.set()
                self._on_ready(message)
            case "snapshot" if not self._config.makes_snapshot:
                raise RemoteProtocolError("a snapshot that nobody asked for")
            case _:
                self._on_message(message)

    def _hello(self, message: Message) -> None:
        version = message.content["protocol_version"]
        if version != PROTOCOL_VERSION:
            raise RemoteProtocolError(f"protocol version {version}, not {PROTOCOL_VERSION}")
        if self._greeted:
            raise RemoteProtocolError("a second hello")
        self._greeted = True
        if self.pipe is not None:
            self._boot()

    def _boot(self) -> None:
        self.send(Message(msg_type="boot", content=self._config.boot))
        if self._verdict is not None:
            self._verdict.add_done_callback(self._send_verdict)

    def _send_verdict(self, verdict: asyncio.Future[bool]) -> None:
        if self._cause is None and not verdict.cancelled():
            self.send(Message(msg_type="snapshot_verdict", content={"good": verdict.result()}))

    async def _watch_over(self) -> None:
        """Kill an interpreter that does not get ready, or whose broker does not answer."""
        loop = asyncio.get_running_loop()
        assert self.pipe is not None
        try:
            async with asyncio.timeout(self._config.start_timeout_s):
                await self._became_ready.wait()
        except TimeoutError:
            self.end(f"The interpreter was not ready after {self._config.start_timeout_s:g} s.")
            return
        timeout = self._config.hang_timeout_s
        while True:
            if self._unanswered_since is None:
                self._unanswered_since = loop.time()
                self.send(Message(msg_type="ping", id=secrets.token_hex(8)))
            elif loop.time() - self._unanswered_since >= timeout:
                self.end(f"The sandbox did not answer for {timeout:g} s, so it was ended.")
                return
            await asyncio.sleep(timeout / _HEARTBEATS_PER_TIMEOUT)

    async def _watch_use(self, pid: int | None) -> None:
        """Kill an interpreter that uses more than it may and was not kept from it otherwise."""
        while pid is not None and self._config.overuse is not None:
            if cause := self._config.overuse(pid):
                self.end(f"{cause} The interpreter was ended.")
                return
            await asyncio.sleep(OVERUSE_CHECK_S)


def explain(cause: str) -> str:
    """A worker's last words, with what is known to lie behind them."""
    lines = [line.strip() for line in cause.splitlines() if line.strip()]
    if lines:  # a Python traceback says it at its end, JavaScript at its beginning
        cause = lines[-1] if "Traceback" in lines[0] else lines[0]
    lowered = cause.lower()
    if "call stack" in lowered or "recursion" in lowered:
        return f"the recursion was too deep for WebAssembly ({cause})"
    if any(text in lowered for text in ("out of memory", "allocation failed", "memory allocation")):
        return f"it ran out of memory ({cause})"
    return cause.rstrip(".")
