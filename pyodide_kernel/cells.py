"""Running cells in the guest: the number of the prompt, the reply, and deaths in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from pyodide_kernel import content
from pyodide_kernel.bridge.bridge import Bridge
from pyodide_kernel.bridge.messages import CLIENT_HEADER, Message
from pyodide_kernel.content import ExecuteRequest
from pyodide_kernel.deaths import Deaths
from pyodide_kernel.errors import DeadKernelError, PyodideKernelError, StartInterruptedError
from pyodide_kernel.parents import Parent, Parents
from pyodide_kernel.publisher import Publisher


class Prompt:
    """Number of the next prompt, as the guest counts. Written in the bridge's thread only.

    That is why the count of a fresh interpreter is never overwritten by a late reply of the former.
    """

    def __init__(self) -> None:
        self.number = 1

    def begin(self, number: object = 1) -> None:
        """A fresh interpreter counts from here."""
        self.number = content.prompt_number(number) or 1

    def follow(self, reply: Future[Message]) -> None:
        """A cell has ended: the next one has the number after its own."""
        if reply.cancelled() or reply.exception():
            return
        number = content.prompt_number(reply.result().content["execution_count"])
        if number is not None:
            self.number = number + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a cell ended."""

    reply: dict[str, Any]
    died: bool = False
    """Whether the interpreter went with it."""


class Cells:
    """Runs one cell at a time. For the shell loop."""

    def __init__(
        self,
        *,
        bridge: Bridge,
        parents: Parents,
        publisher: Publisher,
        prompt: Prompt,
        deaths: Deaths,
        time_limit_s: float,
        on_sent: Callable[[], None],
    ) -> None:
        self._bridge = bridge
        self._parents = parents
        self._publisher = publisher
        self._prompt = prompt
        self._deaths = deaths
        self._time_limit_s = time_limit_s
        self._on_sent = on_sent
        self.closing = False
        """The kernel shuts down: what fails now is aborted, not broken."""

    async def run(
        self, request: ExecuteRequest, cell: Parent, *, number: int, metadata: Mapping[str, Any]
    ) -> Outcome:
        """Send a cell to the guest and wait for its end; `on_sent` is called in between."""
        try:
            with self._parents.running(cell):
                answer = await self._send(request, cell, metadata)
        except (PyodideKernelError, ValueError, TypeError) as error:
            return self._failed(error, request, cell, number)
        reply = content.execute_reply(answer.content, execution_count=number)
        if cell.overtime and reply["status"] == "error":
            reply |= content.with_reason(reply, cell.overtime)
        return Outcome(reply=reply)

    async def _send(
        self, request: ExecuteRequest, cell: Parent, metadata: Mapping[str, Any]
    ) -> Message:
        _, future = self._bridge.request(
            "execute_request",
            request.for_guest(),
            id=cell.id,
            metadata={**metadata, CLIENT_HEADER: cell.guest_header},
            time_limit_s=self._time_limit_s,
        )
        future.add_done_callback(self._prompt.follow)
        self._on_sent()
        return await asyncio.wrap_future(future)

    def _failed(
        self, error: Exception, request: ExecuteRequest, cell: Parent, number: int
    ) -> Outcome:
        if self.closing:
            return Outcome(reply={"status": "aborted"})
        died = isinstance(error, DeadKernelError)
        if died:
            self._deaths.cell_failed(str(error))
        reply = content.error_reply(error)
        if isinstance(error, StartInterruptedError):
            reply |= content.error_content("KeyboardInterrupt", str(error))
        if not request.silent:
            described = {name: reply[name] for name in ("ename", "evalue", "traceback")}
            self._publisher.publish("error", described, parent=cell.header)
        reply |= {"execution_count": number, "user_expressions": {}, "payload": []}
        return Outcome(reply=reply, died=died)
