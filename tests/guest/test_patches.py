from __future__ import annotations

import _thread
import asyncio
import builtins
import concurrent.futures
import contextlib
import errno
import gc
import getpass
import mmap
import multiprocessing
import os
import pdb
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from guest.guest import Guest

from pyodide_kernel.guest.patches import NoProcessesError, install

PLACES = (builtins, getpass, pdb, os, subprocess.Popen, asyncio, threading.Thread, time, socket)


@pytest.fixture
def patched(guest: Guest) -> Iterator[Guest]:
    patches = install(guest.host, guest.shell, patch_platform=True)
    yield guest
    patches.undo()


def test_undo_takes_everything_back(guest: Guest) -> None:
    places = [*PLACES, threading.Condition, socket.socket, multiprocessing, _thread]
    install(guest.host, guest.shell, patch_platform=True).undo()  # it imports things
    before = [dict(vars(place)) for place in places]
    install(guest.host, guest.shell, patch_platform=True).undo()
    assert [dict(vars(place)) for place in places] == before


@pytest.mark.parametrize(
    "call",
    [
        lambda: os.system("echo reached the host"),
        lambda: os.popen("ls"),
        lambda: os.fork(),
        lambda: os.execv("/bin/ls", ["ls"]),
        lambda: os.execvpe("ls", ["ls"], {}),
        lambda: os.spawnl(os.P_WAIT, "/bin/ls", "ls"),
        lambda: os.posix_spawn("/bin/ls", ["ls"], {}),
        lambda: subprocess.run(["ls"]),
        lambda: subprocess.check_output("ls", shell=True),
        lambda: asyncio.run(asyncio.create_subprocess_exec("ls")),
        lambda: multiprocessing.Process(target=print).start(),
        lambda: multiprocessing.Pool(2),
        lambda: multiprocessing.Queue(),
        lambda: multiprocessing.get_context("spawn").Lock(),
        lambda: concurrent.futures.ProcessPoolExecutor(),
    ],
)
def test_processes_are_refused_with_the_reason_and_the_way_out(
    patched: Guest, call: Callable[[], Any]
) -> None:
    with pytest.raises(OSError, match="WebAssembly has no processes") as caught:
        call()
    assert isinstance(caught.value, NoProcessesError)
    assert caught.value.errno == errno.ENOTSUP
    assert "Use Python instead" in str(caught.value)
    assert "`!command` in a cell" in str(caught.value)


@pytest.mark.parametrize("call", ["os.system('ls')", "time.sleep(-1)", "input()"])
def test_tracebacks_end_in_the_users_code(patched: Guest, call: str) -> None:
    patched.host.answers.append({"status": "error", "ename": "EOFError"})
    (error,) = patched.run(f"import os, time\ndef f():\n    {call}\nf()").of("error")
    assert "pyodide_kernel" not in "\n".join(error["traceback"])
    assert "Cell" in error["traceback"][-2]


