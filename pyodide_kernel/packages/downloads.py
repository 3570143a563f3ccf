"""Fetch what is allowed: bounded in size and time, verified, repeated when that may help.

The HTTP library is imported at the first download. It honours the proxy variables, the certificate
variables and netrc; none of that leaves the host.
"""

from __future__ import annotations

import hashlib
import logging
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from urllib.parse import urljoin

from pyodide_kernel.bridge.certificates import make_context
from pyodide_kernel.errors import NotThereError, PackageError, UnreachableError
from pyodide_kernel.packages.jobs import Interrupted
from pyodide_kernel.packages.origins import Origin, check_redirect, origin, redacted

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

MAX_WHEEL_BYTES: Final = 500_000_000
MAX_PAGE_BYTES: Final = 64_000_000
MAX_REDIRECTS: Final = 5
CONNECT_TIMEOUT_S: Final = 10.0
READ_TIMEOUT_S: Final = 20.0
TOTAL_TIMEOUT_S: Final = 900.0
BACK_OFF_S: Final = (0.5, 1.5)
"""Waits before a second and a third attempt."""

_BUSY: Final = (408, 425, 429, 500, 502, 503, 504)
_CHUNK: Final = 256 * 1024

Progress = Callable[[int], None]
"""Told the bytes that have arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back beside the content."""

    url: str
    """After redirects."""
    content_type: str
    sha256: str


class _Passing(Exception):  # never leaves this module
    """A failure that another attempt may not meet."""


class Downloads:
    """Fetches from configured servers. Safe in many threads."""

    def __init__(
        self,
        *,
        origins: Iterable[Origin] = (),
        offline: bool = False,
        certificates: Path | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        back_off_s: tuple[float, ...] = BACK_OFF_S,
    ) -> None:
        self._origins = frozenset(origins)
        self.offline = offline
        self._certificates = certificates
        self._read_timeout_s = read_timeout_s
        self._total_timeout_s = total_timeout_s
        self._back_off_s = back_off_s
        self._client: httpx.Client | None = None
        self._lock = threading.Lock()

    def fetch(
        self,
        url: str,
        target: BinaryIO,
        *,
        limit_bytes: int,
        accept: str = "*/*",
        sha256: str | None = None,
        cancelled: threading.Event | None = None,
        progress: Progress = lambda _: None,
    ) -> Answer:
        """Write what is at a URL into a file.

        Raises PackageError if it can't be had or is not what its digest says, Interrupted once
        `cancelled` is set.
        """
        if self.offline:
            raise UnreachableError(f"{redacted(url)} is not in the cache, and --offline is set")
        cancelled = cancelled or threading.Event()
        for delay in (*self._back_off_s, None):
            if cancelled.is_set():
                raise Interrupted
            target.seek(0)
            target.truncate()
            try:
                answer = self._attempt(url, target, limit_bytes, accept, cancelled, progress)
            except _Passing as error:
                if delay is None:
                    raise UnreachableError(f"{redacted(url)} can't be fetched: {error}") from error
                log.info("Trying %s again: %s", redacted(url), error)
                cancelled.wait(delay)
                continue
            if sha256 is not None and answer.sha256 != sha256:
                raise PackageError(
                    f"{redacted(url)} has SHA-256 {answer.sha256}, but {sha256} is what it should "
                    "have; it is not used"
                )
            return answer
        raise AssertionError("unreachable")

    def _attempt(
        self,
        url: str,
        target: BinaryIO,
        limit_bytes: int,
        accept: str,
        cancelled: threading.Event,
        progress: Progress,
    ) -> Answer:
        import httpx

        deadline = time.monotonic() + self._total_timeout_s
        here = url
        try:
            for _ in range(MAX_REDIRECTS + 1):
                origin(here)
                with self._http().stream("GET", here, headers={"Accept": accept}) as response:
                    if response.has_redirect_location:
                        there = _joined(here, response.headers["location"])
                        check_redirect(there, asked=here, origins=self._origins)
                        here = there
                        continue
                    self._check_status(response.status_code, here)
                    digest = self._receive(
                        response, target, limit_bytes, deadline, cancelled, progress
                    )
                    return Answer(
                        url=here,
                        content_type=response.headers.get("content-type", ""),
                        sha256=digest,
                    )
        except httpx.InvalidURL as error:
            raise PackageError(f"{redacted(url)} is not a URL") from error
        except httpx.HTTPError as error:
            raise _Passing(str(error) or type(error).__name__) from error
        raise PackageError(f"{redacted(url)} redirects more than {MAX_REDIRECTS} times")

    def _receive(
        self,
        response: httpx.Response,
        target: BinaryIO,
        limit_bytes: int,
        deadline: float,
        cancelled: threading.Event,
        progress: Progress,
    ) -> str:
        shown = redacted(str(response.url))
        announced = response.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit_bytes:
            raise PackageError(f"{shown} has {int(announced[:20]):,} bytes, over {limit_bytes:,}")
        digest = hashlib.sha256()
        size = 0
        for chunk in response.iter_bytes(_CHUNK):
            if cancelled.is_set():
                raise Interrupted
            size += len(chunk)
            if size > limit_bytes:
                raise PackageError(f"{shown} has more than {limit_bytes:,} bytes")
            if time.monotonic() > deadline:
                raise PackageError(f"{shown} took more than {self._total_timeout_s:g} s")
            target.write(chunk)
            digest.update(chunk)
            progress(size)
        return digest.hexdigest()

    def _check_status(self, status: int, url: str) -> None:
        if status in _BUSY:
            raise _Passing(f"the server answered {status}")
        if status in (401, 403):
            raise PackageError(
                f"{redacted(url)} is not for us (the server answered {status}); credentials belong "
                "into the URL of --index-url or into netrc"
            )
        if status != 200:
            raise NotThereError(f"{redacted(url)} can't be fetched: the server answered {status}")

    def _http(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._client is None:
                self._client = httpx.Client(
                    verify=self._context(),
                    follow_redirects=False,
                    timeout=httpx.Timeout(self._read_timeout_s, connect=CONNECT_TIMEOUT_S),
                    auth=_netrc(),
                    headers={"User-Agent": "pyodide-kernel"},
                )
            return self._client

    def _context(self) -> ssl.SSLContext:
        if self._certificates is not None:
            return ssl.create_default_context(cafile=str(self._certificates))
        return make_context(os.environ, also=("PIP_CERT",))

    def close(self) -> None:
        """Close connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None


def _joined(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise PackageError(f"{redacted(url)} redirects to what is no URL") from None


def _netrc() -> httpx.NetRCAuth | None:
    import netrc

    import httpx

    try:
        return httpx.NetRCAuth(os.environ.get("NETRC"))
    except (OSError, netrc.NetrcParseError):
        return None
