"""Functions of `pyodide.http` that need a browser's XMLHttpRequest, through the host."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

from pyodide_kernel.guest.fetches import Fetches, Request, Response

MAX_REDIRECTS = 20
_REDIRECTS = (301, 302, 303, 307, 308)
_SECRETS = ("authorization", "cookie")
"""Headers that are for one origin only."""


def patch_pyodide_http(module: ModuleType, fetches: Fetches) -> None:
    """Give `open_url` and `pyxhr` the class that they look for."""

    class XMLHttpRequest(SyncRequest):
        @classmethod
        def new(cls) -> XMLHttpRequest:
            return cls(fetches)

    for owner in (module, module.pyxhr):
        vars(owner)["XMLHttpRequest"] = XMLHttpRequest
    # It imports both in one step, of which the first failed.
    vars(module.pyxhr).setdefault("JsException", sys.modules["pyodide.ffi"].JsException)


class SyncRequest:
    """A synchronous XMLHttpRequest, as far as Python uses one."""

    def __init__(self, fetches: Fetches) -> None:
        self._fetches = fetches
        self._method = self._url = ""
        self._headers: list[tuple[str, str]] = []
        self._response_headers: list[tuple[str, str]] = []
        self._data = b""
        self.responseType = ""
        self.responseURL = ""
        self.timeout = 0
        self.withCredentials = False
        self.status = 0
        self.statusText = ""

    def open(self, method: str, url: str, asynchronous: bool = False, *user: Any) -> None:
        """Say what is wanted."""
        if asynchronous or user:
            raise NotImplementedError("only synchronous requests, without a user, work here")
        self._method, self._url = method, url

    def setRequestHeader(self, name: str, value: str) -> None:  # as JavaScript has it
        """Add a header."""
        self._headers.append((name, value))

    def overrideMimeType(self, _type: str) -> None:  # as JavaScript has it
        """Text is UTF-8."""

    def send(self, body: Any = None) -> None:
        """Send it and wait. Raises OSError."""
        __tracebackhide__ = True
        data = body.encode() if isinstance(body, str) else bytes(body) if body is not None else b""
        method, url = self._method, self._url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._fetches.send(self._request(method, url, data))
            location = dict(_lower(response)).get("location")
            if response.code not in _REDIRECTS or location is None:
                return self._take(response, url)
            response.close()
            former, url = url, urljoin(url, location)
            if urlsplit(url)[:2] != urlsplit(former)[:2]:
                self._headers = [pair for pair in self._headers if pair[0].lower() not in _SECRETS]
            if _becomes_get(method, response.code):
                method, data = "GET", b""
        raise OSError(f"{self._url} redirects too often")

    def _request(self, method: str, url: str, data: bytes) -> Request:
        return Request(
            method=method,
            url=url,
            headers=self._headers,
            body=data,
            timeout_s=self.timeout / 1000 or None,
        )

    def _take(self, response: Response, url: str) -> None:
        __tracebackhide__ = True
        self.status, self.statusText, self.responseURL = response.code, response.reason, url
        self._response_headers = _lower(response)
        self._data = b"".join(iter(response.read, b""))

    @property
    def response(self) -> Any:
        """The body, as text unless bytes were asked for."""
        return self._data if self.responseType == "arraybuffer" else self.responseText

    @property
    def responseText(self) -> str:  # as JavaScript has it
        """The body as text."""
        return self._data.decode("utf-8", "replace")

    def getAllResponseHeaders(self) -> str:  # as JavaScript has it
        """A header a line."""
        return "".join(f"{name}: {value}\r\n" for name, value in self._response_headers)

    def getResponseHeader(self, name: str) -> str | None:  # as JavaScript has it
        """The value of one header."""
        return dict(self._response_headers).get(name.lower())


def _becomes_get(method: str, code: int) -> bool:
    return method != "HEAD" if code == 303 else code in (301, 302) and method == "POST"


def _lower(response: Response) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in response.headers]
