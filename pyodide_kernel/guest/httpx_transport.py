"""`httpx` through the host: its transports, which would open sockets, are replaced.

The errors are httpx's own, and OSErrors too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from pyodide_kernel.guest.fetches import Fetches, Request, Response


def patch_httpx(
    module: ModuleType, fetches: Fetches, set_: Callable[[Any, str, Any], None]
) -> None:
    """Replace what the transports in a module of `httpx` do; the options are the host's."""

    def init(self: Any, *_args: Any, **_options: Any) -> None:
        """Take the options of a transport, of which none is for the worker."""

    def handle_request(_self: Any, request: Any) -> Any:
        __tracebackhide__ = True
        body = b"".join(request.stream)
        try:
            response = fetches.send(_wanted(request, body))
        except OSError as error:
            raise _error(error, request) from None
        return _answer(response, _SyncBody(response, request))

    async def handle_async_request(_self: Any, request: Any) -> Any:
        __tracebackhide__ = True
        body = b"".join([part async for part in request.stream])
        try:
            response = await fetches.send_async(_wanted(request, body))
        except OSError as error:
            raise _error(error, request) from None
        return _answer(response, _AsyncBody(response, request))

    def enter(self: Any) -> Any:
        return self

    def leave(_self: Any, *_error: Any) -> None:
        """Nothing is open between two requests."""

    async def enter_async(self: Any) -> Any:
        return self

    async def leave_async(_self: Any, *_error: Any) -> None:
        """Nothing is open between two requests."""

    for name, value in {
        "__init__": init,
        "handle_request": handle_request,
        "__enter__": enter,
        "__exit__": leave,
        "close": leave,
    }.items():
        set_(_either(module, "HTTPTransport", "JavascriptFetchTransport"), name, value)
    for name, value in {
        "__init__": init,
        "handle_async_request": handle_async_request,
        "__aenter__": enter_async,
        "__aexit__": leave_async,
        "aclose": leave_async,
    }.items():
        set_(_either(module, "AsyncHTTPTransport", "AsyncJavascriptFetchTransport"), name, value)


def _either(module: ModuleType, *names: str) -> Any:
    return next(vars(module)[name] for name in names if name in vars(module))


def _wanted(request: Any, body: bytes) -> Request:
    timeout = request.extensions.get("timeout", {})
    return Request(
        method=request.method,
        url=str(request.url),
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw
        ],
        body=body,
        timeout_s=timeout.get("read"),
    )


def _answer(response: Response, stream: Any) -> Any:
    import httpx

    class Stream(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            return iter(stream)

        def __aiter__(self) -> AsyncIterator[bytes]:
            found: AsyncIterator[bytes] = stream.__aiter__()
            return found

        def close(self) -> None:
            response.close()

        async def aclose(self) -> None:
            response.close()

    return httpx.Response(
        response.code,
        headers=response.headers,
        stream=Stream(),
        extensions={
            "reason_phrase": response.reason.encode("latin-1"),
            "http_version": b"HTTP/1.1",
        },
    )


class _SyncBody:
    def __init__(self, response: Response, request: Any) -> None:
        self._response, self._request = response, request

    def __iter__(self) -> Iterator[bytes]:
        __tracebackhide__ = True
        try:
            while data := self._response.read():
                yield data
        except OSError as error:
            raise _error(error, self._request) from None


class _AsyncBody:
    def __init__(self, response: Response, request: Any) -> None:
        self._response, self._request = response, request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        __tracebackhide__ = True
        try:
            while data := await self._response.read_async():
                yield data
        except OSError as error:
            raise _error(error, self._request) from None


def _error(error: OSError, request: Any) -> Exception:
    """An error of httpx that is also one of the system."""
    import httpx

    kind: type[Exception]
    if isinstance(error, TimeoutError):
        kind = httpx.ReadTimeout
    elif isinstance(error, ConnectionResetError | ConnectionAbortedError):
        kind = httpx.ReadError
    else:
        kind = httpx.ConnectError
    both = type(kind.__name__, (kind, type(error)), {"__str__": lambda _self: str(error)})
    made: Exception = both(str(error), request=request)
    return made
