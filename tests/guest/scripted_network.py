"""The host's network for guests without a host: answers that were written before."""

from __future__ import annotations

from typing import Any

from pyodide_kernel.bridge.messages import Message

DENIED = {"status": "error", "kind": "denied", "message": "closed; --allow-net=a.example opens it"}


class ScriptedNetwork:
    """Answers requests one after the other, and remembers them."""

    def __init__(self) -> None:
        self.requests: list[Message] = []
        self._heads: list[dict[str, Any]] = []
        self._bodies: list[list[bytes]] = []
        self._open: dict[str, list[bytes]] = {}

    def answer(
        self, *chunks: bytes, code: int = 200, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """What the next request gets."""
        listed = [list(header) for header in headers]
        self._heads.append({"status": "ok", "code": code, "reason": "OK", "headers": listed})
        self._bodies.append(list(chunks))

    def refuse(self, kind: str, message: str = "why") -> None:
        """What the next request gets instead."""
        self._heads.append({"status": "error", "kind": kind, "message": message})
        self._bodies.append([])

    def __call__(self, message: Message) -> Message:
        if message.msg_type == "fetch_request":
            self.requests.append(message)
            self._open[message.id] = self._bodies.pop(0)
            head = self._heads.pop(0)
            return Message(msg_type="fetch_reply", parent_id=message.id, content=head)
        rest = self._open[message.content["fetch"]]
        data = rest.pop(0) if rest else b""
        content = {"status": "ok", "last": not rest}
        return Message(
            msg_type="fetch_chunk", parent_id=message.id, content=content, buffers=[data]
        )
