"""One Deno process and its socket, without Pyodide."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel.bridge import deno as deno_module
from pyodide_kernel.bridge.deno import DenoCommand, DenoProcess, find_deno, launch
from pyodide_kernel.bridge.messages import PROTOCOL_VERSION, Message
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import WorkerStartError

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets"),
]

PATIENCE_S = 30


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine, and assert that it left no task behind."""

    async def watched() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(watched())


@pytest.fixture
def config(tmp_path: Path) -> DenoCommand:
    return DenoCommand(deno=find_deno(), runtime=tmp_path)


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in for /tmp."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


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
        process.write(
            received.protocol.send(
                Message(
                    msg_type="boot",
                    content={"worker": {}, "permissions": {"read": False}, "guest": {}},
                )
            )
        )
        process.write(received.protocol.send(Message(msg_type="ping", id="p")))
        assert process.pid is not None
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


def pipes(folder: Path) -> list[Path]:
    return list(folder.glob("*/pipe"))


async def socket_in(folder: Path) -> Path:
    """The path of the socket, as soon as it is there."""
    while not (found := pipes(folder)):  # noqa: ASYNC110  # nobody tells when it is made
        await asyncio.sleep(0)
    return found[0]


def test_folder_of_the_socket_is_the_users_alone(config: DenoCommand, sockets: Path) -> None:
    async def test() -> None:
        launching = asyncio.ensure_future(launch(config, Received()))
        path = await socket_in(sockets)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        await end(await launching)

    run(test())


def test_another_process_that_connects_first_is_refused(config: DenoCommand, sockets: Path) -> None:
    async def test() -> None:
        received = Received()
        launching = asyncio.ensure_future(launch(config, received))
        path = await socket_in(sockets)
        reader, writer = await asyncio.open_unix_connection(path)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()
        process = await launching
        await received.next("hello")
        await end(process)

    run(test())


def plays(monkeypatch: pytest.MonkeyPatch, folder: Path, program: str) -> None:
    """Have Deno run another program instead of the broker."""
    path = folder / "js" / "main.ts"
    path.parent.mkdir()
    path.write_text(program, "utf-8")
    monkeypatch.setattr(deno_module, "_MAIN", path)


def test_process_that_ends_before_it_connects_is_an_error_with_its_last_words(
    config: DenoCommand, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, config.runtime, "console.log('a'); console.error('last words');Deno.exit(3)")

    async def test() -> None:
        with pytest.raises(WorkerStartError) as failure:
            await launch(config, Received())
        assert str(failure.value) == (
            "the sandbox did not start: Deno exited with code 3 (it said: last words)"
        )
        assert entries(sockets) == []

    run(test())


def test_missing_binary_is_an_error_that_names_it(tmp_path: Path, sockets: Path) -> None:
    async def test() -> None:
        config = DenoCommand(deno=tmp_path / "no-deno", runtime=tmp_path)
        with pytest.raises(WorkerStartError, match="no-deno"):
            await launch(config, Received())
        assert entries(sockets) == []

    run(test())


NEVER_CONNECTS = "console.log('up'); setInterval(() => console.error('x'.repeat(100_000)));"


def test_process_that_never_connects_is_ended(
    config: DenoCommand, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plays(monkeypatch, config.runtime, NEVER_CONNECTS)
    monkeypatch.setattr(deno_module, "_CONNECT_TIMEOUT_S", 0.3)

    async def test() -> None:
        with pytest.raises(WorkerStartError, match="Deno did not connect within"):
            await launch(config, Received())
        assert entries(sockets) == []

    run(test())


@pytest.mark.parametrize("turns", [0, 10, 1000, 10_000])
def test_launch_that_is_cancelled_leaves_nothing(
    config: DenoCommand, sockets: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    plays(monkeypatch, config.runtime, NEVER_CONNECTS)
    started = list_descriptors()

    async def test() -> None:
        launching = asyncio.ensure_future(launch(config, Received()))
        path = await socket_in(sockets)
        for _ in range(turns):
            await asyncio.sleep(0)
        launching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await launching
        assert not path.exists()

    run(test())
    assert children() == []
    assert list_descriptors() == started


def children() -> list[str]:
    return [
        child
        for task in Path("/proc/self/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def list_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="real-time signals")
def test_signal_without_a_name_is_told_by_its_number(config: DenoCommand) -> None:
    async def test() -> None:
        process = await launch(config, Received())
        assert process.pid is not None
        os.kill(process.pid, signal.SIGRTMIN + 3)
        assert await process.wait() == f"Deno was ended by signal {signal.SIGRTMIN + 3}"

    run(test())


@pytest.mark.parametrize("name", ["missing", "x" * 120])
def test_unusable_folder_for_temporary_files_is_an_error_that_names_it(
    config: DenoCommand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / name
    if name != "missing":
        folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    async def test() -> None:
        with pytest.raises(WorkerStartError) as failure:
            await launch(config, Received())
        assert "the sandbox did not start" in str(failure.value)
        assert str(folder) in str(failure.value)
        assert "TMPDIR" in str(failure.value)

    run(test())


HOST = """
import asyncio, sys
from pathlib import Path
from pyodide_kernel.bridge.deno import DenoCommand, find_deno, launch

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
