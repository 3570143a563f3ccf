"""Where JavaScript meets the guest: the only module that imports `pyodide` or `js`.

Nothing of either is imported at module level, since this module lives in a memory snapshot. The
worker calls `prepare` in an interpreter that it boots, `rehearse` if it makes a snapshot of it, and
`start` in each session, whether the interpreter was booted or restored; that binds the doors to the
outside. It also holds the rules of interrupts:

* Pyodide polls the shared signal cell and calls our SIGINT handler. The handler raises
  KeyboardInterrupt only where the innermost frame is code that the user runs. Inside the event
  loop, Pyodide or the guest an exception would lose futures or break Pyodide, so the handler puts
  the signal back and it comes again a moment later.
* While a cell waits (`await`, `asyncio.run`, `run_sync`) no Python runs that could poll. The worker
  then calls `interrupt`, which cancels the innermost wait.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from pyodide_kernel.bridge.messages import (
    MAX_MESSAGE_BYTES,
    MESSAGE_TYPES,
    Message,
    decode_body,
    encode_body,
)
from pyodide_kernel.guest import after_import, programs, rehearsal
from pyodide_kernel.guest.kernel import GuestKernel
from pyodide_kernel.guest.network import NO_SOCKETS
from pyodide_kernel.guest.rehearsal import ClosedDoors

_OWN_MODULES = ("asyncio", "pyodide", "_pyodide", "pyodide_js", "pyodide_kernel")
"""Frames of these are never interrupted by an exception."""

_STANDARD_LIBRARY = (f"{Path(os.__file__).parent}/", "<frozen ")

_USER_CODE = (
    InteractiveShell.run_code.__code__,
    asyncio.Handle._run.__code__,
    programs.run_user_code.__code__,
)
"""A frame below one of these is run by the user: of a cell, a task or callback, or a program."""


class Wait:
    """One `run_sync` that has not returned."""

    def __init__(self, task: asyncio.Future[Any]) -> None:
        self.task = task
        self.interrupted = False

    def interrupt(self) -> bool:
        """Cancel what is waited for; False if it is done, so that there is nothing to cancel."""
        self.interrupted = self.task.cancel()
        return self.interrupted


class PyodideHost:
    """The doors of the guest, and the waits that an interrupt can end. Implements `Host`."""

    def __init__(self) -> None:
        from pyodide.ffi import run_sync, to_js

        self._doors: Any = ClosedDoors()
        self._to_js = to_js
        self._run_sync = run_sync
        self._questions = 0
        self._waits: list[Wait] = []
        self._flush: Callable[[], None] = lambda: None
        self._tick: Callable[[], None] = lambda: None
        self._note_interrupt: Callable[[], None] = lambda: None
        self._flush_scheduled = False
        self._current_id: Callable[[], str] = lambda: ""
        self.message_limit = MAX_MESSAGE_BYTES
        self.busy = 0
        """How many requests are being worked on, those that wait included."""

    def connect(self, doors: Any) -> None:
        """Begin a session: what is said goes out through these doors from now on."""
        self._doors = doors
        self._questions = 0
        # A timer that was set before a snapshot never fires.
        self._flush_scheduled = False

    def bind(self, kernel: GuestKernel) -> None:
        """Connect the kernel, which is made with this host."""
        self._flush = kernel.flush
        self._tick = kernel.tick
        self._note_interrupt = kernel.note_interrupt
        self._current_id = kernel.shell.outlet.parent.current_id

    def emit(self, message: Message) -> None:
        """Send a message."""
        if message.msg_type.endswith("_reply"):
            self._settle()
        self._post(message, encode_body(message))

    def _post(self, message: Message, body: bytes) -> None:
        to_js = self._to_js
        buffers = to_js([to_js(memoryview(buffer).cast("B")) for buffer in message.buffers])
        self._doors.post(message.msg_type, message.id, message.parent_id, to_js(body), buffers)

    def ask(self, msg_type: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a question and block until its answer is here."""
        __tracebackhide__ = True
        self.flush()
        self._questions += 1
        question = Message(
            msg_type=msg_type,
            id=f"question-{self._questions}",
            parent_id=self._current_id(),
            content=content,
        )
        body = self._to_js(encode_body(question))
        answer = self._doors.ask(msg_type, question.id, question.parent_id, body)
        if answer is None:
            self._raise_interrupt()
            return {"status": "error", "ename": "KeyboardInterrupt", "evalue": "interrupted"}
        reply, _ = decode_body(answer.to_bytes())
        return reply

    def new_fetch_id(self) -> str:
        """A name for a fetch or for a read of one, which no other interpreter has had."""
        name: str = self._doors.fetches.newId()
        return name

    def exchange(self, message: Message) -> Message:
        """Ask the host's network and block until the answer is here."""
        __tracebackhide__ = True
        self.flush()
        answer = self._doors.fetches.askNow(*self._question(message))
        if answer is None:
            self._cancel_fetch(message)
            self._raise_interrupt()
            raise ConnectionAbortedError(errno.ECONNABORTED, "the fetch was interrupted")
        return _answer(message, answer)

    async def exchange_async(self, message: Message) -> Message:
        """Ask the host's network and let other tasks run until the answer is here."""
        try:
            answer = await self._doors.fetches.ask(*self._question(message))
        except asyncio.CancelledError:
            self._cancel_fetch(message)
            raise
        return _answer(message, answer)

    def _question(self, message: Message) -> tuple[Any, ...]:
        to_js = self._to_js
        buffers = to_js([to_js(memoryview(buffer).cast("B")) for buffer in message.buffers])
        return message.msg_type, message.id, to_js(encode_body(message)), buffers

    def _cancel_fetch(self, message: Message) -> None:
        fetch = message.content.get("fetch", message.id)
        self.emit(Message(msg_type="fetch_cancel", content={"fetch": fetch}))

    def sleep(self, seconds: float) -> None:
        """Block; an interrupt ends it at once."""
        __tracebackhide__ = True
        self.flush()
        end = time.monotonic() + seconds
        while not self._doors.sleep(max(0.0, end - time.monotonic()) * 1000):
            self._raise_interrupt()

    def _raise_interrupt(self) -> None:
        """Do what the SIGINT handler of the user's choice does: usually raise KeyboardInterrupt."""
        __tracebackhide__ = True
        self._doors.takeInterrupt()
        handler = signal.getsignal(signal.SIGINT)
        if handler == self.on_sigint:
            raise KeyboardInterrupt
        if callable(handler):
            handler(signal.SIGINT, sys._getframe())

    def run_sync(self, awaitable: Awaitable[Any]) -> Any:
        """Drive an awaitable to its end, other tasks running meanwhile, and return its result."""
        __tracebackhide__ = True
        self.flush()
        task = asyncio.ensure_future(awaitable)
        done = asyncio.get_running_loop().create_future()
        task.add_done_callback(lambda _: done.set_result(None))
        wait = Wait(task)
        self._waits.append(wait)
        try:
            self._run_sync(done)
        finally:
            self._waits.remove(wait)
        try:
            return task.result()
        except asyncio.CancelledError as error:
            if not wait.interrupted:
                raise
            raise KeyboardInterrupt().with_traceback(error.__traceback__) from None

    async def run_bash(
        self,
        script: str,
        place: Mapping[str, Any],
        write: Callable[[str, str], None],
        program: Callable[[programs.Call], programs.Ended],
    ) -> tuple[int, bool]:
        """Run a script of bash; its exit code, and whether an interrupt ended it."""
        from pyodide.ffi import create_proxy

        # JavaScript calls back in no context of Python's.
        context = contextvars.copy_context()

        def run_program(call: str, stdin: Any) -> Any:
            wanted = programs.call_of(json.loads(call), stdin.to_bytes())
            ended = context.copy().run(program, wanted)
            return self._to_js([ended.code, ended.stdout, ended.stderr, ended.interrupted])

        def write_there(name: str, text: str) -> None:
            context.run(write, name, text)

        bash = await self._doors.bash()
        proxies = [create_proxy(write_there), create_proxy(run_program)]
        running = bash.start(script, json.dumps(place), *proxies)
        try:
            try:
                outcome = await running.done
            except asyncio.CancelledError:
                running.stop()
                await running.done
                raise
        finally:
            for proxy in proxies:
                proxy.destroy()
        return outcome.code, outcome.interrupted

    def mark_dirty(self) -> None:
        """Output waits in a buffer: have it sent soon, by the broker's tick or the event loop."""
        self._doors.setDirty(True)
        if not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_event_loop().call_later(0.02, self._scheduled_flush)

    def _scheduled_flush(self) -> None:
        self._flush_scheduled = False
        self.tick()

    def flush(self) -> None:
        """Send buffered output now."""
        self._doors.setDirty(False)
        self._flush()

    def tick(self) -> None:
        """Send output that has waited for a while."""
        self._doors.setDirty(False)
        self._tick()

    def lock(self, descriptor: int, operation: int) -> int:
        """Take or release a lock on a file of the host: 0 or an errno. Never waits."""
        number: int = self._doors.lock(descriptor, operation)
        return number

    def mount_image(self, folder: str, library: bool) -> None:
        """Show a package, or a library, of which the host has named the image."""
        self._doors.packages.add(folder, library)

    def unmount_image(self, folder: str) -> None:
        """Take a package away again."""
        self._doors.packages.remove(folder)

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def on_sigusr1(self, _signum: int, _frame: FrameType | None) -> None:
        """Send buffered output while a cell computes; the broker asks for it."""
        self.tick()

    def on_sigint(self, _signum: int, frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt in user code; elsewhere put the signal back for later."""
        __tracebackhide__ = True
        if not self.busy:
            return
        if _is_user_code(frame):
            raise KeyboardInterrupt
        self._doors.rearmInterrupt()
        self._doors.checkSoon()

    def interrupt(self) -> None:
        """Called when the event loop is free: if an interrupt still waits, end the present wait."""
        if not self._doors.interruptWaits():
            return
        self._doors.takeInterrupt()
        self.cancel_wait()

    def cancel_wait(self) -> None:
        """End the innermost wait, if there is one."""
        if not self._waits:
            return
        self._note_interrupt()
        if not self._waits[-1].interrupt():
            # What it waited for is done; the code behind it is next, and gets the interrupt.
            self._doors.rearmInterrupt()

    def end_wait(self) -> None:
        """A task ended in KeyboardInterrupt: the cell that waits, for it or not, ends too."""
        if self._waits:
            self._note_interrupt()
            self._waits[-1].interrupt()

    def _settle(self) -> None:
        """A request is over: whatever signal is left was meant for it.

        This comes before its reply, after which the next signal may be for the next request.
        """
        self.busy -= 1
        if not self.busy:
            self._doors.takeInterrupt()


def _answer(question: Message, answer: Any) -> Message:
    content, _ = decode_body(answer.body.to_bytes())
    return Message(
        msg_type=MESSAGE_TYPES[question.msg_type].reply or "",
        parent_id=question.id,
        content=content,
        buffers=[buffer.to_bytes() for buffer in answer.buffers],
    )


def _is_user_code(frame: FrameType | None) -> bool:
    """Whether an exception raised in this frame meets nobody but the user's own code.

    A frame of the standard library counts as its caller's: `abc` may work for a user's
    `isinstance` or for Pyodide in the middle of a conversion. So does one of our import hook, below
    which all of a module may run.
    """
    while frame is not None and _is_for_its_caller(frame):
        frame = frame.f_back
    if frame is None or _module(frame) in _OWN_MODULES:
        return False
    while frame is not None:
        if frame.f_code in _USER_CODE:
            return True
        frame = frame.f_back
    return False


def _is_for_its_caller(frame: FrameType) -> bool:
    if frame.f_globals.get("__name__") == after_import.__name__:
        return True
    return _module(frame) not in _OWN_MODULES and _is_standard(frame)


def _is_standard(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_STANDARD_LIBRARY)


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name.partition(".")[0] if isinstance(name, str) else ""


def _patch_pyodide(host: PyodideHost) -> None:
    """Route Pyodide's waits through ours, so that an interrupt ends them.

    `asyncio.run` and `run_until_complete` use the `run_sync` of `pyodide.webloop`. A
    KeyboardInterrupt or SystemExit that leaves a task would become an unhandled rejection in
    JavaScript (pyodide's WebLoop re-raises it there); the wait of the cell reports it instead.
    """
    import pyodide.ffi
    import pyodide.webloop

    pyodide.ffi.run_sync = host.run_sync
    pyodide.webloop.run_sync = host.run_sync
    loop: Any = asyncio.get_event_loop()
    loop._keyboard_interrupt_handler = host.end_wait
    loop._system_exit_handler = lambda _code: None
    for name in ("create_connection", "create_datagram_endpoint", "sock_connect"):
        setattr(loop, name, _no_sockets)


async def _no_sockets(*_args: Any, **_options: Any) -> Any:
    """Say what Pyodide's loop only hints at: there are no connections but those of HTTP."""
    __tracebackhide__ = True
    raise OSError(errno.ENOTSUP, NO_SOCKETS)


def _patch_loader(kernel: GuestKernel) -> None:
    """`pyodide_js.loadPackage` asks the host too: Pyodide's own has no network here."""
    import pyodide_js
    from pyodide.ffi import create_proxy, to_js

    async def load_package(names: Any, *_options: Any, **_more: Any) -> Any:
        names = names.to_py() if hasattr(names, "to_py") else names
        wanted = [names] if isinstance(names, str) else [str(name) for name in names]
        return to_js(kernel.packages.load(wanted))

    async def load_imports(code: str, *_options: Any, **_more: Any) -> Any:
        kernel.packages.prepare_cell(code, lambda text: text)
        return to_js([])

    pyodide_js.loadPackage = create_proxy(load_package)
    pyodide_js.loadPackagesFromImports = create_proxy(load_imports)


def _change_folder(path: str) -> None:
    """Make it the current one; the home folder if it lies in a mount and is gone from the host."""
    home = Path.home()
    home.mkdir(parents=True, exist_ok=True)
    try:
        os.chdir(path)
    except OSError:
        os.chdir(home)


_prepared: tuple[PyodideHost, GuestKernel] | None = None
"""What `prepare` made. It is kept here since a snapshot keeps nothing that JavaScript holds."""


def _guest() -> tuple[PyodideHost, GuestKernel]:
    assert _prepared is not None, "prepare comes first"
    return _prepared


def prepare() -> None:
    """Make the shell; nothing in it belongs to a session yet."""
    global _prepared
    host = PyodideHost()
    _patch_pyodide(host)
    kernel = GuestKernel(host)
    host.bind(kernel)
    _prepared = host, kernel


def rehearse() -> None:
    """Do once what a session does, so that a snapshot holds what that takes."""
    rehearsal.rehearse(_guest()[1])


def start(doors: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a session and connect it; what the worker may call, by name.

    `options` has `env` (variables), `cwd`, `argv`, `message_limit`, `problem`, why a snapshot was
    not used, and `marks`, when the phases of the start ended.
    """
    host, kernel = _guest()
    host.connect(doors)
    host.message_limit = options["message_limit"]
    signal.signal(signal.SIGINT, host.on_sigint)
    signal.signal(signal.SIGUSR1, host.on_sigusr1)
    # Pyodide puts paths of the host's program there, and "" in front of `sys.path` at each start.
    sys.executable = ""
    sys.argv = ["", *options["argv"]]
    sys.path[:] = ["", *(path for path in sys.path if path)]
    os.environ.clear()
    os.environ.update(options["env"])
    _change_folder(options["cwd"])
    kernel.begin_session()
    kernel.begin_packages(options.get("packages") or {})
    _patch_loader(kernel)
    # What there is before the first cell is garbage never: a collection, of which IPython makes one
    # at each reset and at exit, took longer over it than all else that it does.
    gc.freeze()
    ready = {
        "execution_count": kernel.execution_count,
        "python": sys.version.split()[0],
        "problem": options["problem"],
        "marks": options["marks"],
    }
    host.emit(Message(msg_type="ready", content=ready))
    return {
        "handle": partial(_handle, host, kernel),
        "interrupt": host.interrupt,
        "flush": host.flush,
        "write": _write,
    }


def _handle(
    host: PyodideHost,
    kernel: GuestKernel,
    msg_type: str,
    message_id: str,
    parent_id: str,
    body: Any,
    buffers: Any,
) -> None:
    content, metadata = decode_body(body.to_bytes())
    message = Message(
        msg_type=msg_type,
        id=message_id,
        parent_id=parent_id,
        content=content,
        metadata=metadata,
        buffers=[buffer.to_bytes() for buffer in buffers],
    )
    host.busy += msg_type.endswith("_request")
    kernel.handle(message)


def _write(fd: int, data: Any) -> None:
    stream = sys.stdout if fd == 1 else sys.stderr
    stream.buffer.write(data.to_bytes())
