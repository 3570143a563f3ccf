"""Makes a memory snapshot: a confined interpreter that runs nothing of the user and then ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from pyodide_kernel.bridge.life import BridgeConfig, Launch, Life
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import WorkerStartError

TIMEOUT_S: Final = 300.0
"""It takes some 6 s; at the lowest priority beside a busy machine much longer."""


async def make_snapshot(launch: Launch, boot: Mapping[str, Any]) -> bytes:
    """The bytes of a snapshot's file.

    Raises WorkerStartError if the interpreter ends without one.
    """
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def take(message: Message) -> None:
        if message.msg_type == "snapshot" and message.buffers and not received.done():
            received.set_result(bytes(message.buffers[0]))

    config = BridgeConfig(boot=boot, start_timeout_s=TIMEOUT_S, makes_snapshot=True)
    life = Life(launch=launch, config=config, on_message=take, on_ready=lambda _: None)
    running = asyncio.ensure_future(life.run())
    running.add_done_callback(lambda _: received.cancel())
    try:
        await asyncio.wait({received})
    finally:
        life.end("The snapshot was made.", requested=True)
        cause = await running
    if received.cancelled():
        raise WorkerStartError(f"no snapshot came of it: {cause}")
    return received.result()
