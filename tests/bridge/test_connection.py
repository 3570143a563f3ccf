"""The host's end of the socket, between what it is sent and what it sends."""

from __future__ import annotations

import asyncio
import socket

from pyodide_kernel.bridge import process

PATIENCE_S = 30.0


def test_nothing_is_read_from_who_does_not_take_what_it_asked_for() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        transport, _ = await loop.connect_accepted_socket(
            lambda: process._Connection(heard.put_nowait, asyncio.Event()), ours
        )
        async with asyncio.timeout(PATIENCE_S):
            await loop.sock_sendall(theirs, b"first")
            assert await heard.get() == b"first"
            size = 4 * process._UNSENT_BYTES
            transport.write(bytes(size))
            await loop.sock_sendall(theirs, b"second")
            # The bytes are there, and each turn of the loop looks for such.
            for _ in range(10):
                await asyncio.sleep(0)
            assert heard.empty()
            while size:
                size -= len(await loop.sock_recv(theirs, size))
            assert await heard.get() == b"second"
        transport.close()
        theirs.close()

    asyncio.run(work())
