"""The bridge: one interpreter behind a pipe, started, asked, interrupted, watched, and replaced.

The bridge runs its own asyncio loop in one thread; all its state is touched there only. Its public
methods may be called from any thread and don't block unless they say so. Callbacks are called in
the bridge's thread, in the order of the pipe.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pyodide_kernel.bridge.life import BridgeConfig, Launch, Life
from pyodide_kernel.bridge.messages import MESSAGE_TYPES, Message
from pyodide_kernel.bridge.plans import Plan, Plans, SamePlan
from pyodide_kernel.errors import (
    DeadKernelError,
    PyodideKernelError,
    StartInterruptedError,
    WorkerStartError,
)

log = logging.getLogger(__name__)

MAX_DEATHS: Final = 3
DEATH_WINDOW_S: Final = 60.0
"""More unrequested deaths than MAX_DEATHS in this time: starting again would not help."""

_CLOSE_TIMEOUT_S: Final = 5.0
_SHUT_DOWN: Final = "the kernel was shut down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    """The end of an interpreter that nobody closed."""

    cause: str
    """One sentence for the user."""

    requested: bool
    """Whether the user or an interrupt asked for it."""

    during_start: bool
    """Whether it had not been ready yet, so that no state is lost."""

    idle: bool = False
    """Whether nothing had been asked of it for so long that it was ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overtime:
    """A request that took longer than it may, and is interrupted now."""

    request_id: str
    cause: str
    """One sentence for the user."""


def new_id() -> str:
    """A random id for a request, which hostile code can't guess."""
    return secrets.token_hex(8)


@dataclass(slots=True)
class _Request:
    message: Message
    future: concurrent.futures.Future[Message]
    time_limit_s: float = 0.0


