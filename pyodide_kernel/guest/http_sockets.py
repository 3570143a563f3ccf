"""`http.client`, and with it `urllib.request` and all that is built on them, through the host.

A connection gets a socket that is none: what is written to it is read as one request, what is read
from it is the answer, in the form of HTTP/1.1.
"""

from __future__ import annotations

import errno
import io
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any

from pyodide_kernel.guest.fetches import Fetches, Request, Response

_ABOUT_THE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "trailer", "upgrade")
_HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{1,15}")


class FetchSocket:
    """What `http.client` needs of a socket to one host."""

    def __init__(self, fetches: Fetches, origin: str, timeout_s: float | None) -> None:
        """`origin` is scheme, host and port, as a URL begins."""
        self._fetches = fetches
        self._origin = origin
        self._timeout_s = timeout_s
        self._written = bytearray()
        self._head: Head | None = None
        self._answer: io.RawIOBase | None = None

    def sendall(self, data: bytes | bytearray | memoryview, _flags: int = 0) -> None:
        """Take a part of a request; with the last one it is sent.

        Raises OSError if there is no connection; what comes later is told to who reads the answer.
        """
        __tracebackhide__ = True
        self._written += data
        if self._head is None:
            self._head = take_head(self._written, self._origin)
        if self._head is None:
            return
        body = take_body(self._written, self._head.length)
        if body is not None:
            request, self._head = self._head.request(body, self._timeout_s), None
            try:
                self._answer = _Answer(self._fetches.send(request))
            except (TimeoutError, ConnectionResetError) as error:
                self._answer = _Failure(error)

    def makefile(self, _mode: str = "rb", *_args: Any, **_options: Any) -> io.BufferedReader:
        """The answer to the request that was written."""
        answer, self._answer = self._answer, None
        return io.BufferedReader(answer or _Failure(_not_http()), 64 * 1024)

    def settimeout(self, timeout_s: float | None) -> None:
        """For what is sent from now on."""
        self._timeout_s = timeout_s

    def gettimeout(self) -> float | None:
        """Seconds for each step."""
        return self._timeout_s

    def setsockopt(self, *_option: Any) -> None:
        """There is nothing to set."""

    def shutdown(self, _how: int) -> None:
        """Nothing is open between two requests."""

    def close(self) -> None:
        """The answer is read on through the file of it, as with a real socket."""

    def fileno(self) -> int:
        """There is no descriptor that could be waited for."""
        raise io.UnsupportedOperation("a connection through the host has no descriptor")


class _Answer(io.RawIOBase):
    """An answer as the bytes that a server sends."""

    def __init__(self, response: Response) -> None:
        self._response = response
        self._rest = memoryview(_head(response))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as there is something; 0 at the end."""
        __tracebackhide__ = True
        if not self._rest:
            self._rest = memoryview(self._response.read())
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        """Give up what was not read."""
        if not self.closed:
            self._response.close()
        super().close()


class _Failure(io.RawIOBase):
    """Where there should be an answer. `http.client` can't take an exception before it reads."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> int:
        """Say what went wrong."""
        __tracebackhide__ = True
        raise self._error


def _head(response: Response) -> bytes:
    names = {name.lower() for name, _ in response.headers}
    left_out = {*_ABOUT_THE_CONNECTION}
    if "transfer-encoding" in names:  # what a length beside it says is wrong
        left_out.add("content-length")
    lines = [f"HTTP/1.1 {response.code} {response.reason}"]
    lines += [
        f"{name}: {value}" for name, value in response.headers if name.lower() not in left_out
    ]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What of a request comes before its body."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    length: int | None
    """Bytes of the body; None if it comes in chunks."""

    def request(self, body: bytes, timeout_s: float | None) -> Request:
        """The whole request."""
        return Request(
            method=self.method,
            url=self.url,
            headers=self.headers,
            body=body,
            timeout_s=timeout_s,
        )


def take_head(written: bytearray, origin: str) -> Head | None:
    """The head of the request that is being written, taken away; None if it is not complete.

    Raises OSError if it is none.
    """
    size = written.find(b"\r\n\r\n")
    if size < 0:
        return None
    first, *lines = written[:size].decode("latin-1").split("\r\n")
    del written[: size + 4]
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise _not_http()
    method, target, _ = words
    pairs = [line.partition(":") for line in lines]
    headers = [(name, value.strip()) for name, _, value in pairs]
    values = {name.lower(): value for name, value in headers}
    length = values.get("content-length", "0")
    if not length.isdecimal():
        raise _not_http()
    return Head(
        method=method,
        # The other form, a whole URL, is what a proxy would be told.
        url=origin + target if target.startswith("/") else target,
        headers=headers,
        length=None if "transfer-encoding" in values else int(length),
    )


def take_body(written: bytearray, length: int | None) -> bytes | None:
    """The body that is being written, taken away; None if it is not complete."""
    if length is not None:
        if len(written) < length:
            return None
        body = bytes(written[:length])
        written.clear()
        return body
    if not written.endswith(b"0\r\n\r\n"):
        return None
    chunks = _read_chunks(bytes(written))
    if chunks is not None:
        written.clear()
    return chunks


def _read_chunks(data: bytes) -> bytes | None:
    body = bytearray()
    at = 0
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = data[at:end].partition(b";")[0].strip()
        if not _HEXADECIMAL.fullmatch(size):
            raise _not_http()
        length = int(size, 16)
        at = end + 2
        if not length:
            # Of more than this chunk the data may have ended like the last one by chance.
            return bytes(body) if data[at:] == b"\r\n" else None
        if len(data) < at + length + 2:
            return None
        body += data[at : at + length]
        at += length + 2


def _not_http() -> OSError:
    return OSError(errno.EINVAL, "only HTTP can be spoken here, one request at a time")


def patch_http_client(
    module: ModuleType, fetches: Fetches, set_: Callable[[Any, str, Any], None]
) -> None:
    """Let every connection of `http.client` be one to the host.

    Certificates are checked there, so what is a context of TLS here is an empty shell: the `ssl`
    module has none to give.
    """

    def connect(self: Any) -> None:
        host, port = self._tunnel_host or self.host, self._tunnel_port or self.port
        scheme = "https" if isinstance(self, module.HTTPSConnection) else "http"
        shown = f"[{host}]" if ":" in host and not host.startswith("[") else _ascii(host)
        timeout_s = self.timeout
        if timeout_s is socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]  # its sentinel
            timeout_s = socket.getdefaulttimeout()
        self.sock = FetchSocket(fetches, f"{scheme}://{shown}:{port}", timeout_s)

    def context(*_version: Any) -> Any:
        return SimpleNamespace(check_hostname=True, verify_mode=None, post_handshake_auth=None)

    set_(module.HTTPConnection, "connect", connect)
    set_(module.HTTPSConnection, "connect", connect)
    set_(module, "_create_https_context", context)


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()
