"""Drives a guest kernel as the pipe would."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from guest.fake_host import FakeHost

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest.kernel import GuestKernel


@dataclass(frozen=True)
class Outcome:
    """What one request brought about."""

    outputs: list[Message]
    reply: Mapping[str, Any]

    def of(self, msg_type: str) -> list[Mapping[str, Any]]:
        """Contents of the outputs of one type."""
        return [message.content for message in self.outputs if message.msg_type == msg_type]

    @property
    def types(self) -> list[str]:
        return [message.msg_type for message in self.outputs]

    @property
    def stdout(self) -> str:
        return "".join(c["text"] for c in self.of("stream") if c["name"] == "stdout")

    @property
    def stderr(self) -> str:
        return "".join(c["text"] for c in self.of("stream") if c["name"] == "stderr")

    @property
    def result(self) -> str:
        (content,) = self.of("execute_result")
        return str(content["data"]["text/plain"])

    @property
    def error(self) -> tuple[str, str]:
        (content,) = self.of("error")
        return content["ename"], content["evalue"]

    @property
    def payload(self) -> list[Mapping[str, Any]]:
        return list(self.reply["payload"])


class Guest:
    """One guest kernel with its fake host."""

    def __init__(self, ipython_dir: str) -> None:
        self.host = FakeHost()
        with self.streams():
            self.kernel = GuestKernel(self.host, patch_platform=False, ipython_dir=ipython_dir)
        self.shell = self.kernel.shell
        self._ids = itertools.count(1)

    @contextmanager
    def streams(self) -> Iterator[None]:
        """The guest's stdout and stderr in place; pytest puts its own back between phases."""
        former = sys.stdout, sys.stderr
        if hasattr(self, "kernel"):
            sys.stdout, sys.stderr = self.kernel.streams.stdout, self.kernel.streams.stderr
        try:
            yield
        finally:
            sys.stdout, sys.stderr = former

    def close(self) -> None:
        with self.streams():
            self.kernel.close()
        self.host.loop.close()

    def reset(self) -> None:
        with self.streams():
            self.kernel.forget()
            self.kernel.streams.flush()
        self.host.clear()

    def send(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        buffers: tuple[bytes, ...] = (),
    ) -> list[Message]:
        """Everything that a message brings about."""
        start = len(self.host.messages)
        message = Message(
            msg_type=msg_type,
            id=f"{msg_type}-{next(self._ids)}",
            content=content,
            metadata=metadata or {},
            buffers=buffers,
        )
        with self.streams():
            self.kernel.handle(message)
        return self.host.messages[start:]

    def request(self, msg_type: str, **content: Any) -> Outcome:
        """Run a request, which must be answered once, last."""
        *outputs, reply = self.send(msg_type, content)
        assert reply.msg_type == msg_type.replace("_request", "_reply")
        assert not [m for m in outputs if m.msg_type.endswith("_reply")]
        return Outcome(outputs, reply.content)

    def run(self, code: str, **options: Any) -> Outcome:
        """Run a cell."""
        content = {"silent": False, "store_history": True, "allow_stdin": True} | options
        return self.request("execute_request", code=code, **content)
