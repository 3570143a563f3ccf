"""Sends one request over one connection to an address that was checked.

The only importer of httpcore, and imported only when something is fetched. Nothing is kept from one
request to the next: no connections, no cookies. No credentials of the host are sent, except the
user's for a proxy, to that proxy.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore

from pyodide_kernel.bridge.certificates import make_context
from pyodide_kernel.bridge.fetch_request import FetchError, FetchRequest, Kind
from pyodide_kernel.bridge.http_head import HeadWatch, WatchedStream
from pyodide_kernel.bridge.names import Lookups, Resolve, own_addresses
from pyodide_kernel.network import Address, Network, closed_reason, read_address, show

CONNECT_S: Final = 30.0
IDLE_S: Final = 300.0
"""Time without a byte after which a server counts as gone, unless the worker wants to wait less."""

MAX_ADDRESSES: Final = 8
"""Of a name; each may take the time of a connection that nobody answers."""

MAX_PROXY_HEAD_BYTES: Final = 16 * 1024

_KINDS: Final[tuple[tuple[type[Exception], Kind], ...]] = (
    (httpcore.TimeoutException, "timeout"),
    (httpcore.ConnectError, "unreachable"),
    (httpcore.LocalProtocolError, "malformed"),
    (httpcore.NetworkError, "broken"),
    (httpcore.ProtocolError, "broken"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The head of an answer, and its body as it comes: encoded as the server sent it."""

    code: int
    reason: str
    headers: list[tuple[str, str]]
    body: AsyncIterator[bytes]


class Client:
    """Sends requests as far as the network's rule allows."""

    def __init__(self, network: Network, *, resolve: Resolve | None = None) -> None:
        self._network = network
        self._resolve = resolve or Lookups()
        self._context: ssl.SSLContext | None = None

    @asynccontextmanager
    async def send(self, request: FetchRequest) -> AsyncIterator[Response]:
        """Send a request; its answer, without following redirects. Raises FetchError."""
        wait = min(request.timeout_s or IDLE_S, IDLE_S)
        times = {"connect": min(wait, CONNECT_S), "read": wait, "write": wait, "pool": wait}
        if self._context is None and request.scheme == "https":
            self._context = make_context(os.environ)
        watch = HeadWatch(place=request.place, wait_s=wait)
        pool = httpcore.AsyncConnectionPool(
            ssl_context=self._context,
            max_keepalive_connections=0,
            network_backend=Connector(self._network, request, self._resolve, watch),
        )
        url = httpcore.URL(
            scheme=request.scheme.encode(),
            host=request.host.encode(),
            port=request.port,
            target=request.target.encode(),
        )
        headers = [
            (b"Host", request.host_header.encode()),
            *request.headers,
            (b"Connection", b"close"),
        ]
        with _errors(request):
            async with (
                pool,
                pool.stream(
                    request.method,
                    url,
                    headers=headers,
                    content=request.body or None,
                    extensions={"timeout": times},
                ) as answer,
            ):
                watch.came = True
                yield _response(answer)


def _response(answer: httpcore.Response) -> Response:
    reason = answer.extensions.get("reason_phrase", b"")
    return Response(
        code=answer.status,
        reason=reason.decode("latin-1"),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers
        ],
        body=answer.aiter_stream().__aiter__(),
    )


class _errors:
    """Gives what httpcore raises the kinds and sentences of ours."""

    def __init__(self, request: FetchRequest) -> None:
        self._place = request.place

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        kind = next((kind for base, kind in _KINDS if isinstance(error, base)), None)
        if error is None or kind is None:
            return
        cause = _system_error(error)
        text = (cause and cause.strerror) or str(error) or type(error).__name__
        if isinstance(cause, ConnectionRefusedError):
            kind, text = "refused", "the connection was refused"
        elif kind == "timeout":
            text = "no answer in time"
        raise FetchError(kind, f"{self._place}: {text}") from error


def _system_error(error: BaseException) -> OSError | None:
    """The error of the system behind an error of a library, the one that says most."""
    found: OSError | None = None
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            found = inner
        inner = inner.__cause__ or inner.__context__
    return found


