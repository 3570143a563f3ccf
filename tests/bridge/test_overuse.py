"""What is told of a process that uses more than it may."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyodide_kernel.bridge import overuse as module
from pyodide_kernel.bridge.overuse import Overuse
from pyodide_kernel.limits import Limits

MB = 10**6

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts it")

CHILD = """
import ctypes, sys, threading
def named(name):
    ctypes.CDLL(None).prctl(15, name.encode(), 0, 0, 0)
    started.release()
    sys.stdin.read()
started = threading.Semaphore(0)
held = b"x" * int(sys.argv[1])
open(sys.argv[2], "wb", buffering=0).write(bytes(int(sys.argv[3])))
for name in sys.argv[4:]:
    threading.Thread(target=named, args=(name,), daemon=True).start()
    started.acquire()
print("done", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def child(
    path: Path, *, memory: int = 0, writes: int = 0, threads: tuple[str, ...] = ()
) -> Iterator[int]:
    """The id of a process that has done these things, and waits."""
    arguments = [sys.executable, "-c", CHILD, str(memory), str(path), str(writes), *threads]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        yield process.pid
        process.communicate()


def test_a_process_within_its_limits_is_no_subject(tmp_path: Path) -> None:
    with child(tmp_path / "file", memory=MB, writes=MB, threads=("worker-1", "other")) as pid:
        assert Overuse(Limits(written_bytes=MB, workers=0))(pid) == ""


def test_memory_is_that_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OWN_MEMORY", 0)
    with child(tmp_path / "file", memory=100 * MB) as pid:
        assert Overuse(Limits(memory_bytes=200 * MB))(pid) == ""
        assert Overuse(Limits(memory_bytes=100 * MB))(pid) == (
            "The code used more memory than 100 MB (--memory-limit)."
        )


@linux
def test_workers_are_known_by_the_names_of_their_threads(tmp_path: Path) -> None:
    with child(tmp_path / "file", threads=("worker-1", "worker-2", "worker-3", "x")) as pid:
        assert Overuse(Limits(workers=2))(pid) == ""
        assert Overuse(Limits(workers=1))(pid) == (
            "The code had 2 workers, and 1 are allowed (--workers)."
        )


@linux
def test_writes_of_all_processes_count_together(tmp_path: Path) -> None:
    overuse, free = Overuse(Limits(written_bytes=50 * MB)), Overuse(Limits())
    with child(tmp_path / "first", writes=40 * MB) as pid:
        assert overuse(pid) == ""
        assert free(pid) == ""
    with child(tmp_path / "second", writes=40 * MB) as pid:
        assert overuse(pid) == "The code wrote more than 50 MB to mounts (--write-limit)."
        assert overuse(pid) != ""
    with child(tmp_path / "third") as pid:
        assert overuse(pid) == "", "it writes nothing itself"


def test_a_process_that_has_ended_is_no_subject(tmp_path: Path) -> None:
    with child(tmp_path / "file", memory=MB) as pid:
        pass
    assert Overuse(Limits(memory_bytes=1))(pid) == ""
