"""One Deno process, started and confined, before anybody talks to it.

Needs no event loop, whose import takes as long as Deno takes to come up.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pyodide_kernel.bridge.confinement import confinement
from pyodide_kernel.bridge.deno import DenoCommand, command, environment
from pyodide_kernel.errors import WorkerStartError
from pyodide_kernel.limits import resource_limits

_CONFINE: Final = Path(__file__).with_name("confine.py")


@dataclass(slots=True, kw_only=True)
class Spawned:
    """A process that is to connect to a socket."""

    process: subprocess.Popen[bytes]
    report: BinaryIO
    """What the launcher says of the layers that are active, when it is done."""

    listener: socket.socket
    socket: contextlib.ExitStack
    """Closes the listener, and removes the folder of its socket."""

    adopted: bool = False
    """Whether somebody else looks after it from now on."""

    def discard(self) -> None:
        """End it, and leave nothing of it."""
        self.adopted = True
        self.process.kill()
        self.process.communicate()
        self.report.close()
        self.socket.close()


def spawn(config: DenoCommand) -> Spawned:
    """Start Deno, confined. Raises WorkerStartError if that can't be done.

    The process dies with the thread that this runs in (Linux). The socket lies in a folder of its
    own that only this user may enter.
    """
    with contextlib.ExitStack() as resources:
        listener, path = _listen(resources)
        process, report = _start(config, path)
        return Spawned(
            process=process,
            report=report,
            listener=listener,
            socket=resources.pop_all(),
        )


def _listen(resources: contextlib.ExitStack) -> tuple[socket.socket, Path]:
    """A listening socket and its path, both gone when `resources` is closed."""
    folder = None
    try:
        folder = resources.enter_context(tempfile.TemporaryDirectory(prefix="pyodide-"))
        listener = resources.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        path = Path(folder) / "pipe"
        listener.bind(str(path))
        listener.listen(1)
    except OSError as error:
        where = f" in {folder}" if folder else ""
        raise WorkerStartError(
            f"the sandbox did not start: no socket could be made{where} ({error}); "
            "set TMPDIR to another folder, with a short path"
        ) from error
    listener.setblocking(False)
    return listener, path


def _start(config: DenoCommand, socket_path: Path) -> tuple[subprocess.Popen[bytes], BinaryIO]:
    code = (config.code,) if config.code else ()
    try:
        with contextlib.ExitStack() as resources:
            reading_end, report_end = os.pipe()
            report = resources.enter_context(os.fdopen(reading_end, "rb"))
            with os.fdopen(report_end, "wb"):
                confined = confinement(
                    deno=config.deno,
                    read=(config.main.parent, *config.read, *code),
                    write=(socket_path, *(code if config.makes_code else ())),
                    parent_pid=os.getpid(),
                    report_fd=report_end,
                    mounts=[(mount.host, mount.writable) for mount in config.policy.mounts],
                    limits=resource_limits(config.policy.limits, cpus=os.cpu_count() or 1),
                    nice=config.nice,
                    needs_landlock=bool(config.policy.needs_landlock or code),
                )
                launcher = [sys.executable, "-I", "-S", str(_CONFINE), json.dumps(confined)]
                process = subprocess.Popen(
                    [*launcher, *command(config, socket_path)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd="/",
                    env=dict(environment(config.code)),
                    start_new_session=True,
                    pass_fds=(report_end,),
                )
            resources.pop_all()
            return process, report
    except OSError as error:
        raise WorkerStartError(f"the sandbox did not start: {error}") from error