class Connector(httpcore.AsyncNetworkBackend):
    """Connects to an address of the request's host that the rule allows, and to nothing else."""

    def __init__(
        self, network: Network, request: FetchRequest, resolve: Resolve, watch: HeadWatch
    ) -> None:
        self._network = network
        self._request = request
        self._resolve = resolve
        self._watch = watch
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection to the request's host; what httpcore says of it is not used."""
        return WatchedStream(await self._reach(timeout), self._watch)

    async def _reach(self, timeout_s: float | None) -> httpcore.AsyncNetworkStream:
        request = self._request
        proxy = proxy_of(request.scheme, request.host, request.port)
        try:
            addresses = await self._open_addresses()
        except OSError as error:
            if proxy is None or not self._network.names(request.host, request.port):
                raise FetchError(
                    "unreachable", f"{request.host} can't be resolved: {_words(error)}"
                ) from error
            # It is the proxy's to resolve, for a host that the user has named.
            return await self._tunnel(proxy, request.host, timeout_s)
        if proxy is not None and not any(map(closed_reason, addresses)):
            named = self._network.names(request.host, request.port)
            host = request.host if named else str(addresses[0])
            return await self._tunnel(proxy, host, timeout_s)
        return await self._connect(list(map(str, addresses)), request.port, timeout_s)

    async def _open_addresses(self) -> list[Address]:
        """The addresses that may be connected to. Raises FetchError if all are closed."""
        request, network = self._request, self._network
        literal = read_address(request.host)
        async with asyncio.timeout(CONNECT_S):
            addresses = [literal] if literal is not None else await self._resolve(request.host)
        if not addresses:
            raise OSError("it has no addresses")
        own = own_addresses()
        problems = [
            network.problem_of_address(request.host, request.port, address, own=address in own)
            for address in addresses
        ]
        if all(problems):
            raise FetchError("denied", f"code may not connect to {request.place}: {problems[0]}")
        return [
            address for address, problem in zip(addresses, problems, strict=True) if not problem
        ][:MAX_ADDRESSES]

    async def _connect(
        self, hosts: list[str], port: int, timeout_s: float | None
    ) -> httpcore.AsyncNetworkStream:
        for host in hosts[:-1]:
            try:
                return await self._sockets.connect_tcp(host, port, timeout_s)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue  # what the last one says is told
        return await self._sockets.connect_tcp(hosts[-1], port, timeout_s)

    async def _tunnel(
        self, proxy: str, host: str, timeout_s: float | None
    ) -> httpcore.AsyncNetworkStream:
        """A connection through a proxy: to the address that was checked, or a host named by it."""
        parts = urlsplit(proxy)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FetchError(
                "unreachable", f"a proxy of the form {parts.scheme}:// is not supported"
            )
        port = parts.port or (443 if parts.scheme == "https" else 80)
        place = show(host, self._request.port)
        stream = await self._sockets.connect_tcp(parts.hostname, port, timeout_s)
        try:
            if parts.scheme == "https":
                context = make_context(os.environ)
                stream = await stream.start_tls(context, parts.hostname, timeout_s)
            await stream.write(_connect_head(place, parts), timeout_s)
            status = await _proxy_status(stream, timeout_s)
            if not 200 <= status < 300:
                raise FetchError(
                    "unreachable",
                    f"the proxy {parts.hostname} does not connect to {place}: it answers {status}",
                )
        except BaseException:
            await stream.aclose()
            raise
        return stream


def _connect_head(place: str, proxy: SplitResult) -> bytes:
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    if proxy.username is not None:
        words = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(words.encode()).decode()}")
    return "\r\n".join([*lines, "", ""]).encode()


async def _proxy_status(stream: httpcore.AsyncNetworkStream, timeout_s: float | None) -> int:
    head = b""
    while b"\r\n\r\n" not in head:
        # Byte by byte at its end: what follows belongs to the connection behind the proxy.
        data = await stream.read(1, timeout_s)
        head += data
        if not data or len(head) > MAX_PROXY_HEAD_BYTES:
            raise FetchError("broken", "the proxy's answer is none of HTTP")
    words = head.split(b"\r\n", 1)[0].split()
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise FetchError("broken", "the proxy's answer is none of HTTP")
    return int(words[1][:3])


def proxy_of(scheme: str, host: str, port: int) -> str | None:
    """The proxy that the system's or the environment's settings name for a host, if any."""
    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if not proxy or proxy_bypass(show(host, port)) or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _words(error: OSError) -> str:
    return error.strerror or str(error) or "no answer in time"
