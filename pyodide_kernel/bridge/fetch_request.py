"""Requests that the worker wants sent: hostile input, checked part by part. Pure.

A URL is taken apart here and nowhere else: what is checked is what is connected to.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.network import read_host, show

MAX_URL_LENGTH: Final = 16 * 1024
MAX_HEADERS: Final = 256
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_BODY_BYTES: Final = 100 * 10**6

Kind = Literal[
    "malformed", "denied", "unreachable", "refused", "timeout", "broken", "busy", "cancelled"
]

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?",
    re.ASCII | re.IGNORECASE,
)
_AUTHORITY: Final = re.compile(r"(?P<host>\[[^\[\]@]*\]|[^\[\]@:]*)(?::(?P<port>[0-9]{0,5}))?")
_VISIBLE: Final = re.compile(r"[\x21-\x7e]*")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PORTS: Final = {"http": 80, "https": 443}

_REFUSED_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK"})

OUR_HEADERS: Final = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"),
        *("transfer-encoding", "upgrade", "proxy-authorization", "proxy-connection"),
    }
)
"""About the connection, which is the host's: what the worker says of these is left out."""


class FetchError(Exception):
    """A fetch that failed: of what kind, and why, as a sentence for the user."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """What to send, and where; every part checked."""

    method: str
    scheme: str
    host: str
    """A name or an address, as `network.read_host` gives it."""
    port: int
    target: str
    """Path and query, visible ASCII."""
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    timeout_s: float
    """How long the worker wants to wait for any one step; 0: as long as we would."""

    @property
    def place(self) -> str:
        """Host and port, as users write them."""
        return show(self.host, self.port)

    @property
    def host_header(self) -> str:
        """The host, and the port if the scheme does not say it."""
        return show(self.host, None if self.port == _PORTS[self.scheme] else self.port)

    @property
    def cost_bytes(self) -> int:
        """Roughly the memory that it takes."""
        return 16 * 1024 + len(self.target) + sum(map(_cost, self.headers)) + len(self.body)


def read_request(message: Message) -> FetchRequest:
    """The request in a `fetch_request`. Raises FetchError if any part of it can't be sent."""
    content = message.content
    parts = _read_url(content["url"])
    if len(message.buffers) > 1:
        raise FetchError("malformed", "a request has one body")
    body = bytes(message.buffers[0]) if message.buffers else b""
    if len(body) > MAX_BODY_BYTES:
        raise FetchError(
            "malformed", f"a request of {len(body):,} bytes is larger than {MAX_BODY_BYTES:,}"
        )
    method = _read_method(content["method"])
    return FetchRequest(
        method=method,
        headers=_read_headers(content["headers"], method, body),
        body=body,
        timeout_s=_read_timeout(content.get("timeout")),
        **parts,
    )


def _read_url(url: str) -> dict[str, Any]:
    shown = repr(url[:200])
    if len(url) > MAX_URL_LENGTH:
        raise FetchError("malformed", f"a URL of {len(url):,} characters: {shown}…")
    match = _URL.fullmatch(url)
    if match is None or not _VISIBLE.fullmatch(url):
        raise FetchError("malformed", f"{shown} is not a URL of http or https, in visible ASCII")
    if "@" in match["authority"]:
        raise FetchError(
            "malformed",
            f"the URL for {match['authority'].rpartition('@')[2]!r} has a user or a password in "
            "it, which belong into an Authorization header",
        )
    authority = _AUTHORITY.fullmatch(match["authority"])
    try:
        if authority is None:
            raise ValueError("the host can't be read")
        host = read_host(authority["host"])
        scheme = match["scheme"].lower()
        port = int(authority["port"] or _PORTS[scheme])
        if not 0 < port < 2**16:
            raise ValueError(f"there is no port {port}")
    except ValueError as error:
        raise FetchError("malformed", f"{shown} is not a URL: {error}") from None
    target = match["target"]
    return {
        "scheme": scheme,
        "host": host,
        "port": port,
        "target": target if target.startswith("/") else f"/{target}",
    }


def _read_method(method: str) -> str:
    if len(method) > 32 or not _TOKEN.fullmatch(method):
        raise FetchError("malformed", f"{method[:32]!r} is not a method")
    if method.upper() in _REFUSED_METHODS:
        raise FetchError("malformed", f"the method {method} is not sent")
    return method


def _read_headers(
    headers: Sequence[Any], method: str, body: bytes
) -> tuple[tuple[bytes, bytes], ...]:
    if len(headers) > MAX_HEADERS:
        raise FetchError("malformed", f"{len(headers)} headers, more than {MAX_HEADERS}")
    read: list[tuple[bytes, bytes]] = []
    for header in headers:
        name, value = _read_header(header)
        if name.lower() not in OUR_HEADERS:
            read.append((name.encode("ascii"), value.encode("latin-1")))
    if not any(name.lower() == b"user-agent" for name, _ in read):
        read.append((b"User-Agent", b"pyodide-kernel"))
    if body or method.upper() in ("POST", "PUT", "PATCH"):
        read.append((b"Content-Length", b"%d" % len(body)))
    if sum(map(_cost, read)) > MAX_HEADER_BYTES:
        raise FetchError("malformed", f"headers of more than {MAX_HEADER_BYTES:,} bytes")
    return tuple(read)


def _read_header(header: Any) -> tuple[str, str]:
    if (
        not isinstance(header, list)
        or len(header) != 2
        or not all(isinstance(part, str) for part in header)
    ):
        raise FetchError("malformed", "a header is a pair of texts")
    name, value = header
    if not _TOKEN.fullmatch(name):
        raise FetchError("malformed", f"{name[:80]!r} is not the name of a header")
    if not _VALUE.fullmatch(value):
        raise FetchError("malformed", f"the value of the header {name[:80]} can't be sent")
    return name, value.strip(" \t")


def _read_timeout(value: Any) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise FetchError("malformed", "a timeout is a number of seconds above 0")
    return float(value) if math.isfinite(value) else 0.0


def _cost(header: tuple[bytes, bytes]) -> int:
    return len(header[0]) + len(header[1]) + 4