class Bridge:
    """A sandboxed interpreter that comes back when it dies."""

    def __init__(
        self,
        *,
        config: BridgeConfig,
        launch: Launch | None = None,
        plans: Plans | None = None,
        on_message: Callable[[Message], None],
        on_ready: Callable[[Message], None],
        on_death: Callable[[Death], None],
        on_give_up: Callable[[Death], None],
        on_overtime: Callable[[Overtime], None] | None = None,
    ) -> None:
        """Interpreters start as `plans` say, or all of them by `launch` and `config.boot`."""
        if plans is None:
            assert launch is not None, "one of launch and plans is needed"
            plans = SamePlan(Plan(launch=launch, boot=config.boot))
        self._plans = plans
        self._config = config
        self._on_message = on_message
        self._on_ready = on_ready
        self._on_death = on_death
        self._on_give_up = on_give_up
        self._on_overtime = on_overtime
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="bridge", daemon=True)
        self._life: Life | None = None
        self._waiting: list[_Request] = []
        """Requests that no interpreter has seen yet."""
        self._running: dict[str, _Request] = {}
        """Requests that the present interpreter works on."""
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS + 1)
        self._lock = threading.RLock()
        self._ended = False
        """Whether the loop takes no calls any more; guarded by the lock."""
        self._closing = False
        self._given_up: str | None = None
        self._closed = asyncio.Event()
        self._afterwards: asyncio.Task[None] | None = None
        """What is done in the background while an interpreter works."""
        self._idle_timer: asyncio.TimerHandle | None = None
        self._rest: asyncio.Future[None] | None = None
        """Done when an interpreter is wanted again, after one was ended because it was idle."""

    def start(self) -> None:
        """Start the thread, and in it the first interpreter. Returns at once; may be repeated."""
        with self._lock:
            if self._thread.ident is None:
                self._thread.start()

    def request(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        id: str = "",
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes | memoryview] = (),
        time_limit_s: float = 0.0,
    ) -> tuple[str, concurrent.futures.Future[Message]]:
        """Send a request as soon as the interpreter is ready: its id, and the future of the reply.

        If it is not answered `time_limit_s` later (0: whenever), it is interrupted.

        The future fails with DeadKernelError if the interpreter dies over it, WorkerStartError if
        none can be started, and LocalProtocolError, ValueError or TypeError if it can't be sent.
        It can be cancelled as long as it waits to be sent.
        """
        message = Message(
            msg_type=msg_type,
            id=id or new_id(),
            content=content,
            metadata=metadata or {},
            buffers=buffers,
        )
        future: concurrent.futures.Future[Message] = concurrent.futures.Future()
        self._call(self._submit, _Request(message, future, time_limit_s))
        return message.id, future

    def send(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        id: str = "",
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes | memoryview] = (),
    ) -> None:
        """Send a message that has no reply; dropped while no interpreter is ready."""
        message = Message(
            msg_type=msg_type, id=id, content=content, metadata=metadata or {}, buffers=buffers
        )
        self._call(self._send, message)

    def interrupt(self) -> bool:
        """Interrupt what runs; whether anything did. Three stages, see docs/interrupts."""
        busy = bool(self._running or self._waiting)
        self._call(self._interrupt)
        return busy

    def reply(
        self,
        question_id: str,
        content: Mapping[str, Any],
        *,
        msg_type: str = "guest_reply",
        buffers: Sequence[bytes | memoryview] = (),
    ) -> None:
        """Answer what the guest asked with a message of this id.

        Nobody hears the answer if its interpreter has been replaced.
        """
        message = Message(
            msg_type=msg_type, parent_id=question_id, content=content, buffers=buffers
        )
        self._call(self._send, message)

    def restart(self, cause: str) -> None:
        """Replace the interpreter, as asked for by the user."""
        self._call(self._end_life, cause)

    def pid(self) -> int | None:
        """Process id of Deno, if it runs."""
        life = self._life
        return life.pipe.pid if life is not None and life.pipe is not None else None

    def layers(self) -> Mapping[str, str]:
        """What the operating system enforces on Deno: layers by name, `active…` or why not."""
        life = self._life
        return life.pipe.layers if life is not None and life.pipe is not None else {}

    def close(self, *, timeout_s: float = _CLOSE_TIMEOUT_S) -> None:
        """Kill the interpreter, reap its process and end the thread. May be repeated.

        Blocks until that is done, unless a callback calls it.
        """
        self._call(self._close)
        self.start()  # a bridge that was never started ends in its thread too
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout_s)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            if not self._ended:
                self._loop.call_soon_threadsafe(function, *arguments)
                return
        for argument in arguments:
            if isinstance(argument, _Request):
                _fail(argument, DeadKernelError(_SHUT_DOWN))

    # ---- everything below runs in the bridge's thread ----

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._lives())
            self._loop.run_until_complete(self._end_background())
        finally:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
        self._closing = True
        # What was called before runs now: each request that is among it must get its answer.
        self._loop.run_until_complete(asyncio.sleep(0))
        self._fail_all(DeadKernelError(_SHUT_DOWN))
        self._loop.close()

    async def _end_background(self) -> None:
        if self._afterwards is not None:
            self._afterwards.cancel()
            await asyncio.wait({self._afterwards})
        await self._loop.shutdown_default_executor()

    async def _lives(self) -> None:
        while not self._closing:
            plan = self._plans.next()
            life = self._life = Life(
                launch=plan.launch,
                config=replace(self._config, boot=plan.boot),
                on_message=self._receive,
                on_ready=self._ready,
                verdict=plan.verdict,
            )
            cause = await self._live(life)
            self._life = None
            if self._closing:
                return
            if self._bury(life, cause):
                await self._closed.wait()
            if self._rest is not None:
                await self._rest
                self._rest = None

    async def _live(self, life: Life) -> str:
        """The cause of the life's end. A bug of ours is one, so that it is told and counted."""
        try:
            return await life.run()
        except Exception as error:
            log.exception("an interpreter ended by an unexpected error")
            cause = f"An error of the kernel itself: {error!r}."
            life.end(cause)
            return cause

    def _bury(self, life: Life, cause: str) -> bool:
        """Tell everybody of a death; whether it was one too many."""
        death = Death(
            cause=cause,
            requested=life.requested,
            during_start=not life.was_ready,
            idle=self._rest is not None,
        )
        running, self._running = self._running, {}
        for request in running.values():
            _fail(request, DeadKernelError(cause))
        if not death.requested:
            self._deaths.append(self._loop.time())
        too_many = (
            len(self._deaths) > MAX_DEATHS
            and self._deaths[-1] - self._deaths[-1 - MAX_DEATHS] <= DEATH_WINDOW_S
        )
        if not too_many:
            self._notify(self._on_death, death)
            return False
        self._given_up = (
            f"the sandbox died {MAX_DEATHS + 1} times within {DEATH_WINDOW_S:.0f} s; "
            f"the last time: {cause}"
        )
        self._fail_all(WorkerStartError(self._given_up))
        self._notify(self._on_give_up, death)
        return True

    def _fail_all(self, error: PyodideKernelError) -> None:
        for request in [*self._running.values(), *self._waiting]:
            _fail(request, error)
        self._running.clear()
        self._waiting.clear()

    def _note_work(self) -> None:
        """Something was asked or said: the interpreter is not idle."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._config.idle_timeout_s > 0:
            later = self._config.idle_timeout_s
            self._idle_timer = self._loop.call_later(later, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if self._running or self._life is None or not self._life.ready:
            self._note_work()
            return
        self._rest = self._loop.create_future()
        self._life.rest(
            f"Nothing was asked of the interpreter for {self._config.idle_timeout_s:g} s "
            "(--idle-timeout), so it was ended."
        )

    def _end_rest(self) -> None:
        if self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    def _submit(self, request: _Request) -> None:
        self._note_work()
        self._end_rest()
        if self._closing:
            _fail(request, DeadKernelError(_SHUT_DOWN))
        elif self._given_up is not None:
            _fail(request, WorkerStartError(self._given_up))
        elif self._life is not None and self._life.ready:
            self._start_request(request)
        else:
            self._waiting.append(request)

    def _start_request(self, request: _Request) -> None:
        assert self._life is not None
        if not request.future.set_running_or_notify_cancel():
            return
        try:
            self._life.send(request.message)
        except (PyodideKernelError, ValueError, TypeError) as error:
            _fail(request, error)
        else:
            self._running[request.message.id] = request
            if request.time_limit_s > 0:
                self._limit_time(request)

    def _limit_time(self, request: _Request) -> None:
        timer = self._loop.call_later(request.time_limit_s, self._interrupt_late, request)
        request.future.add_done_callback(lambda _: timer.cancel())

    def _send(self, message: Message) -> None:
        if self._life is None or not self._life.ready:
            log.info("no interpreter is ready; dropped a %s", message.msg_type)
            return
        try:
            self._life.send(message)
        except (PyodideKernelError, ValueError, TypeError) as error:
            log.warning("could not send a %s: %s", message.msg_type, error)

    def _interrupt_late(self, request: _Request) -> None:
        assert self._life is not None
        overtime = Overtime(
            request_id=request.message.id,
            cause=f"The cell ran longer than {request.time_limit_s:g} s (--cell-timeout).",
        )
        if self._on_overtime is not None:
            self._notify(self._on_overtime, overtime)
        self._life.interrupt(cause=overtime.cause)

    def _interrupt(self) -> None:
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            _fail(request, StartInterruptedError("interrupted before the interpreter was ready"))
        if self._life is not None and self._running:
            self._life.interrupt()

    def _end_life(self, cause: str) -> None:
        if self._life is not None:
            self._life.end(cause, requested=True)

    def _close(self) -> None:
        self._closing = True
        if self._life is not None:
            self._life.end(_SHUT_DOWN, requested=True)
        self._closed.set()
        self._end_rest()

    def _ready(self, message: Message) -> None:
        self._plans.note_ready(message)
        if self._afterwards is None or self._afterwards.done():
            self._afterwards = self._loop.create_task(self._plans.afterwards())
        self._notify(self._on_ready, message)
        self._note_work()
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._start_request(request)

    def _receive(self, message: Message) -> None:
        self._note_work()
        if message.parent_id in self._running and _answers(self._running, message):
            request = self._running.pop(message.parent_id)
            if not self._running and self._life is not None:
                self._life.settled()
            request.future.set_result(message)
            return
        self._notify(self._on_message, message)

    def _notify(self, callback: Callable[[Any], None], value: Any) -> None:
        try:
            callback(value)
        except Exception:
            log.exception("a callback of the bridge failed")


def _answers(running: Mapping[str, _Request], message: Message) -> bool:
    asked = running[message.parent_id].message.msg_type
    return MESSAGE_TYPES[asked].reply == message.msg_type


def _fail(request: _Request, error: BaseException) -> None:
    with contextlib.suppress(concurrent.futures.InvalidStateError):  # cancelled by its owner
        request.future.set_exception(error)
