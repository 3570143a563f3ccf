"""Real Deno processes, without Pyodide, for tests of the bridge's end of them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.process import DenoProcess
from pyodide_kernel.bridge.protocol import Protocol, Role

PATIENCE_S = 30


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, and assert that it left no task behind."""

    async def watched() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())


class Received:
    """What the process says."""

    def __init__(self) -> None:
        self.protocol = Protocol(Role.HOST)
        self._messages: asyncio.Queue[Message] = asyncio.Queue()

    def __call__(self, data: bytes) -> None:
        for message in self.protocol.receive_data(data):
            self._messages.put_nowait(message)

    async def next(self, msg_type: str) -> Message:
        message = await self._messages.get()
        assert message.msg_type == msg_type
        return message


def entries(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def end(process: DenoProcess) -> str:
    process.kill()
    return await process.wait()


def playing(config: DenoCommand, program: str) -> DenoCommand:
    """A command whose Deno runs another program instead of the broker."""
    main = config.runtime / "js" / "main.ts"
    main.parent.mkdir()
    main.write_text(program, "utf-8")
    return replace(config, main=main)
