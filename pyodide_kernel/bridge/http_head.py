"""A connection on which an answer has to begin: within a time, and within so many bytes.

httpcore waits for each piece of an answer anew, and skips provisional answers (100 to 199) however
many come. So a server could keep a request for ever with a byte now and then, or keep us busy.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final

import httpcore

from pyodide_kernel.bridge.fetch_request import FetchError

MAX_HEAD_BYTES: Final = 256 * 1024
"""Some provisional answers, one head, of which httpcore takes 100 kB, and what came with it."""


@dataclass(slots=True, kw_only=True)
class HeadWatch:
    """What is known of an answer that has not begun."""

    place: str
    wait_s: float
    """Time from the end of the request to the end of the head."""
    came: bool = False
    """Whether it has begun, so that this watch is over."""
    read_bytes: int = 0
    until: float | None = None

    def time_left(self, timeout_s: float | None) -> float | None:
        """How long the next read may take."""
        if self.came:
            return timeout_s
        now = asyncio.get_running_loop().time()
        if self.until is None:
            self.until = now + self.wait_s
        left = max(0.001, self.until - now)
        return left if timeout_s is None else min(left, timeout_s)

    def count(self, size: int) -> None:
        """Note what came. Raises FetchError if it is too much."""
        self.read_bytes += size
        if not self.came and self.read_bytes > MAX_HEAD_BYTES:
            raise FetchError(
                "broken", f"{self.place}: {MAX_HEAD_BYTES:,} bytes came, and no answer among them"
            )


class WatchedStream(httpcore.AsyncNetworkStream):
    """Another stream, watched."""

    def __init__(self, stream: httpcore.AsyncNetworkStream, watch: HeadWatch) -> None:
        self._stream = stream
        self._watch = watch

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
    ) -> bytes:
        """What comes next."""
        data = await self._stream.read(max_bytes, self._watch.time_left(timeout))
        self._watch.count(len(data))
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
    ) -> None:
        """Send a part of the request; the time for its answer begins after the last."""
        self._watch.until = None
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109  # httpcore's
    ) -> httpcore.AsyncNetworkStream:
        """The same stream in TLS."""
        stream = await self._stream.start_tls(ssl_context, server_hostname, timeout)
        return WatchedStream(stream, self._watch)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._stream.get_extra_info(info)
