"""One Deno process and its pipe: connected, watched, ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from typing import IO, Final, Protocol

from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.spawn import Spawned, spawn
from pyodide_kernel.errors import WorkerStartError

_TAIL_BYTES: Final = 4096
_FATAL: Final = "Fatal "
_READ_BYTES: Final = 256 * 1024
_UNSENT_BYTES: Final = 4 * 1024 * 1024
_CONNECT_TIMEOUT_S: Final = 30.0
"""Deno connects in some 20 ms; a machine that needs longer than this is stuck, not slow."""

_EXIT_TIMEOUT_S: Final = 1.0
"""Time for Deno to print why it ends, and to end, after it has closed its pipe."""


class Pipe(Protocol):
    """One end of a running Deno process, or of something that plays its part in a test."""

    def write(self, chunks: list[bytes | memoryview]) -> None:
        """Queue bytes; never blocks."""

    def kill(self) -> None:
        """End the process at once and for good."""

    async def wait(self) -> str:
        """Wait until process and pipe are gone; what is known of the reason, for the user."""

    @property
    def pid(self) -> int | None:
        """Process id, if there is a process."""

    @property
    def layers(self) -> Mapping[str, str]:
        """What the operating system enforces: layers by name, `active…` or why not."""


DataCallback = Callable[[bytes], None]


class DenoProcess:
    """One Deno process and the socket to it. Made by `launch` and `connect`."""

    def __init__(self, spawned: Spawned) -> None:
        process = spawned.process
        self._process = process
        self._report = spawned.report
        self.layers: Mapping[str, str] = {}
        self._transport: asyncio.Transport | None = None
        self._closed = asyncio.Event()
        self._tail = bytearray()
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._watch_exit, name="deno-exit", daemon=True).start()
        self._drains = [
            asyncio.ensure_future(self._drain(stream))
            for stream in (process.stdout, process.stderr)
            if stream is not None
        ]

    def _watch_exit(self) -> None:
        """For a thread of its own: tell the loop of the end of the process."""
        loop = self._exit.get_loop()
        code = self._process.wait()
        with contextlib.suppress(RuntimeError):  # nobody waits for it any more
            loop.call_soon_threadsafe(self._note_exit, code)

    def _note_exit(self, code: int) -> None:
        if not self._exit.done():
            self._exit.set_result(code)

    async def _exited(self) -> int:
        return await asyncio.shield(self._exit)

    @property
    def pid(self) -> int | None:
        """Process id of Deno."""
        return self._process.pid

    def write(self, chunks: list[bytes | memoryview]) -> None:
        """Queue bytes for the broker; dropped once the pipe is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(chunks)

    def kill(self) -> None:
        """SIGKILL to the process, and the end of the pipe."""
        self._process.kill()
        if self._transport is not None:
            self._transport.abort()

    async def wait(self) -> str:
        """Wait for the pipe's end, make sure that the process ends too, and say how it ended."""
        await self._closed.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_EXIT_TIMEOUT_S):
                await self._exited()
        return await self.end()

    async def end(self) -> str:
        """Kill the process and wait until nothing of it is left. How it ended."""
        self._report.close()
        self.kill()
        code = await self._exited()
        await asyncio.gather(*self._drains, return_exceptions=True)
        return self._describe(code)

    def _describe(self, code: int) -> str:
        if code < 0:
            reason = f"Deno was ended by {_signal_name(-code)}"
        else:
            reason = f"Deno exited with code {code}"
        said = last_words(self._tail.decode("utf-8", "replace"))
        return f"{reason} (it said: {said})" if said else reason

    async def _drain(self, stream: IO[bytes]) -> None:
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), stream
        )
        try:
            while data := await reader.read(65536):
                self._tail += data
                del self._tail[:-_TAIL_BYTES]
        finally:
            transport.close()

    async def connect(self, listener: socket.socket, on_data: DataCallback) -> None:
        """Accept the one connection of this process. Raises WorkerStartError if it never comes."""
        loop = asyncio.get_running_loop()
        exited = asyncio.ensure_future(self._exited())
        accepting = asyncio.ensure_future(self._accept(listener))
        try:
            await asyncio.wait(
                {exited, accepting},
                timeout=_CONNECT_TIMEOUT_S,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not accepting.done():
                reason = f"Deno did not connect within {_CONNECT_TIMEOUT_S:g} s"
                if exited.done():
                    reason = await self.end()
                raise WorkerStartError(f"the sandbox did not start: {reason}")
            connection = accepting.result()
        finally:
            accepting.cancel()
            exited.cancel()
            await asyncio.wait({accepting, exited})
        self._transport, _ = await loop.connect_accepted_socket(
            lambda: _Connection(on_data, self._closed), connection
        )
        self._read_report()

    def _read_report(self) -> None:
        """Take the launcher's report; it is complete, since Deno runs by now."""
        with self._report:
            self.layers = json.load(self._report)

    async def _accept(self, listener: socket.socket) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            if self._is_ours(connection):
                connection.setblocking(False)
                return connection
            connection.close()

    def _is_ours(self, connection: socket.socket) -> bool:
        if not hasattr(socket, "SO_PEERCRED"):
            return True
        size = struct.calcsize("3i")
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        pid: int = struct.unpack("3i", credentials)[0]
        return pid == self._process.pid


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def last_words(text: str) -> str:
    """The line that says why a process ended: V8's, which a stack trace follows, or the last."""
    lines = [stripped for line in text.splitlines() if (stripped := line.strip("# \t"))]
    telling = [line for line in lines if line.startswith(_FATAL)] or lines[-1:]
    return telling[-1][:300] if telling else ""


class _Connection(asyncio.BufferedProtocol):
    """Hands the bytes of the socket on, and notes its end.

    While the other side does not take what it was sent, nothing more is read from it: code that
    asks and asks, and does not read the answers, would fill the memory of the host with them. The
    broker reads whether it can write or not, so neither waits for the other.
    """

    def __init__(self, on_data: DataCallback, closed: asyncio.Event) -> None:
        self._on_data = on_data
        self._closed = closed
        self._buffer = bytearray(_READ_BYTES)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_UNSENT_BYTES)

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._on_data(bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()


async def launch(config: DenoCommand, on_data: DataCallback) -> DenoProcess:
    """Start Deno, confined, and connect it. Raises WorkerStartError if it does not come up."""
    return await connect(spawn(config), on_data)


async def connect(spawned: Spawned, on_data: DataCallback) -> DenoProcess:
    """Wait until a process has connected. Raises WorkerStartError if it does not.

    Its socket is gone when this returns.
    """
    spawned.adopted = True
    with spawned.socket:
        try:
            process = DenoProcess(spawned)
        except BaseException:
            spawned.discard()
            raise
        try:
            await process.connect(spawned.listener, on_data)
        except BaseException:
            await process.end()
            raise
    return process
