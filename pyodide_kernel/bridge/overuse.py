"""What an interpreter has used beyond its limits, as the operating system counts it.

The second line behind the limits that end in an error: this one ends the interpreter, and nothing
that code does in it can avoid that.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pyodide_kernel.limits import Limits, format_size

_OWN_MEMORY: Final = 500 * 10**6
"""What an interpreter may have resident beside what code uses: 250 MB when it is idle, and machine
code and the copies that V8 makes when memory is full, for which the limit on data leaves room."""

_OWN_WORKERS: Final = 1
_WORKER: Final = "worker-"
"""How Deno names the threads of workers, those of node:worker_threads too; code can't change it."""

_SPARE_WRITES: Final = 16 * 10**6
_SPARE_PART: Final = 8
"""What may be written beyond the limit before the interpreter is ended. The system counts the 8
bytes of each wake-up of a thread too, and code that behaves has got an error at the limit."""


class Overuse:
    """Tells what the process of an interpreter has used beyond its limits. For one thread."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._written: dict[tuple[int, str], int] = {}
        """By process, of all interpreters so far."""

    def __call__(self, pid: int) -> str:
        """A sentence for the user; nothing if all is well, or the process has ended."""
        try:
            found = self._memory(resident_bytes(pid))
            if not found and sys.platform == "linux":
                found = self._workers(pid) or self._writes(pid)
        except (FileNotFoundError, ProcessLookupError):
            return ""
        except OSError as error:
            return f"The system does not say how much the interpreter uses ({error})."
        return found

    def _memory(self, used: int) -> str:
        limit = self._limits.memory_bytes
        if used <= limit + _OWN_MEMORY:
            return ""
        return f"The code used more memory than {format_size(limit)} (--memory-limit)."

    def _workers(self, pid: int) -> str:
        workers = sum(name.startswith(_WORKER) for name in _threads(pid)) - _OWN_WORKERS
        if workers <= (limit := self._limits.workers):
            return ""
        return f"The code had {workers} workers, and {limit} are allowed (--workers)."

    def _writes(self, pid: int) -> str:
        limit = self._limits.written_bytes
        if not limit:
            return ""
        here = self._written[pid, _start_time(pid)] = _written_bytes(pid)
        spare = max(_SPARE_WRITES, limit // _SPARE_PART)
        if sum(self._written.values()) <= limit + spare or here <= _SPARE_WRITES:
            return ""
        return f"The code wrote more than {format_size(limit)} to mounts (--write-limit)."


def resident_bytes(pid: int) -> int:
    """Memory of a process. Raises OSError, ProcessLookupError if it has ended."""
    if sys.platform == "linux":
        pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess as error:
        raise ProcessLookupError(str(error)) from error
    except psutil.Error as error:
        raise OSError(str(error)) from error


def _threads(pid: int) -> Iterator[str]:
    """Names of the threads; those that end meanwhile are left out."""
    for path in Path(f"/proc/{pid}/task").glob("*/comm"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield path.read_text("utf-8", "replace")


def _start_time(pid: int) -> str:
    """When a process started: numbers of processes come again."""
    after_name = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2]
    return after_name.split()[19]


def _written_bytes(pid: int) -> int:
    """What a process has written to files. The socket of the pipe does not count."""
    lines = Path(f"/proc/{pid}/io").read_text("ascii").splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])