def test_functions_that_are_missing_stay_missing(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_spawn")
    patches = install(guest.host, guest.shell, patch_platform=True)
    patches.undo()
    assert not hasattr(os, "posix_spawn")


@pytest.mark.parametrize(
    "call",
    [
        lambda: threading.Thread(target=print).start(),
        lambda: threading.Timer(1, print).start(),
        lambda: _thread.start_new_thread(print, ()),
        lambda: concurrent.futures.ThreadPoolExecutor().submit(print),
    ],
)
def test_threads_are_refused_with_the_reason_and_the_way_out(
    patched: Guest, call: Callable[[], Any]
) -> None:
    with pytest.raises(RuntimeError, match=r"can't start new thread: WebAssembly .*asyncio"):
        call()


def test_servers_are_refused(patched: Guest) -> None:
    with socket.socket() as server, pytest.raises(OSError, match="can't listen"):
        server.listen()
    with pytest.raises(OSError, match="socket pairs"):
        socket.socketpair()


def test_sleep_is_the_hosts_and_sends_what_was_printed(patched: Guest) -> None:
    outcome = patched.run("from time import sleep\nprint('a')\nprint('b')\nsleep(0.5)\nprint('c')")
    assert [content["text"] for content in outcome.of("stream")] == ["a\n", "b\n", "c\n"]
    assert patched.host.sleeps == [0.5]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (-1, ValueError),
        (float("nan"), ValueError),
        ("1", TypeError),
        (None, TypeError),
        (1e30, OverflowError),
    ],
)
def test_sleep_refuses_what_the_real_one_refuses(
    guest: Guest, value: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        time.sleep(value)
    patches = install(guest.host, guest.shell, patch_platform=True)
    try:
        with pytest.raises(error):
            time.sleep(value)
        time.sleep(True)
        assert guest.host.sleeps == [1.0]
    finally:
        patches.undo()


def test_patched_functions_keep_their_names_and_documentation(guest: Guest) -> None:
    functions = [(time, "sleep"), (os, "system"), (threading.Thread, "start"), (os, "fork")]
    before = [(getattr(o, n).__name__, getattr(o, n).__doc__) for o, n in functions]
    patches = install(guest.host, guest.shell, patch_platform=True)
    try:
        assert [(getattr(o, n).__name__, getattr(o, n).__doc__) for o, n in functions] == before
    finally:
        patches.undo()


@pytest.mark.parametrize(
    "wait",
    [
        lambda: threading.Event().wait(2.0),
        lambda: threading.Semaphore(0).acquire(timeout=2.0),
        lambda: queue.Queue[int]().get(timeout=2.0),
        lambda: concurrent.futures.Future[int]().result(2.0),
    ],
)
def test_waits_for_other_threads_are_sleeps(
    patched: Guest, monkeypatch: pytest.MonkeyPatch, wait: Callable[[], Any]
) -> None:
    start = time.monotonic()
    for module, name in ((threading, "_time"), (queue, "time")):
        monkeypatch.setattr(module, name, lambda: start + sum(patched.host.sleeps))
    with contextlib.suppress(queue.Empty, concurrent.futures.TimeoutError):
        assert wait() is False
    assert sum(patched.host.sleeps) == pytest.approx(2.0)


def test_interrupt_ends_a_wait_and_gives_the_lock_back(
    patched: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(patched.host, "sleep", interrupted)
    condition = threading.Condition()
    with pytest.raises(KeyboardInterrupt), condition:
        condition.wait()
    assert condition.acquire(blocking=False)


def test_input_and_getpass_are_those_of_the_shell(guest: Guest) -> None:
    assert builtins.input == guest.shell.raw_input
    assert getpass.getpass == guest.shell.getpass
    assert sys.modules["pdb"].Pdb.__name__ == "GuestPdb"


def test_flock_waits_for_the_lock_where_an_interrupt_reaches_it(
    patched: Guest, tmp_path: Path
) -> None:
    fcntl = pytest.importorskip("fcntl")
    patched.host.lock_results.extend([errno.EAGAIN, errno.EAGAIN, 0])
    with (tmp_path / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert patched.host.locks == [(file.fileno(), fcntl.LOCK_EX)] * 3
        assert len(patched.host.sleeps) == 2
        patched.host.lock_results.append(errno.EAGAIN)
        with pytest.raises(BlockingIOError):
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        patched.host.lock_results.append(errno.EINVAL)
        with pytest.raises(OSError, match="Invalid argument"):
            fcntl.flock(file, 0)
    with pytest.raises(OSError, match="Bad file descriptor"):
        fcntl.flock(99_999, fcntl.LOCK_EX)


def test_a_mapping_is_written_to_its_file_after_the_descriptor_is_closed(
    patched: Guest, tmp_path: Path
) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(b"hello")
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    with (tmp_path / "other").open("wb"):  # takes the number of the closed descriptor
        mapping[0:1] = b"J"
        mapping.close()
        mapping.close()
    assert path.read_bytes() == b"Jello"
    assert isinstance(mapping, mmap.mmap)
    assert type(mapping).__name__ == "mmap"
    with path.open("rb") as file, pytest.raises(PermissionError):
        mmap.mmap(file.fileno(), 0)
    with mmap.mmap(-1, 10) as memory:
        memory[0:2] = b"ab"
    assert memory.closed


def test_a_forgotten_mapping_closes_its_descriptor(patched: Guest, tmp_path: Path) -> None:
    path = tmp_path / "mapped"
    path.write_bytes(b"hello")

    def next_descriptor() -> int:
        with path.open("rb") as file:
            return file.fileno()

    before = next_descriptor()
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    view = memoryview(mapping)
    del mapping
    assert bytes(view) == b"hello"
    del view
    gc.collect()
    assert next_descriptor() == before
