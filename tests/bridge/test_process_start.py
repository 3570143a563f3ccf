"""Starts of a Deno process: its socket, and all the ways in which they fail."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path

import pytest
from bridge.real_deno import Received, end, entries, playing, run

from pyodide_kernel.bridge import process as process_module
from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.errors import WorkerStartError

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform == "win32", reason="Unix sockets"),
]


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


def test_process_that_ends_before_it_connects_is_an_error_with_its_last_words(
    config: DenoCommand, sockets: Path
) -> None:
    config = playing(config, "console.log('a'); console.error('last words');Deno.exit(3)")

    async def test() -> None:
        with pytest.raises(WorkerStartError) as failure:
            await launch(config, Received())
        assert str(failure.value) == (
            "the sandbox did not start: Deno exited with code 3 (it said: last words)"
        )
        assert entries(sockets) == []

    run(test())


def test_missing_binary_is_an_error_that_names_it(tmp_path: Path, sockets: Path) -> None:
    config = DenoCommand(deno=tmp_path / "no-deno", runtime=tmp_path)

    async def test() -> None:
        with pytest.raises(WorkerStartError, match="no-deno"):
            await launch(config, Received())
        assert entries(sockets) == []

    run(test())


NEVER_CONNECTS = "console.log('up'); setInterval(() => console.error('x'.repeat(100_000)));"


def test_process_that_never_connects_is_ended(
    config: DenoCommand, sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = playing(config, NEVER_CONNECTS)
    monkeypatch.setattr(process_module, "_CONNECT_TIMEOUT_S", 0.3)

    async def test() -> None:
        with pytest.raises(WorkerStartError, match="Deno did not connect within"):
            await launch(config, Received())
        assert entries(sockets) == []

    run(test())


@pytest.mark.parametrize("turns", [0, 10, 1000, 10_000])
def test_launch_that_is_cancelled_leaves_nothing(
    config: DenoCommand, sockets: Path, turns: int
) -> None:
    config = playing(config, NEVER_CONNECTS)
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
