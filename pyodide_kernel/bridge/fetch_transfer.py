"""One fetch, from its request to the last byte of its answer. Lives in the fetcher's loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pyodide_kernel.bridge.fetch_log import FetchRecord
from pyodide_kernel.bridge.fetch_request import FetchError, FetchRequest

log = logging.getLogger(__name__)

Tell = Callable[[str, str, Mapping[str, Any], bytes], None]
"""Sends an answer: its type, the id of the question, its content, its buffer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """What all fetches of a kernel may use up."""

    open: int = 64
    """Fetches that are worked on at a time; others wait for their turn."""
    held_bytes: int = 128 * 10**6
    """Requests that are kept until they have been answered."""
    window_bytes: int = 256 * 1024
    """What is kept of an answer that nobody reads."""
    answer_bytes: int = 4 * 2**30
    total_s: float = 3600.0
    unread_s: float = 120.0
    """Time after which an answer that nobody reads on is given up."""


class Answer(Protocol):
    """What a client gives; see `http_client.Response`."""

    @property
    def code(self) -> int: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def headers(self) -> list[tuple[str, str]]: ...  # noqa: D102
    @property
    def body(self) -> AsyncIterator[bytes]: ...  # noqa: D102


Send = Callable[[FetchRequest], AbstractAsyncContextManager[Answer]]

_LATER: Final = "the answer was given up, since nobody read it for {:g} s"


class Transfer:
    """Sends one request, keeps what has come of its answer, and hands it out as it is read."""

    def __init__(
        self,
        id: str,
        request: FetchRequest,
        *,
        owner: str,
        record: FetchRecord,
        limits: FetchLimits,
        tell: Tell,
        on_done: Callable[[Transfer], None],
    ) -> None:
        self.id = id
        self.request = request
        self.owner = owner
        """What ran when it began."""
        self.record = record
        self.asked = False
        """Whether a read waits for its answer; kept by the fetcher, which lets in one at a time."""
        self.cancelled = False
        self._limits = limits
        self._tell = tell
        self._on_done = on_done
        self._task: asyncio.Task[None] | None = None
        self._began = False
        self._buffer = bytearray()
        self._room = asyncio.Event()
        self._question = ""
        self._ended = False
        self._error: FetchError | None = None
        self._done = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, send: Send, turns: asyncio.Semaphore) -> None:
        """Begin, if it was not cancelled before."""
        if self._done.is_set():
            return
        self._task = asyncio.ensure_future(self._run(send, turns))

    def read(self, question: str) -> None:
        """Answer with what has come, now or when something comes."""
        self._question = question
        self._stop_timer()
        self._hand_out()

    def fail(self, error: FetchError) -> None:
        """End early; who waits is told so, and nobody can read on."""
        if self._done.is_set():
            return
        self._buffer.clear()
        if self._ended:  # what is left of it is not read as if that were all
            self._error = error
            self.record.outcome = error.kind
        self._end(error)
        self._finish()
        if self._task is not None:
            self._task.cancel()

    async def _run(self, send: Send, turns: asyncio.Semaphore) -> None:
        try:
            async with turns, asyncio.timeout(self._limits.total_s):
                await self._transfer(send)
                self._end(None)
                # It keeps its turn until it is read, so that little is kept for those who don't.
                await self._done.wait()
        except FetchError as error:
            self._end(error)
        except TimeoutError:
            self._end(FetchError("timeout", f"{self.request.place}: not done in time"))
        except asyncio.CancelledError:
            self._end(FetchError("cancelled", "the fetch was cancelled"))
            raise
        except Exception as error:
            log.exception("a fetch failed by an error of ours")
            self._end(FetchError("broken", f"{self.request.place}: {error!r}"))

    async def _transfer(self, send: Send) -> None:
        async with send(self.request) as answer:
            self.record.status = answer.code
            self._began = True
            content = {
                "status": "ok",
                "code": answer.code,
                "reason": answer.reason,
                "headers": [list(header) for header in answer.headers],
            }
            self._tell("fetch_reply", self.id, content, b"")
            self._start_timer()
            async for chunk in answer.body:
                await self._take(chunk)

    async def _take(self, chunk: bytes) -> None:
        self.record.received_bytes += len(chunk)
        if self.record.received_bytes > self._limits.answer_bytes:
            raise FetchError(
                "broken",
                f"{self.request.place}: more than {self._limits.answer_bytes:,} bytes came",
            )
        self._buffer += chunk
        self._hand_out()
        while len(self._buffer) >= self._limits.window_bytes:
            self._room.clear()
            await self._room.wait()

    def _hand_out(self) -> None:
        """Answer the read that waits, if there is something to say."""
        if not self._question or not (self._buffer or self._ended):
            return
        question, self._question = self._question, ""
        self.asked = False
        if self._error is not None and not self._buffer:
            self._tell("fetch_chunk", question, error_content(self._error), b"")
            self._finish()
            return
        data = bytes(self._buffer)
        self._buffer.clear()
        self._room.set()
        last = self._ended and self._error is None
        if not last:
            self._start_timer()
        self._tell("fetch_chunk", question, {"status": "ok", "last": last}, data)
        if last:
            self._finish()

    def _end(self, error: FetchError | None) -> None:
        """No more will come."""
        if self._ended:
            return
        self._ended = True
        self._error = error
        self.record.outcome = "done" if error is None else error.kind
        if not self._began:
            assert error is not None, "an answer has a head"
            self._tell("fetch_reply", self.id, error_content(error), b"")
            self._finish()
        else:
            self._hand_out()

    def _finish(self) -> None:
        self._stop_timer()
        if not self._done.is_set():
            self._done.set()
            log.info("%s", self.record)
            self._on_done(self)

    def _start_timer(self) -> None:
        self._stop_timer()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limits.unread_s, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self.fail(FetchError("timeout", _LATER.format(self._limits.unread_s)))


def error_content(error: FetchError) -> dict[str, Any]:
    """The content of an answer that says why there is none."""
    return {"status": "error", "kind": error.kind, "message": error.message}
