"""The guest's kernel, put together: what `entry.py` makes once and hands every message to."""

from __future__ import annotations

import gc
import logging
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comm.base_comm import CommManager
from IPython.utils.path import get_home_dir
from traitlets.config import Config

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest import patches
from pyodide_kernel.guest.bash import Bash
from pyodide_kernel.guest.comm import Comms
from pyodide_kernel.guest.display import Outlet
from pyodide_kernel.guest.host import Host
from pyodide_kernel.guest.installer import Installer, InstallerFinder
from pyodide_kernel.guest.packages import Packages
from pyodide_kernel.guest.parent import Parent
from pyodide_kernel.guest.pip import Pip
from pyodide_kernel.guest.programs import Programs
from pyodide_kernel.guest.requests import Dispatcher
from pyodide_kernel.guest.shell import GuestShell, ZMQInteractiveShell
from pyodide_kernel.guest.streams import Streams


class KernelObject:
    """`get_ipython().kernel`: the little of ipykernel's kernel that libraries look for.

    ipywidgets reads the message id of the running cell from `get_parent()`, older libraries from
    `_parent_header`; others look for `shell` and `comm_manager`.
    """

    implementation = "pyodide-kernel"
    eventloop = None

    def __init__(self, shell: GuestShell, comm_manager: CommManager, parent: Parent) -> None:
        self.shell = shell
        self.comm_manager = comm_manager
        self._parent = parent

    def get_parent(self, _channel: str | None = None) -> dict[str, Any]:
        """The client's message that the running code belongs to, without its content."""
        header = dict(self._parent.current_header())
        if not header:
            return {}
        names = {name: header.get(name, "") for name in ("msg_id", "msg_type")}
        return {"header": header, **names, "parent_header": {}, "metadata": {}}

    @property
    def _parent_header(self) -> Mapping[str, Any]:
        return self.get_parent()


class GuestKernel:
    """The shell, its streams, comms and patches, and the requests they answer.

    Making one opens no file and keeps nothing that belongs to a session (see `begin_session`), so
    that it may live in a memory snapshot. `patch_platform=False` leaves out what only WebAssembly
    needs.
    """

    def __init__(
        self, host: Host, *, patch_platform: bool = True, ipython_dir: str | None = None
    ) -> None:
        parent = self._parent = Parent()
        self._generators: list[random.Random] = []
        self.streams = Streams(host, parent)
        self._former_streams = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = self.streams.stdout, self.streams.stderr
        outlet = Outlet(host, parent, self.streams)
        self.comms = Comms(outlet)
        self._undo_comms = self.comms.install()
        self.shell = _make_shell(outlet, host, ipython_dir)
        self.shell.kernel = self.comms.kernel = KernelObject(self.shell, self.comms.manager, parent)
        self.packages = self.shell.packages = Packages(host)
        self.installer = Installer(host, self.packages)
        self._finder = InstallerFinder(self.installer)
        self.shell.pip = Pip(
            self.installer,
            run_sync=host.run_sync,
            say=lambda line: sys.stdout.write(f"{line}\n"),
        )
        programs = Programs(pip=self.shell.pip.run_words, prepare=self._prepare)
        self.shell.bash = Bash(host, programs)
        self._patches = patches.install(host, self.shell, patch_platform=patch_platform)
        self._dispatcher = Dispatcher(self.shell, host, parent=parent, comms=self.comms)

    def _prepare(self, code: str) -> None:
        """Load what a program imports."""
        self.packages.prepare_cell(code, str)

    @property
    def execution_count(self) -> int:
        """Number of the next cell that is kept in the history."""
        count: int = self.shell.execution_count
        return count

    def handle(self, message: Message) -> None:
        """Run one request, or take one comm message, and send its reply after all its output."""
        self._dispatcher.handle(message)

    def tick(self) -> None:
        """Send what was printed and has waited for a while; safe in a signal handler."""
        self.streams.tick()

    def flush(self) -> None:
        """Send what was printed and waits; safe in a signal handler."""
        self.streams.flush()

    def note_interrupt(self) -> None:
        """Say that an interrupt cancels what the running cell waits for.

        The CancelledError that comes out of it is then shown as the KeyboardInterrupt that it is.
        """
        self.shell.interrupted = True

    def forget(self) -> None:
        """Forget the cells run so far, to warm the interpreter up, and their variables."""
        self.shell.reset(new_session=True)
        self.shell.execution_count = 1
        fresh = {"_": "", "__": "", "___": ""}  # which reset takes away
        self.shell.user_ns.update(fresh)
        self.shell.user_ns_hidden.update(fresh)

    def remember_generators(self) -> None:
        """Find all random generators, so that a session that is restored gets new numbers."""
        self._generators = [
            found
            for found in gc.get_objects()
            if isinstance(found, random.Random) and not isinstance(found, random.SystemRandom)
        ]

    def begin_session(self) -> None:
        """Make fresh what a memory snapshot must not repeat.

        Call it after environment, working directory and `sys.argv` are those of the session.
        """
        self.streams.begin_session()
        self._parent.last_id = ""
        random.seed()
        for generator in self._generators:
            generator.seed()
        logging._startTime = time.time_ns()  # type: ignore[attr-defined]  # private
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
        # Names and ids that derive from generators seeded, or read, before the snapshot.
        tempfile._name_sequence = None  # type: ignore[attr-defined]  # private
        tempfile.tempdir = None
        uuid._node = None  # type: ignore[attr-defined]  # private
        self.shell.init_environment()
        self.shell.home_dir = get_home_dir()
        self.shell.starting_dir = os.getcwd()  # noqa: PTH109  # IPython keeps a str
        self.shell.history.dir_hist[:] = [Path.cwd()]

    def begin_packages(self, options: Mapping[str, Any]) -> None:
        """Load packages when they are imported, of those that the host says it has."""
        self.packages.begin(options)
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)

    def close(self) -> None:
        """Give back everything that was replaced in this interpreter; for tests."""
        self.packages.close()
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        self._patches.undo()
        self._undo_comms()
        self.shell.restore_sys_module_state()
        type(self.shell).clear_instance()
        sys.stdout, sys.stderr = self._former_streams


def _make_shell(outlet: Outlet, host: Host, ipython_dir: str | None) -> GuestShell:
    """The one shell of this interpreter."""
    # tqdm takes a shell without this key for a terminal (tqdm/tqdm pull request 1628).
    config = Config({"IPKernelApp": {"tqdm": "a kernel"}})
    shell = ZMQInteractiveShell.instance(
        outlet=outlet, host=host, ipython_dir=ipython_dir, config=config
    )
    assert isinstance(shell, GuestShell)
    return shell
