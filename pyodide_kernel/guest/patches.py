"""Every monkey patch of the guest, each with its reason.

What WebAssembly cannot do raises a Python exception that says so and what to use instead.
`__tracebackhide__` keeps the replacements themselves out of the tracebacks that users see.
"""

from __future__ import annotations

import asyncio
import builtins
import errno
import getpass
import importlib.util
import math
import mmap
import operator
import os
import pdb
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from IPython.core import debugger

from pyodide_kernel.guest import network
from pyodide_kernel.guest.files import GuestMmap, flock_through
from pyodide_kernel.guest.host import Host


class NoProcessesError(OSError):
    """Something tried to start a process."""

    def __init__(self, what: str) -> None:
        super().__init__(
            errno.ENOTSUP,
            f"{what} can't work: WebAssembly has no processes. Use Python instead: "
            "pathlib and shutil for files, %pip for packages, a module's functions for a tool; or "
            "`!command` in a cell, which runs in a shell inside the sandbox",
        )


class Patches:
    """Replaced attributes, and their way back."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute that exists; one that does not stays away (feature tests see it)."""
        if name not in vars(owner):
            return
        former = vars(owner)[name]
        setattr(owner, name, value)
        self.later(lambda: setattr(owner, name, former))

    def call(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        """Replace a function by one that keeps its name and documentation."""
        former = vars(owner).get(name)
        if former is None:
            return
        function.__name__ = function.__qualname__ = name
        function.__doc__ = former.__doc__
        function.__module__ = getattr(former, "__module__", None) or function.__module__
        self.set(owner, name, function)

    def later(self, undo: Callable[[], None]) -> None:
        """Remember a step of the way back."""
        self._undo.append(undo)

    def undo(self) -> None:
        """Take everything back, last first."""
        while self._undo:
            self._undo.pop()()


def install(host: Host, shell: Any, *, patch_platform: bool) -> Patches:
    """Patch this interpreter for `shell`; with `patch_platform` also for WebAssembly."""
    patches = Patches()
    _questions(patches, shell)
    _debugger(patches)
    if patch_platform:
        _sleep(patches, host, shell)
        _waits(patches, host)
        _processes(patches)
        _multiprocessing(patches)
        _threads(patches)
        _sockets(patches)
        network.patch(patches, host)
        _files(patches, host)
    return patches


def _questions(patches: Patches, shell: Any) -> None:
    """`input` and `getpass` ask the front end: there is no terminal behind stdin."""
    patches.set(builtins, "input", shell.raw_input)
    patches.set(getpass, "getpass", shell.getpass)


class _PromptInterruptedError(BaseException):
    """KeyboardInterrupt on its way out of the debugger, which would swallow one."""


class GuestPdb(debugger.InterruptiblePdb):
    """IPython's debugger, for a kernel.

    An interrupt at its prompt ends the cell; IPython's own would let the code run on. And it leaves
    SIGINT alone: `continue` in pdb installs a handler that would take the kernel's interrupts.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nosigint = True

    def cmdloop(self, intro: Any = None) -> None:
        """Ask for commands."""
        try:
            super().cmdloop(intro)
        except KeyboardInterrupt:
            raise _PromptInterruptedError from None

    def interaction(self, *args: Any, **kwargs: Any) -> None:
        """Stop here and ask for commands."""
        __tracebackhide__ = True
        try:
            super().interaction(*args, **kwargs)
        except _PromptInterruptedError:
            raise KeyboardInterrupt from None


def _set_trace(frame: Any = None, header: str | None = None) -> None:
    """Start the debugger in the caller's frame."""
    prompt = GuestPdb()
    if header is not None:
        prompt.message(header)
    prompt.set_trace(frame or sys._getframe().f_back)


def _debugger(patches: Patches) -> None:
    """`pdb`, `breakpoint()` and `%debug` through `input`, in IPython's version.

    The one of the standard library asks again after an interrupt at its prompt, for ever.
    """
    patches.set(debugger, "Pdb", GuestPdb)
    patches.set(debugger, "set_trace", _set_trace)
    patches.set(pdb, "Pdb", GuestPdb)
    patches.set(pdb, "set_trace", _set_trace)


def _sleep(patches: Patches, host: Host, shell: Any) -> None:
    """Emscripten's sleep can't be interrupted, and what was printed before it should be seen."""

    def sleep(seconds: Any, /) -> None:
        __tracebackhide__ = True
        duration = seconds if isinstance(seconds, float) else operator.index(seconds)
        if math.isnan(duration):
            raise ValueError("Invalid value NaN (not a number)")
        if duration < 0:
            raise ValueError("sleep length must be non-negative")
        if duration > threading.TIMEOUT_MAX:
            raise OverflowError("timestamp too large to convert to C PyTime_t")
        shell.outlet.streams.flush()
        host.sleep(float(duration))

    patches.call(time, "sleep", sleep)


def _waits(patches: Patches, host: Host) -> None:
    """Waits on conditions, events, queues and futures that an interrupt can end.

    In Emscripten a blocking `lock.acquire` spins in C. Without threads nothing can notify the
    waiter while it blocks, so a wait is a sleep.
    """

    def wait(self: Any, timeout: float | None = None) -> bool:
        __tracebackhide__ = True
        if not self._is_owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        state = self._release_save()
        try:
            while timeout is None:
                host.sleep(3600.0)
            host.sleep(max(0.0, timeout))
        finally:
            self._acquire_restore(state)
        return False

    patches.call(threading.Condition, "wait", wait)


def _no_process(name: str) -> Callable[..., Any]:
    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        __tracebackhide__ = True
        raise NoProcessesError(name)

    return refuse


_OS_PROCESSES = (
    "system",
    "popen",
    "fork",
    "forkpty",
    "startfile",
    *(f"exec{kind}" for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *(f"spawn{kind}" for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    "posix_spawn",
    "posix_spawnp",
)


_MULTIPROCESSING = (
    *("Pool", "Manager", "Queue", "JoinableQueue", "SimpleQueue", "Event", "Condition", "Barrier"),
    *("Lock", "RLock", "Semaphore", "BoundedSemaphore"),
)


def _processes(patches: Patches) -> None:
    """Processes.

    `os.system` reaches the runtime's spawnSync: the host's shell under full permissions, the death
    of the interpreter under narrow ones. The others fail without saying why.
    """
    for name in _OS_PROCESSES:
        patches.call(os, name, _no_process(f"os.{name}()"))

    def start_process(_self: Any, args: Any = "", *_args: Any, **_kwargs: Any) -> None:
        __tracebackhide__ = True
        raise NoProcessesError(f"Starting {args!r}")

    patches.call(subprocess.Popen, "__init__", start_process)
    # Its destructor looks at attributes that the real __init__ sets first.
    patches.set(subprocess.Popen, "__del__", lambda _self: None)
    for name in ("create_subprocess_exec", "create_subprocess_shell"):
        refuse = _no_process(f"asyncio.{name}()")
        patches.call(asyncio, name, refuse)
        patches.call(asyncio.subprocess, name, refuse)


def _multiprocessing(patches: Patches) -> None:
    """Pools and what belongs to them.

    The module that implements them is missing, which they report as an error of the build.
    """
    import multiprocessing.context
    from concurrent.futures.process import ProcessPoolExecutor

    start = _no_process("multiprocessing.Process.start()")
    patches.call(multiprocessing.process.BaseProcess, "start", start)
    for name in _MULTIPROCESSING:
        for owner in (multiprocessing.context.BaseContext, multiprocessing):
            patches.call(owner, name, _no_process(f"multiprocessing.{name}()"))
    patches.call(ProcessPoolExecutor, "__init__", _no_process("ProcessPoolExecutor()"))


def _threads(patches: Patches) -> None:
    """Threads: the exception is Python's own, with the reason and the way out added."""
    import _thread

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        __tracebackhide__ = True
        raise RuntimeError(
            "can't start new thread: WebAssembly has no threads here. Use asyncio "
            "(asyncio.create_task, asyncio.gather), or call the function directly"
        )

    def start(_self: threading.Thread) -> None:
        __tracebackhide__ = True
        refuse()

    patches.call(threading.Thread, "start", start)
    for name in ("start_new_thread", "start_new", "start_joinable_thread"):
        patches.set(_thread, name, refuse)


def _sockets(patches: Patches) -> None:
    """Servers: in Node's socket layer under Deno these two end the interpreter."""

    def refuse(*_args: Any, **_kwargs: Any) -> Any:
        __tracebackhide__ = True
        raise OSError(
            errno.ENOTSUP,
            "WebAssembly can't listen for connections, and has no socket pairs. "
            "Use asyncio queues and events inside the kernel, or a server outside of it",
        )

    def listen(_self: Any, _backlog: int = 0, /) -> None:
        """Refuse: nothing can connect to WebAssembly."""
        __tracebackhide__ = True
        refuse()

    # The class inherits it from one in C, which can't be changed.
    socket.socket.listen = listen  # type: ignore[method-assign]  # a patch
    patches.later(lambda: delattr(socket.socket, "listen"))
    patches.call(socket, "socketpair", refuse)


def _files(patches: Patches, host: Host) -> None:
    """What Emscripten leaves out of files, see `files`."""
    patches.set(mmap, "mmap", GuestMmap)
    if importlib.util.find_spec("fcntl"):  # not on Windows, where only tests run this
        import fcntl

        patches.call(fcntl, "flock", flock_through(host))
