"""A Deno process that is none: the other end of the pipe, played in the bridge's own loop.

A cell is Python that speaks as the guest would, with the names of `_Cell` in scope and `await` at
its top level. What it does not catch becomes an error of the cell.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyodide_kernel.bridge.messages import COMM_TYPES, PROTOCOL_VERSION, Message
from pyodide_kernel.bridge.protocol import Protocol, Role

Content = Mapping[str, Any]


class FakeWorker:
    """Broker, worker and guest in one; satisfies the bridge's Pipe."""

    def __init__(self, on_data: Callable[[bytes], None], *, boots: bool = True) -> None:
        self._on_data = on_data
        self._boots = boots
        self._protocol = Protocol(Role.DENO)
        self._ended = asyncio.Event()
        self._requests: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: dict[str, asyncio.Future[Content]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._cell: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.memory: dict[str, Any] = {}
        """Lives as long as this interpreter does, like the variables of a guest."""
        self.count = 1
        self.comms: asyncio.Queue[Message] = asyncio.Queue()
        self.pid: int | None = None
        self.layers: Mapping[str, str] = {}
        self.spawn(self._serve())
        self._loop.call_soon(self.send, "hello", {"protocol_version": PROTOCOL_VERSION})

    def send(
        self,
        msg_type: str,
        content: Content,
        *,
        id: str = "",
        parent_id: str = "",
        metadata: Content | None = None,
        buffers: Sequence[bytes] = (),
    ) -> None:
        """Put a message on the pipe."""
        message = Message(
            msg_type=msg_type,
            id=id,
            parent_id=parent_id,
            content=content,
            metadata=metadata or {},
            buffers=buffers,
        )
        self.send_bytes(b"".join(self._protocol.send(message)))

    def send_bytes(self, data: bytes) -> None:
        """Put anything on the pipe."""
        if not self._ended.is_set():
            self._on_data(data)

    def spawn(self, coroutine: Any) -> None:
        """Run something beside the cells."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # What the bridge calls

    def write(self, chunks: list[bytes | memoryview]) -> None:
        for message in self._protocol.receive_data(b"".join(chunks)):
            self._receive(message)

    def kill(self) -> None:
        self._ended.set()

    async def wait(self) -> str:
        await self._ended.wait()
        for task in [*self._tasks, *([self._cell] if self._cell else [])]:
            task.cancel()
        return "the fake worker was ended"

    # The guest

    def _receive(self, message: Message) -> None:
        if message.msg_type == "boot":
            if self._boots:
                self.send("ready", {"execution_count": self.count})
        elif message.msg_type == "ping":
            self.send("pong", {}, parent_id=message.id)
        elif message.msg_type == "interrupt":
            if self._cell is not None:
                self._cell.cancel()
        elif message.msg_type == "guest_reply":
            if (answer := self._answers.pop(message.parent_id, None)) and not answer.done():
                answer.set_result(message.content)
        elif message.msg_type in COMM_TYPES:
            self.comms.put_nowait(message)
        else:
            self._requests.put_nowait(message)

    async def _serve(self) -> None:
        while True:
            request = await self._requests.get()
            if request.msg_type == "execute_request":
                self._cell = self._loop.create_task(_Cell(self, request).run())
                await asyncio.wait([self._cell])
                self._cell = None
            else:
                answer = self.memory.get(request.msg_type) or ANSWERS[request.msg_type]
                reply_type = request.msg_type.replace("_request", "_reply")
                self.memory.setdefault("asked", []).append(request)
                self.send(reply_type, answer, parent_id=request.id)

    async def answer(self, message_id: str) -> Content:
        """The host's answer to a question."""
        future: asyncio.Future[Content] = self._loop.create_future()
        self._answers[message_id] = future
        return await future


ANSWERS: dict[str, Content] = {
    "complete_request": {"status": "ok", "matches": ["zip"], "cursor_start": 0, "cursor_end": 2},
    "inspect_request": {"status": "ok", "found": True, "data": {"text/plain": "help"}},
    "is_complete_request": {"status": "incomplete", "indent": "    "},
    "comm_info_request": {"status": "ok", "comms": {"c1": {"target_name": "t"}}},
    "shutdown_request": {"status": "ok"},
}


class _Cell:
    """One execute_request, and what its code may say."""

    def __init__(self, worker: FakeWorker, request: Message) -> None:
        self.worker = worker
        self.request = request
        self.reply: dict[str, Any] | None = None

    async def run(self) -> None:
        content = self.request.content
        outcome: dict[str, Any] = {"status": "ok", "user_expressions": {}, "payload": []}
        try:
            await self._evaluate(content["code"])
        except asyncio.CancelledError:
            outcome = self._error("KeyboardInterrupt", "")
        except Exception as error:
            outcome = self._error(type(error).__name__, str(error))
        self.worker.count += content["store_history"]
        reply = {"execution_count": self.worker.count - 1} | outcome | (self.reply or {})
        self.worker.send("execute_reply", reply, parent_id=self.request.id)

    async def _evaluate(self, code: str) -> None:
        names = {
            name: getattr(self, name)
            for name in ("emit", "print", "show", "ask", "answer_with", "die", "break_protocol")
        }
        names |= {"worker": self.worker, "request": self.request, "asyncio": asyncio}
        compiled = compile(code, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(compiled, names)
        if inspect.isawaitable(result):
            await result

    def _error(self, ename: str, evalue: str) -> dict[str, Any]:
        described = {"ename": ename, "evalue": evalue, "traceback": [f"{ename}: {evalue}"]}
        self.emit("error", described)
        return {"status": "error"} | described

    def emit(
        self, msg_type: str, content: Content, *, parent_id: str | None = None, **more: Any
    ) -> None:
        """An output of this cell, or in the name of another."""
        parent = self.request.id if parent_id is None else parent_id
        self.worker.send(msg_type, content, parent_id=parent, **more)

    def print(self, text: str) -> None:
        self.emit("stream", {"name": "stdout", "text": f"{text}\n"})

    def show(self, value: object) -> None:
        """The cell's result."""
        content = {"data": {"text/plain": repr(value)}, "metadata": {}}
        self.emit("execute_result", content | {"execution_count": self.worker.count})

    async def ask(self, prompt: str, *, password: bool = False) -> str:
        """`input()`."""
        question_id = f"question-{prompt}"
        content = {"prompt": prompt, "password": password}
        self.worker.send("input_request", content, id=question_id, parent_id=self.request.id)
        answer = await self.worker.answer(question_id)
        if answer["status"] == "ok":
            return str(answer["value"])
        raise {"EOFError": EOFError}.get(answer["ename"], RuntimeError)(answer["ename"])

    def answer_with(self, **members: Any) -> None:
        """Members of the reply."""
        self.reply = members

    async def die(self, cause: str) -> None:
        """End the interpreter; the cell never ends."""
        self.worker.send("worker_died", {"cause": cause})
        await asyncio.Event().wait()

    def break_protocol(self) -> None:
        self.worker.send_bytes(b"\0\0\0\1x")
