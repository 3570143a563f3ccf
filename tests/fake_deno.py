"""A Deno process that is none: a pipe in memory, whose other end follows a script.

The bridge is given a `FakeLaunch` for its `launch`. Each life that it starts gets a `FakeDeno` and
the next script; the last script serves all further lives. A script is a coroutine function that
speaks through the FakeDeno with the protocol in its other role, in the bridge's own loop:

    async def answers_one(deno: FakeDeno) -> None:
        await deno.get_ready()
        request = await deno.hear("execute_request")
        deno.say("stream", {"name": "stdout", "text": "2"}, parent_id=request.id)
        deno.reply(request)

When a script returns, the process goes on and says nothing more, until somebody ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from pyodide_kernel.bridge.messages import MESSAGE_TYPES, PROTOCOL_VERSION, Message
from pyodide_kernel.bridge.protocol import Protocol, Role

OK: Mapping[str, Any] = {"status": "ok", "execution_count": 1, "comms": {}}
"""Content of any reply."""


class Gate:
    """Lets a script wait for the test, whose thread is another one, or the test for the script."""

    def __init__(self) -> None:
        self._future: Future[None] = Future()

    @property
    def is_open(self) -> bool:
        """Whether nobody waits any more."""
        return self._future.done()

    def open(self) -> None:
        """Let who waits go on."""
        self._future.set_result(None)

    def wait(self, timeout_s: float) -> None:
        """Wait in a thread until the gate is open."""
        self._future.result(timeout_s)

    async def opened(self) -> None:
        """Wait in a coroutine until the gate is open."""
        await asyncio.shield(asyncio.wrap_future(self._future))


class FakeDeno:
    """Broker, worker and guest in one. Implements `bridge.process.Pipe`."""

    def __init__(self, on_data: Callable[[bytes], None]) -> None:
        self._on_data = on_data
        self._loop = asyncio.get_running_loop()
        self._protocol = Protocol(Role.DENO)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._end: asyncio.Future[str] = self._loop.create_future()
        self._script: asyncio.Task[None] | None = None
        self._pings: asyncio.Queue[Message] = asyncio.Queue()
        self.layers: Mapping[str, str] = {}
        self.answers_pings = True
        self.heard: list[str] = []
        """Types of what was written to it, but for pings."""
        self.failure: BaseException | None = None
        """What went wrong in the script."""

    # What the bridge calls

    def write(self, chunks: list[bytes | memoryview]) -> None:
        """Take the bytes; dropped once the process has ended."""
        if self._end.done():
            return
        for message in self._protocol.receive_data(b"".join(chunks)):
            self._receive(message)

    def kill(self) -> None:
        """End; what was said and is not delivered is lost."""
        self._finish("it was killed")

    async def wait(self) -> str:
        """Wait for the end; its reason."""
        reason = await self._end
        if self._script is not None:
            self._script.cancel()
            await asyncio.wait([self._script])
        return reason

    @property
    def pid(self) -> int | None:
        """None, as there is no process."""
        return None

    # What the script calls

    async def get_ready(self, *, execution_count: int = 1) -> Message:
        """Say hello and, after boot, that the guest is ready; the boot message."""
        self.hello()
        boot = await self.hear("boot")
        self.say("ready", {"execution_count": execution_count})
        return boot

    def hello(self, version: int = PROTOCOL_VERSION) -> None:
        """Say the first word."""
        self.say("hello", {"protocol_version": version})

    async def hear(self, msg_type: str) -> Message:
        """The next message of the host, which must be of this type."""
        message = await self._inbox.get()
        assert message.msg_type == msg_type, f"{message.msg_type} instead of {msg_type}"
        return message

    async def hear_pings(self, count: int) -> None:
        """Wait until the bridge has asked so many times whether somebody is there."""
        for _ in range(count):
            await self._pings.get()

    def say(
        self,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        id: str = "",
        parent_id: str = "",
        buffers: Sequence[bytes] = (),
    ) -> None:
        """Send a message."""
        message = Message(
            msg_type=msg_type, id=id, parent_id=parent_id, content=content or {}, buffers=buffers
        )
        self.say_bytes(b"".join(self._protocol.send(message)))

    def reply(self, request: Message, **content: Any) -> None:
        """Answer a request."""
        reply = MESSAGE_TYPES[request.msg_type].reply
        assert reply is not None
        self.say(reply, {**OK, **content}, parent_id=request.id)

    def say_bytes(self, data: bytes) -> None:
        """Send anything, right or wrong. It arrives later, as from a socket."""
        self._loop.call_soon(self._deliver, data)

    def end(self, reason: str) -> None:
        """End by itself, after what was said has arrived."""
        self._loop.call_soon(self._finish, reason)

    def follow(self, script: Callable[[FakeDeno], Awaitable[None]]) -> None:
        """Run the script. An error in it ends the process and is kept in `failure`."""

        async def run() -> None:
            try:
                await script(self)
            except Exception as error:
                self.failure = error
                self._finish(f"its script failed: {error}")

        self._script = asyncio.ensure_future(run())

    def _receive(self, message: Message) -> None:
        if message.msg_type != "ping":
            self.heard.append(message.msg_type)
            self._inbox.put_nowait(message)
            return
        self._pings.put_nowait(message)
        if self.answers_pings:
            self.say("pong", parent_id=message.id)

    def _deliver(self, data: bytes) -> None:
        if not self._end.done():
            self._on_data(data)

    def _finish(self, reason: str) -> None:
        if not self._end.done():
            self._end.set_result(reason)


Script = Callable[[FakeDeno], Awaitable[None]]


class FakeLaunch:
    """Launches FakeDenos that follow the scripts given."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = scripts
        self.launched: list[FakeDeno] = []

    async def __call__(self, on_data: Callable[[bytes], None]) -> FakeDeno:
        """Launch the next one."""
        deno = FakeDeno(on_data)
        script = self._scripts[min(len(self.launched), len(self._scripts) - 1)]
        self.launched.append(deno)
        deno.follow(script)
        return deno

    def check(self) -> None:
        """Raise what went wrong in a script, if anything did."""
        for deno in self.launched:
            if deno.failure is not None:
                raise deno.failure
