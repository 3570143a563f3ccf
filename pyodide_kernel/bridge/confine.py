"""The launcher: `python -I -S confine.py PARENT_PID PROGRAM ARGUMENT…` becomes the program.

Runs as a script of its own, before Deno, so that what it sets applies to all of Deno and to nothing
else. It leaves the session of the host (a Ctrl-C in the host's terminal is not for Deno), forbids
core dumps and, on Linux, asks the system to kill the process when the host's thread that started it
ends. That request comes last before exec: a change of credentials would clear it.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def _die_with_parent(parent_pid: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent_pid:
        raise SystemExit("the host has ended")


def _forbid_core_dumps() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(arguments: list[str]) -> None:
    """Set the limits and exec the program. Does not return."""
    parent_pid, program = int(arguments[0]), arguments[1]
    _forbid_core_dumps()
    _die_with_parent(parent_pid)
    os.execve(program, arguments[1:], dict(os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
