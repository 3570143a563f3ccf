"""A kernel process and a client of it, for tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

FAKE_KERNEL = Path(__file__).with_name("fake_kernel.py")
TIMEOUT_S = 20.0

Message = dict[str, Any]


@dataclass
class Outcome:
    """What a request led to."""

    reply: Message
    iopub: list[Message] = field(default_factory=list)

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = self.reply["content"]
        return content

    def outputs(self, *msg_types: str) -> list[dict[str, Any]]:
        """Contents of the messages of these types; without types, of all but status and input."""
        return [
            message["content"]
            for message in self.iopub
            if message["msg_type"] in msg_types
            or (not msg_types and message["msg_type"] not in ("status", "execute_input"))
        ]

    @property
    def text(self) -> str:
        return "".join(stream["text"] for stream in self.outputs("stream"))

    @property
    def states(self) -> list[str]:
        return [status["execution_state"] for status in self.outputs("status")]


class KernelProcess:
    """Jupyter's own manager and blocking client, with shorter verbs."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    @property
    def pid(self) -> int:
        provisioner: Any = self.manager.provisioner
        return int(provisioner.pid)

    def wait(self) -> int:
        """The exit code, when the process has ended."""
        provisioner: Any = self.manager.provisioner
        return int(provisioner.process.wait(TIMEOUT_S))

    def send(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        channel: str = "shell",
        buffers: list[bytes] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Send a message and return its id."""
        session = self.client.session
        message = session.msg(msg_type, dict(content), metadata=dict(metadata or {}))
        socket = getattr(self.client, f"{channel}_channel").socket
        session.send(socket, message, buffers=buffers)
        return str(message["header"]["msg_id"])

    def execute(self, code: str, **members: Any) -> str:
        """Send a cell and return its id; input is not allowed unless said so."""
        return str(self.client.execute(code, **({"allow_stdin": False} | members)))

    def run(self, code: str, **members: Any) -> Outcome:
        """Run a cell to its end."""
        return self.outcome(self.execute(code, **members))

    def ask(self, msg_type: str, content: Mapping[str, Any], **more: Any) -> Outcome:
        """Send any request and wait for its reply."""
        channel = more.get("channel", "shell")
        return self.outcome(self.send(msg_type, content, **more), channel=channel)

    def outcome(self, msg_id: str, *, channel: str = "shell") -> Outcome:
        """The reply to a request and all that iopub said about it, up to its idle status."""
        return Outcome(reply=self.reply(msg_id, channel=channel), iopub=self.until_idle(msg_id))

    def let_go(self) -> None:
        """Let a cell go on that waits for a comm message; what was sent before has arrived then."""
        self.send("comm_msg", {"comm_id": "go"})

    def reply(self, msg_id: str, *, channel: str = "shell") -> Message:
        get = getattr(self.client, f"get_{channel}_msg")
        while True:
            message: Message = get(timeout=TIMEOUT_S)
            if message["parent_header"].get("msg_id") == msg_id:
                return message

    def until_idle(self, msg_id: str) -> list[Message]:
        """Messages on iopub with this parent, up to idle; those of others are passed over."""
        found: list[Message] = []
        while not found or not _is_idle(found[-1]):
            message = self.iopub()
            if message["parent_header"].get("msg_id") == msg_id:
                found.append(message)
        return found

    def iopub(self) -> Message:
        """The next message on iopub."""
        message: Message = self.client.get_iopub_msg(timeout=TIMEOUT_S)
        return message

    def output(self, msg_type: str) -> Message:
        """The next message of a type on iopub."""
        while True:
            message = self.iopub()
            if message["msg_type"] == msg_type:
                return message


def _is_idle(message: Message) -> bool:
    return bool(message["content"].get("execution_state") == "idle")


@contextmanager
def kernel_process(
    *arguments: str, environ: Mapping[str, str] | None = None, stderr: Any = None
) -> Iterator[KernelProcess]:
    """Start a kernel, connect a client, and end both."""
    manager = KernelManager()
    manager._kernel_spec = KernelSpec(
        argv=[sys.executable, str(FAKE_KERNEL), "-f", "{connection_file}", *arguments],
        display_name="kernel under test",
        language="python",
        interrupt_mode="message",
    )
    manager.start_kernel(env=dict(os.environ) | dict(environ or {}), stderr=stderr)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=TIMEOUT_S)
        yield KernelProcess(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=not manager.is_alive())
        manager.cleanup_resources()
        client.context.destroy()
