"""One Deno process and its socket, without Pyodide."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bridge.real_deno import PATIENCE_S, Received, end, entries, run

from pyodide_kernel.bridge.deno import DenoCommand, worker_permissions
from pyodide_kernel.bridge.messages import PROTOCOL_VERSION, Message
from pyodide_kernel.bridge.process import launch

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets"),
]


def has_ended(pid: int) -> bool:
    """Whether there is no such process, not even one that nobody has reaped."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return False
    return True


def test_process_connects_and_says_hello(config: DenoCommand) -> None:
    async def test() -> None:
        received = Received()
        process = await launch(config, received)
        hello = await received.next("hello")
        assert hello.content == {"protocol_version": PROTOCOL_VERSION}
        await end(process)

    run(test())


def test_worker_that_cannot_start_is_told_of_and_the_broker_goes_on(config: DenoCommand) -> None:
    async def test() -> None:
        received = Received()
        process = await launch(config, received)
        await received.next("hello")
        boot = {
            "worker": {"folder": str(config.runtime)},
            "permissions": worker_permissions(config),
            "guest": {"sources": {}, "env": {}},
        }
        process.write(received.protocol.send(Message(msg_type="boot", content=boot)))
        died = await received.next("worker_died")
        assert "pyodide.mjs" in died.content["cause"]
        process.write(received.protocol.send(Message(msg_type="ping", id="p")))
        pong = await received.next("pong")
        assert pong.parent_id == "p"
        await end(process)

    run(test())


def test_killed_process_is_reaped_and_says_how_it_ended(config: DenoCommand) -> None:
    async def test() -> None:
        process = await launch(config, Received())
        assert process.pid is not None
        assert await end(process) == "Deno was ended by SIGKILL"
        assert has_ended(process.pid)
        process.kill()
        process.write([b"dropped"])
        assert await process.wait() == "Deno was ended by SIGKILL"

    run(test())


def test_socket_and_its_folder_are_gone_when_the_process_is_connected(
    config: DenoCommand, sockets: Path
) -> None:
    async def test() -> None:
        process = await launch(config, Received())
        assert entries(sockets) == []
        await end(process)

    run(test())


def test_frame_that_makes_no_sense_ends_the_process_with_a_reason(config: DenoCommand) -> None:
    async def test() -> None:
        process = await launch(config, Received())
        process.write([b"\xff\xff\xff\xff"])
        reason = await process.wait()
        assert reason.startswith("Deno exited with code 1 (it said: ")

    run(test())


def test_session_of_the_process_is_its_own(config: DenoCommand) -> None:
    async def test() -> None:
        process = await launch(config, Received())
        assert process.pid is not None
        assert os.getsid(process.pid) == process.pid
        await end(process)

    run(test())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="real-time signals")
def test_signal_without_a_name_is_told_by_its_number(config: DenoCommand) -> None:
    async def test() -> None:
        process = await launch(config, Received())
        assert process.pid is not None
        os.kill(process.pid, signal.SIGRTMIN + 3)
        assert await process.wait() == f"Deno was ended by signal {signal.SIGRTMIN + 3}"

    run(test())


HOST = """
import asyncio, sys
from pathlib import Path
from pyodide_kernel.bridge.deno import DenoCommand, find_deno
from pyodide_kernel.bridge.process import launch

async def main():
    config = DenoCommand(deno=find_deno(), runtime=Path(sys.argv[1]))
    process = await launch(config, lambda data: None)
    print(process.pid, flush=True)
    await process.wait()

asyncio.run(main())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pidfd")
def test_process_dies_with_a_host_that_is_killed(tmp_path: Path) -> None:
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert host.stdout is not None
    with host, host.stdout:
        descriptor = os.pidfd_open(int(host.stdout.readline()))
        host.kill()
    # Readable when the process has ended.
    readable, _, _ = select.select([descriptor], [], [], PATIENCE_S)
    os.close(descriptor)
    assert readable
    assert entries(tmp_path) == []
