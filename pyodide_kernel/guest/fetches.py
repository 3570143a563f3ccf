"""What Python here fetches over HTTP: asked for from the host, blocking or awaited."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to fetch. Redirects are not followed, bodies not decoded."""

    method: str
    url: str
    headers: Iterable[tuple[str, str]] = ()
    body: bytes = b""
    timeout_s: float | None = None
    """For each step; None for as long as the host would wait."""

    def message(self, id: str) -> Message:
        """For the host."""
        content: dict[str, Any] = {
            "method": self.method,
            "url": self.url,
            "headers": [list(header) for header in self.headers],
        }
        if self.timeout_s is not None and self.timeout_s > 0:
            content["timeout"] = self.timeout_s
        buffers = (self.body,) if self.body else ()
        return Message(msg_type="fetch_request", id=id, content=content, buffers=buffers)


@dataclass(slots=True, kw_only=True)
class Response:
    """The head of an answer, and its body as it is read."""

    code: int
    reason: str
    headers: list[tuple[str, str]]
    _host: Host = field(repr=False)
    _id: str = field(repr=False)
    _open: bool = field(default=True, repr=False)

    def read(self) -> bytes:
        """The bytes that have come, at least one; b"" at the end. Raises OSError.

        Blocks; raises KeyboardInterrupt if interrupted.
        """
        __tracebackhide__ = True
        while self._open:
            if data := self._take(self._host.exchange(self._question())):
                return data
        return b""

    async def read_async(self) -> bytes:
        """The same without blocking."""
        __tracebackhide__ = True
        while self._open:
            if data := self._take(await self._host.exchange_async(self._question())):
                return data
        return b""

    def close(self) -> None:
        """Give the rest up."""
        if self._open:
            self._open = False
            self._host.emit(Message(msg_type="fetch_cancel", content={"fetch": self._id}))

    def _question(self) -> Message:
        content = {"fetch": self._id}
        return Message(msg_type="fetch_read", id=self._host.new_fetch_id(), content=content)

    def _take(self, answer: Message) -> bytes:
        __tracebackhide__ = True
        if answer.content["status"] != "ok":
            self._open = False
            raise error_of(answer.content)
        self._open = not answer.content["last"]
        return bytes(answer.buffers[0]) if answer.buffers else b""


class Fetches:
    """Sends requests through the host."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def send(self, request: Request) -> Response:
        """Send one and wait for the head of its answer. Raises OSError.

        Blocks; raises KeyboardInterrupt if interrupted.
        """
        __tracebackhide__ = True
        id = self._host.new_fetch_id()
        return self._response(id, self._host.exchange(request.message(id)))

    async def send_async(self, request: Request) -> Response:
        """The same without blocking."""
        __tracebackhide__ = True
        id = self._host.new_fetch_id()
        return self._response(id, await self._host.exchange_async(request.message(id)))

    def _response(self, id: str, answer: Message) -> Response:
        __tracebackhide__ = True
        content = answer.content
        if content["status"] != "ok":
            raise error_of(content)
        headers = [(name, value) for name, value in content["headers"]]
        code, reason = content["code"], content["reason"]
        return Response(code=code, reason=reason, headers=headers, _host=self._host, _id=id)


def error_of(content: Mapping[str, Any]) -> OSError:
    """The exception for an answer that says why there is none."""
    message = content["message"]
    match content["kind"]:
        case "denied":
            return PermissionError(errno.EACCES, message)
        case "refused":
            return ConnectionRefusedError(errno.ECONNREFUSED, message)
        case "timeout":
            return TimeoutError(errno.ETIMEDOUT, message)
        case "unreachable":
            return OSError(errno.EHOSTUNREACH, message)
        case "busy":
            return OSError(errno.ENOBUFS, message)
        case "malformed":
            return OSError(errno.EINVAL, message)
        case "cancelled":
            return ConnectionAbortedError(errno.ECONNABORTED, message)
        case _:
            return ConnectionResetError(errno.ECONNRESET, message)
