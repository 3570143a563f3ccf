"""A host without a pipe: keeps what the guest says, answers what it is told to."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pyodide_kernel.bridge.messages import MAX_MESSAGE_BYTES, Message, check_content, encode_body
from pyodide_kernel.guest.programs import Call, Ended


def _no_network(message: Message) -> Message:
    content = {"status": "error", "kind": "denied", "message": "no network"}
    return Message(msg_type="fetch_reply", parent_id=message.id, content=content)


Script = tuple[str, Mapping[str, Any]]
Bash = Callable[[str, Callable[[str, str], None], Callable[[Call], Ended]], tuple[int, bool]]


def _silent(_script: str, _write: Any, _program: Any) -> tuple[int, bool]:
    return 0, False


class FakeHost:
    """Implements `Host` for tests: a list, a queue of answers and a clock that stands still."""

    def __init__(self) -> None:
        self.message_limit = MAX_MESSAGE_BYTES
        self.messages: list[Message] = []
        self.answers: deque[Mapping[str, Any] | BaseException] = deque()
        self.scripts: list[Script] = []
        self.bash: Bash = _silent
        self.network: Callable[[Message], Message] = _no_network
        self.fetch_ids = itertools.count(1)
        self.sleeps: list[float] = []
        self.locks: list[tuple[int, int]] = []
        self.lock_results: deque[int] = deque()
        self.images: list[tuple[str, bool]] = []
        self.now = 1000.0
        self.dirty = 0
        self.loop = asyncio.new_event_loop()
        self.while_waiting: Callable[[], None] = lambda: None
        self.waiting: asyncio.Future[Any] | None = None

    def clear(self) -> None:
        self.messages.clear()
        self.answers.clear()
        self.sleeps.clear()
        self.scripts.clear()
        self.bash = _silent
        self.now += 100.0
        self.dirty = 0
        self.while_waiting = lambda: None

    def emit(self, message: Message) -> None:
        check_content(message.msg_type, message.content)
        encode_body(message)
        self.messages.append(message)

    def ask(self, msg_type: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        self.emit(Message(msg_type=msg_type, id="question", content=content))
        answer = self.answers.popleft()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def new_fetch_id(self) -> str:
        return f"fetch-{next(self.fetch_ids)}"

    def exchange(self, message: Message) -> Message:
        check_content(message.msg_type, message.content)
        encode_body(message)
        return self.network(message)

    async def exchange_async(self, message: Message) -> Message:
        await asyncio.sleep(0)
        return self.exchange(message)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def run_sync(self, awaitable: Awaitable[Any]) -> Any:
        async def wait() -> Any:
            self.waiting = asyncio.ensure_future(awaitable)
            self.loop.call_soon(self.while_waiting)
            return await self.waiting

        return self.loop.run_until_complete(wait())

    def run_tasks(self) -> None:
        """Let the tasks that cells left behind run on."""
        self.loop.run_until_complete(asyncio.sleep(0.001))

    async def run_bash(
        self,
        script: str,
        place: Mapping[str, Any],
        write: Callable[[str, str], None],
        program: Callable[[Call], Ended],
    ) -> tuple[int, bool]:
        self.scripts.append((script, place))
        await asyncio.sleep(0)
        return self.bash(script, write, program)

    def mark_dirty(self) -> None:
        self.dirty += 1

    def lock(self, descriptor: int, operation: int) -> int:
        self.locks.append((descriptor, operation))
        return self.lock_results.popleft() if self.lock_results else 0

    def mount_image(self, folder: str, library: bool) -> None:
        self.images.append((folder, library))

    def unmount_image(self, folder: str) -> None:
        self.images = [image for image in self.images if image[0] != folder]

    def monotonic(self) -> float:
        return self.now

    def texts(self, name: str = "stdout") -> list[str]:
        """What each message of a stream holds."""
        return [
            message.content["text"]
            for message in self.messages
            if message.msg_type == "stream" and message.content["name"] == name
        ]
