"""Fetches for code in the interpreter, which has no network: asked for over the pipe, done here.

`take` is called in the bridge's thread, with hostile input, and never waits. What is refused is
answered there at once; what may be done goes to a thread with a loop of its own, which begins with
the first such fetch, as does the import of the HTTP library. Every request and every read is
answered exactly once, whatever happens.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from pyodide_kernel.bridge.fetch_log import FetchRecord, new_log, summarize
from pyodide_kernel.bridge.fetch_request import FetchError, FetchRequest, read_request
from pyodide_kernel.bridge.fetch_transfer import (
    FetchLimits,
    Send,
    Transfer,
    error_content,
)
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.network import Network

log = logging.getLogger(__name__)

_CLOSE_S: Final = 2.0

_GONE: Final = "there is no such fetch any more: it was read to its end, cancelled or given up"


class Reply(Protocol):
    """`Bridge.reply`."""

    def __call__(
        self,
        question_id: str,
        content: Mapping[str, Any],
        *,
        msg_type: str,
        buffers: Sequence[bytes],
    ) -> None:
        """Answer the question of that id."""


def make_send(network: Network) -> Send:
    """The way to the real network. Imports the HTTP library."""
    from pyodide_kernel.bridge.http_client import Client

    return Client(network).send


class Fetcher:
    """Does what the messages of `FETCH_TYPES` ask for, as far as the policy's network goes."""

    def __init__(
        self,
        network: Network,
        *,
        reply: Reply,
        owner: Callable[[], str] = lambda: "",
        limits: FetchLimits | None = None,
        make_send: Callable[[Network], Send] = make_send,
    ) -> None:
        """`owner` names what runs now; what it begins can be cancelled by that name."""
        self._network = network
        self._reply = reply
        self._owner = owner
        self._limits = limits or FetchLimits()
        self._make_send = make_send
        self._send: Send | None = None
        self._lock = threading.Lock()
        self._transfers: dict[str, Transfer] = {}
        self._held_bytes = 0
        self._log = new_log()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def log(self) -> tuple[FetchRecord, ...]:
        """What was fetched or refused, oldest first; of long ago nothing."""
        return tuple(self._log)

    def rows(self) -> list[tuple[str, str]]:
        """The log for people: places, and what came of them. For any thread."""
        return summarize(self.log)

    def take(self, message: Message) -> None:
        """Do what one message asks for. Never raises, never waits."""
        try:
            if message.msg_type == "fetch_request":
                self._request(message)
            elif message.msg_type == "fetch_read":
                self._read(message)
            else:
                self._cancel(message.content["fetch"])
        except FetchError as error:
            self._refuse(message, error)
        except Exception as error:
            log.exception("a %s failed by an error of ours", message.msg_type)
            self._refuse(message, FetchError("broken", f"an error of the kernel itself: {error!r}"))

    def cancel(self, owner: str | None = None) -> None:
        """End the fetches that `owner` began, or all of them; who waits for one is told so."""
        with self._lock:
            transfers = [
                transfer
                for transfer in self._transfers.values()
                if owner is None or transfer.owner == owner
            ]
        for transfer in transfers:
            self._call(transfer.fail, FetchError("cancelled", "the fetch was interrupted"))

    def close(self) -> None:
        """End all fetches and the thread."""
        self.cancel()
        with self._lock:
            self._closed = True
            thread = self._thread
        self._call(self._stop)
        if thread is not None and thread is not threading.current_thread():
            thread.join(_CLOSE_S)

    # In the bridge's thread

    def _request(self, message: Message) -> None:
        request = read_request(message)
        record = FetchRecord(
            method=request.method,
            host=request.host,
            port=request.port,
            sent_bytes=len(request.body),
        )
        self._log.append(record)
        try:
            if problem := self._network.problem_of_host(request.host, request.port):
                raise FetchError("denied", f"code may not connect to {request.place}: {problem}")
            transfer = self._admit(message.id, request, record)
        except FetchError as error:
            record.outcome = error.kind
            log.info("%s", record)
            raise
        self._call(self._start, transfer)

    def _admit(self, id: str, request: FetchRequest, record: FetchRecord) -> Transfer:
        with self._lock:
            if self._closed:
                raise FetchError("cancelled", "the kernel shuts down")
            if id in self._transfers:
                raise FetchError("malformed", "a fetch of this id is open")
            if self._held_bytes + request.cost_bytes > self._limits.held_bytes:
                raise FetchError(
                    "busy", f"{len(self._transfers):,} fetches are open, more can't be kept"
                )
            self._held_bytes += request.cost_bytes
            transfer = self._transfers[id] = Transfer(
                id,
                request,
                owner=self._owner(),
                record=record,
                limits=self._limits,
                tell=self._tell,
                on_done=self._forget,
            )
            self._begin()
        return transfer

    def _read(self, message: Message) -> None:
        with self._lock:
            transfer = self._transfers.get(message.content["fetch"])
            if transfer is None:
                raise FetchError("cancelled", _GONE)
            if transfer.asked:
                raise FetchError("malformed", "this fetch is being read already")
            transfer.asked = True
        self._call(transfer.read, message.id)

    def _cancel(self, id: str) -> None:
        with self._lock:
            transfer = self._transfers.get(id)
            if transfer is None or transfer.cancelled:
                return
            transfer.cancelled = True
        self._call(transfer.fail, FetchError("cancelled", "the fetch was cancelled"))

    def _refuse(self, message: Message, error: FetchError) -> None:
        answer = {"fetch_request": "fetch_reply", "fetch_read": "fetch_chunk"}.get(message.msg_type)
        if answer is not None:
            self._reply(message.id, error_content(error), msg_type=answer, buffers=())

    def _begin(self) -> None:
        """Make the loop and start its thread, if this is the first fetch."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._run, name="network", daemon=True)
            self._thread.start()

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        with self._lock:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(function, *arguments)

    # In the thread of the network

    def _run(self) -> None:
        loop = self._loop
        assert loop is not None
        asyncio.set_event_loop(loop)
        self._turns = asyncio.Semaphore(self._limits.open)
        try:
            loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            with self._lock:
                loop.close()

    def _stop(self) -> None:
        asyncio.get_running_loop().stop()

    def _start(self, transfer: Transfer) -> None:
        try:
            if self._send is None:
                self._send = self._make_send(self._network)
        except Exception as error:
            log.exception("the HTTP library can't be used")
            transfer.fail(FetchError("broken", f"the host can't fetch anything: {error!r}"))
        else:
            transfer.start(self._send, self._turns)

    def _tell(self, msg_type: str, question: str, content: Mapping[str, Any], data: bytes) -> None:
        buffers = (data,) if msg_type == "fetch_chunk" else ()
        self._reply(question, content, msg_type=msg_type, buffers=buffers)

    def _forget(self, transfer: Transfer) -> None:
        with self._lock:
            if self._transfers.pop(transfer.id, None) is not None:
                self._held_bytes -= transfer.request.cost_bytes
