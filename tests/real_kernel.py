"""A real kernel, started as Jupyter starts it, and a client that loses nothing."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

TIMEOUT_S = 60.0
"""For what takes a second at most; a loaded machine is no failure."""


@dataclass
class Cell:
    """What came of one cell."""

    reply: dict[str, Any]
    outputs: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    seconds: float = 0.0
    """From the call, or from the interrupt if one was sent, to the reply."""

    @property
    def status(self) -> str:
        """ok, error or aborted."""
        return str(self.reply["status"])

    @property
    def ename(self) -> str:
        """Name of the error, or nothing."""
        return str(self.reply.get("ename", ""))

    @property
    def evalue(self) -> str:
        """Value of the error, or nothing."""
        return str(self.reply.get("evalue", ""))

    def text(self, name: str = "stdout") -> str:
        """All that was printed to a stream."""
        return "".join(
            content["text"]
            for msg_type, content in self.outputs
            if msg_type == "stream" and content["name"] == name
        )

    def of(self, msg_type: str) -> list[dict[str, Any]]:
        """Contents of the outputs of one type."""
        return [content for found, content in self.outputs if found == msg_type]

    @property
    def result(self) -> str | None:
        """Plain text of the result."""
        results = self.of("execute_result")
        return str(results[-1]["data"]["text/plain"]) if results else None


class RealKernel:
    """One kernel process and one client."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def start(self, code: str, *, allow_stdin: bool = False) -> str:
        """Send a cell; its message id."""
        msg_id: str = self.client.execute(code, allow_stdin=allow_stdin)
        return msg_id

    def finish(self, msg_id: str, *, timeout_s: float = TIMEOUT_S) -> Cell:
        """Everything of a cell up to its idle status and its reply."""
        began = time.monotonic()
        outputs: list[tuple[str, dict[str, Any]]] = []
        while True:
            message = self.client.get_iopub_msg(timeout=timeout_s)
            if message["parent_header"].get("msg_id") != msg_id:
                continue
            if message["msg_type"] == "status":
                if message["content"]["execution_state"] == "idle":
                    break
                continue
            outputs.append((message["msg_type"], message["content"]))
        reply = self._reply(msg_id, timeout_s)
        return Cell(reply=reply, outputs=outputs, seconds=time.monotonic() - began)

    def _reply(self, msg_id: str, timeout_s: float) -> dict[str, Any]:
        while True:
            message = self.client.get_shell_msg(timeout=timeout_s)
            if message["parent_header"].get("msg_id") == msg_id:
                content: dict[str, Any] = message["content"]
                return content

    def has_no_reply_for(self, seconds: float, msg_id: str) -> bool:
        """Whether a cell still runs after that time."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                message = self.client.get_shell_msg(timeout=left)
            except queue.Empty:
                return True
            if message["parent_header"].get("msg_id") == msg_id:
                return False
        return True

    def wait_for_output(self, msg_id: str, text: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Block until a cell has printed something."""
        seen = ""
        while text not in seen:
            message = self.client.get_iopub_msg(timeout=timeout_s)
            ours = message["parent_header"].get("msg_id") == msg_id
            if ours and message["msg_type"] == "stream":
                seen += message["content"]["text"]

    def wait_for_input(self, msg_id: str, *, timeout_s: float = TIMEOUT_S) -> None:
        """Block until the kernel has said that it runs a cell."""
        while True:
            message = self.client.get_iopub_msg(timeout=timeout_s)
            ours = message["parent_header"].get("msg_id") == msg_id
            if ours and message["msg_type"] == "execute_input":
                return

    def wait_until_ready(self) -> None:
        """Block until the host answers and the client hears it on iopub.

        The client's wait_for_ready does not wait for the second, and what is published before the
        socket has connected is lost.
        """
        self.client.wait_for_ready(timeout=TIMEOUT_S)
        heard = False
        while not heard:
            asked = self.client.kernel_info()
            self._reply(asked, TIMEOUT_S)
            with contextlib.suppress(queue.Empty):
                while not heard:
                    message = self.client.get_iopub_msg(timeout=0.5)
                    heard = message["parent_header"].get("msg_id") == asked

    def run(self, code: str, *, timeout_s: float = TIMEOUT_S) -> Cell:
        """Run a cell to its end."""
        return self.finish(self.start(code), timeout_s=timeout_s)

    def run_interrupted(self, code: str, *, timeout_s: float = TIMEOUT_S) -> Cell:
        """Run a cell that prints `started` first, and interrupt it then."""
        msg_id = self.start(code)
        self.wait_for_output(msg_id, "started")
        self.manager.interrupt_kernel()
        return self.finish(msg_id, timeout_s=timeout_s)

    def interrupt_and_wait(self) -> None:
        """Interrupt, and block until the kernel has done so.

        The manager does not wait for the reply, and nothing orders what it sends on the control
        channel before a cell that is sent on the shell channel afterwards.
        """
        session, control = self.client.session, self.client.control_channel
        request = session.msg("interrupt_request", {})
        control.send(request)
        asked = request["header"]["msg_id"]
        while (
            self.client.get_control_msg(timeout=TIMEOUT_S)["parent_header"].get("msg_id") != asked
        ):
            pass

    @property
    def pid(self) -> int:
        """Process id of the host."""
        provisioner = self.manager.provisioner
        assert provisioner is not None
        pid: int = provisioner.pid  # type: ignore[attr-defined]  # local ones have it
        return pid

    def deno(self) -> psutil.Process:
        """The Deno process, which the launcher may have to become yet."""
        end = time.monotonic() + TIMEOUT_S
        while time.monotonic() < end:
            for process in psutil.Process(self.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if process.name() == "deno":
                        return process
        raise LookupError("no Deno process")

    def tree(self) -> list[psutil.Process]:
        """The host and everything below it."""
        host = psutil.Process(self.pid)
        return [host, *host.children(recursive=True)]


def kernel_spec(*options: str) -> KernelSpec:
    """The kernelspec of this package, with options on the command line."""
    return KernelSpec(
        argv=[sys.executable, "-m", "pyodide_kernel", "-f", "{connection_file}", *options],
        display_name="Python (Pyodide)",
        language="python",
        interrupt_mode="message",
        metadata={"supported_encryption": ["curve"]},
    )


@contextlib.contextmanager
def real_kernel(
    folder: Path,
    *options: str,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    launcher: Sequence[str] = (),
) -> Iterator[RealKernel]:
    """A started kernel with its files in `folder`; ended, and looked after, at exit.

    `launcher` is a command that starts the command behind it.
    """
    manager = KernelManager(connection_file=str(folder / "connection.json"))
    spec = kernel_spec(*options)
    spec.argv = [*launcher, *spec.argv]
    manager._kernel_spec = spec
    environ = kernel_environment(folder) | (env or {})
    with running_kernel(manager, env=environ, cwd=cwd or folder) as kernel:
        yield kernel


@contextlib.contextmanager
def running_kernel(
    manager: KernelManager, *, env: dict[str, str], cwd: Path
) -> Iterator[RealKernel]:
    """The kernel of a manager, of whatever kind, started and heard of; ended at exit."""
    manager.start_kernel(env=env, cwd=str(cwd))
    client = manager.client()
    client.start_channels()
    try:
        kernel = RealKernel(manager, client)
        kernel.wait_until_ready()
        yield kernel
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=not manager.is_alive())
        manager.cleanup_resources()


def cache_with_snapshot(folder: Path) -> Path:
    """A folder of cached files in which there is nothing but the snapshot of all tests."""
    shared = Path(os.environ["PYODIDE_KERNEL_CACHE_DIR"], "snapshots")
    shutil.copytree(shared, folder / "snapshots", copy_function=os.link)
    return folder


def kernel_environment(folder: Path) -> dict[str, str]:
    """An environment whose folders all lie in `folder`."""
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    return os.environ | {
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "TMPDIR": str(temporary),
    }
