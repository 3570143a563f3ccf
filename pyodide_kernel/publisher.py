"""Messages to the iopub channel, from any thread, each with the parent it belongs to."""

# mypy: disallow-untyped-calls=False
# ipykernel's and IPython's functions have no annotations.

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

import zmq
from ipykernel.iostream import IOPubThread
from jupyter_client.session import Session

from pyodide_kernel.bridge.messages import FRAME_COST_BYTES
from pyodide_kernel.parents import Parent

WINDOW_BYTES: Final = 8 * 1024 * 1024
"""Output that may wait for the iopub thread before the reader of the pipe waits too."""

MARK_BYTES: Final = 256 * 1024
"""How much output one marker in the iopub thread's queue accounts for."""

STALLED_S: Final = 10.0
"""The iopub thread never blocks; if it does not move for so long, it is gone."""


class Publisher:
    """Sends on iopub; remembers how far the iopub thread has come."""

    def __init__(
        self,
        *,
        session: Session,
        thread: IOPubThread,
        topic: Callable[[str], bytes],
        window_bytes: int = WINDOW_BYTES,
        clean: Callable[[str, Mapping[str, Any]], Mapping[str, Any]] = lambda _type, content: (
            content
        ),
    ) -> None:
        """`clean` is applied to what the host says itself: it may quote the guest."""
        self._session = session
        self._thread = thread
        self._socket: Any = thread.background_socket
        self._topic = topic
        self._window_bytes = window_bytes
        self._clean = clean
        self._moved = threading.Condition()
        self._waiting_bytes = 0
        self._unmarked_bytes = 0
        self.sent_bytes = 0
        """Output so far, that of all cells and comms. Written in one thread."""

    def publish(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        parent: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes | memoryview] = (),
    ) -> None:
        """Queue a message; `parent` is a Jupyter message or header."""
        body = self._session.pack(dict(self._clean(msg_type, content)))
        self._send(msg_type, body, parent, metadata, buffers)

    def publish_output(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        parent: Parent,
        limit_bytes: int,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes | memoryview] = (),
    ) -> None:
        """Queue output of a cell, up to the limit of that cell.

        Waits while too much is queued already, so only the thread that reads the pipe calls it.
        """
        if parent.over_limit:
            return
        body = self._session.pack(dict(content))
        size = _size(body, buffers)
        if parent.sent_bytes + size > limit_bytes:
            parent.over_limit = True
            self.publish("stream", _limit_notice(limit_bytes), parent=parent.header)
            return
        parent.sent_bytes += size
        self._send(msg_type, body, parent.header, metadata, buffers)
        self._account(size)

    def publish_comm(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        parent: Mapping[str, Any],
        metadata: Mapping[str, Any],
        buffers: Sequence[bytes | memoryview],
    ) -> None:
        """Queue a comm message; like `publish_output`, but nothing is ever dropped.

        Widgets would be out of step with the guest for good.
        """
        body = self._session.pack(dict(content))
        self._send(msg_type, body, parent, metadata, buffers)
        self._account(_size(body, buffers))

    def call_when_sent(self, callback: Callable[[], None]) -> None:
        """Call in the iopub thread, after everything queued so far went to the sockets."""
        self._thread.schedule(callback)

    async def sent(self) -> None:
        """Wait until everything queued so far went to the sockets."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        self.call_when_sent(partial(_wake, loop, done))
        await done.wait()

    def _send(
        self,
        msg_type: str,
        body: bytes,
        parent: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
        buffers: Sequence[bytes | memoryview],
    ) -> None:
        self._session.send(
            self._socket,
            msg_type,
            body,  # type: ignore[arg-type]  # packed already: Session passes bytes on as they are
            parent=dict(parent or {}),
            metadata=dict(metadata or {}),
            buffers=list(buffers),  # type: ignore[arg-type]  # a stub's memoryview of bytes
            ident=self._topic(msg_type),
        )

    def _account(self, size: int) -> None:
        self.sent_bytes += size
        self._unmarked_bytes += size
        if self._unmarked_bytes < MARK_BYTES:
            return
        marked, self._unmarked_bytes = self._unmarked_bytes, 0
        with self._moved:
            self._waiting_bytes += marked
        self._thread.schedule(lambda: self._passed(marked))
        with self._moved:
            self._moved.wait_for(
                lambda: self._waiting_bytes <= self._window_bytes, timeout=STALLED_S
            )

    def _passed(self, marked: int) -> None:
        with self._moved:
            self._waiting_bytes -= marked
            self._moved.notify_all()


class WelcomingThread(IOPubThread):
    """Says `iopub_welcome` to a client before it gets anything else (JEP 65).

    Its socket has XPUB_MANUAL set: a subscription takes effect when it is handled here, between two
    messages, and not whenever ZeroMQ has got it.
    """

    def _handle_subscription(self, frames: Sequence[bytes]) -> None:
        for frame in frames:
            kind, topic = frame[:1], frame[1:]
            if kind in _SUBSCRIPTIONS:
                self.socket.setsockopt(_SUBSCRIPTIONS[kind], topic)
        super()._handle_subscription([frame for frame in frames if frame])

    def _really_send(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self._take_subscriptions()
        super()._really_send(msg, *args, **kwargs)
        # Sending may take the one sign that a subscription has come, and the stream would not look.
        self._take_subscriptions()

    def _take_subscriptions(self) -> None:
        with contextlib.suppress(zmq.ZMQError):  # closed meanwhile
            while not self.closed and self.socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
                self._handle_subscription(self.socket.recv_multipart(zmq.NOBLOCK))


_SUBSCRIPTIONS: Final = {b"\1": zmq.SUBSCRIBE, b"\0": zmq.UNSUBSCRIBE}


def end_tasks(thread: IOPubThread) -> None:
    """End a task that ipykernel leaves pending in the thread's loop, so that asyncio complains."""

    async def end(task: asyncio.Task[Any]) -> None:
        task.cancel()
        await asyncio.wait([task])

    if thread.thread.is_alive() and thread._event_pipe_gc_task is not None:
        loop = thread.io_loop.asyncio_loop  # type: ignore[attr-defined]  # tornado's is always one
        asyncio.run_coroutine_threadsafe(end(thread._event_pipe_gc_task), loop).result()


def _wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody waits
        loop.call_soon_threadsafe(event.set)


def _size(body: bytes, buffers: Sequence[bytes | memoryview]) -> int:
    return len(body) + sum(memoryview(buffer).nbytes for buffer in buffers) + FRAME_COST_BYTES


def _limit_notice(limit_bytes: int) -> dict[str, str]:
    megabytes = f"{limit_bytes / 1_000_000:g} MB"
    text = (
        f"\npyodide-kernel: this cell sent more than {megabytes} of output; the rest is dropped. "
        "Raise the limit with --output-limit or PYODIDE_KERNEL_OUTPUT_LIMIT.\n"
    )
    return {"name": "stderr", "text": text}
