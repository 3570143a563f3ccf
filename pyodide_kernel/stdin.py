"""Questions of the guest to the user: one thread that owns the stdin socket."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import zmq
from jupyter_client.session import Session

END_OF_INPUT: Final = "\x04"
"""What a client sends as the value when the user pressed Ctrl-D."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An input_request of the guest, with the client that it goes to."""

    id: str
    prompt: str
    password: bool
    ident: Sequence[bytes]
    parent: Mapping[str, Any]


class StdinChannel:
    """Asks one question at a time and hands the answer to `on_answer`, in its own thread.

    A newer question replaces an older one, since the guest waits for one at most. All methods may
    be called from any thread and return at once, except `close`.
    """

    def __init__(
        self,
        *,
        session: Session,
        socket_: zmq.Socket[bytes],
        on_answer: Callable[[str, dict[str, Any]], None],
        log: logging.Logger,
    ) -> None:
        self._session = session
        self._socket = socket_
        self._on_answer = on_answer
        self._log = log
        self._orders: deque[Question | None] = deque()
        self._closing = False
        self._lock = threading.Lock()
        self._cancelled = 0
        self._open = False
        """Whether somebody may be waiting for an answer."""
        self._question: Question | None = None
        self._question_msg_id = ""
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._thread = threading.Thread(target=self._run, name="Stdin", daemon=True)

    def start(self) -> None:
        """Start the thread; the stdin socket is its own from here on."""
        self._thread.start()

    @property
    def cancelled(self) -> int:
        """How often questions were cancelled so far."""
        return self._cancelled

    def ask(self, question: Question, *, cancelled: int) -> None:
        """Send the question to its client; the answer goes to `on_answer`.

        `cancelled` is the value of that name when the guest asked: an interrupt since then has
        ended the question.
        """
        with self._lock:
            if cancelled != self._cancelled:
                return
            self._open = True
            self._orders.append(question)
        self._wake()

    def cancel(self) -> None:
        """Stop waiting; an answer that still comes is dropped."""
        with self._lock:
            self._cancelled += 1
            if not self._open:
                return
            self._open = False
            self._orders.append(None)
        self._wake()

    def close(self) -> None:
        """End the thread and wait for it; the socket stays open."""
        self._closing = True
        self._wake()
        if self._thread.is_alive():
            self._thread.join()
        self._wake_in.close()
        self._wake_out.close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: awake anyway; closed: nobody to wake
            self._wake_out.send(b"\0")

    def _run(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except zmq.ContextTerminated:
                return
            except Exception:
                self._log.exception("The stdin channel failed to handle a message")
                self._question = None

    def _turn(self) -> None:
        poller = zmq.Poller()
        poller.register(self._wake_in, zmq.POLLIN)
        if self._question is not None:
            poller.register(self._socket, zmq.POLLIN)
        ready = dict(poller.poll())
        if self._wake_in.fileno() in ready:
            self._follow_orders()
        if self._socket in ready and self._question is not None:
            self._read_reply(self._question)

    def _follow_orders(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self._wake_in.recv(4096):
                pass
        while self._orders and not self._closing:
            self._question = self._orders.popleft()
            if self._question is not None:
                self._send(self._question)

    def _send(self, question: Question) -> None:
        self._drop_stale_replies()
        content = {"prompt": question.prompt, "password": question.password}
        sent = self._session.send(
            self._socket,
            "input_request",
            content,
            parent=dict(question.parent),
            ident=list(question.ident),
        )
        self._question_msg_id = sent["header"]["msg_id"] if sent else ""

    def _drop_stale_replies(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                self._socket.recv_multipart(zmq.NOBLOCK)

    def _read_reply(self, question: Question) -> None:
        try:
            ident, reply = self._session.recv(self._socket)
        except ValueError as error:  # not a message, a bad signature or a duplicate
            self._log.warning("Ignored a message on the stdin channel: %s", error)
            return
        if ident is None or reply is None or not self._answers(question, ident, reply):
            return
        self._question = None
        self._on_answer(question.id, _answer(reply["content"]))

    def _answers(self, question: Question, ident: list[bytes], reply: dict[str, Any]) -> bool:
        """Whether it is the reply to this question: from the client asked, not to an older one."""
        if reply["header"].get("msg_type") != "input_reply" or ident[:1] != list(
            question.ident[:1]
        ):
            return False
        # jupyter_client's own clients leave the parent empty.
        asked = reply["parent_header"].get("msg_id")
        return not asked or asked == self._question_msg_id


def _answer(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the guest gets; an unreadable reply counts as an empty line, as in ipykernel."""
    value = content.get("value")
    if value == END_OF_INPUT:
        return {"status": "error", "ename": "EOFError", "evalue": ""}
    return {"status": "ok", "value": value if isinstance(value, str) else ""}
