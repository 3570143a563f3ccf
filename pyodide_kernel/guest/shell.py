"""IPython's shell in the guest."""

from __future__ import annotations

import asyncio
import inspect
import os
import subprocess
import sys
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from IPython.core import oinspect, page
from IPython.core.autocall import ZMQExitAutocall
from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell, InteractiveShellABC
from IPython.core.usage import default_banner
from IPython.utils.text import LSString, SList
from traitlets import Any as AnyTrait
from traitlets import CBool, Instance, Type, default

from pyodide_kernel.guest.bash import Bash, pip_arguments
from pyodide_kernel.guest.completer import GuestCompleter
from pyodide_kernel.guest.display import GuestDisplayHook, GuestDisplayPublisher, Outlet
from pyodide_kernel.guest.errors import Tracebacks, bounded, group_lines, users_part
from pyodide_kernel.guest.formatting import GuestDisplayFormatter
from pyodide_kernel.guest.history import SessionHistory
from pyodide_kernel.guest.magics import KernelMagics, take_scripts
from pyodide_kernel.guest.packages import Packages
from pyodide_kernel.guest.pip import Pip
from pyodide_kernel.guest.programs import INTERRUPTED

ENVIRONMENT = {
    # A terminal that understands colours, for libraries that ask.
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "FORCE_COLOR": "1",
    "CLICOLOR_FORCE": "1",
    # No pager can run.
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    # Figures appear without a magic.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
}

_ALIASES = {
    **{name: name for name in ("mkdir", "rmdir", "mv", "rm", "cp", "cat")},
    "ls": "ls -F",
    "ll": "ls -F -l",
    "lf": "ls -F -l %l | grep ^-",
    "lk": "ls -F -l %l | grep ^l",
    "ldir": "ls -F -l %l | grep /$",
    "lx": "ls -F -l %l | grep ^-..x",
}
"""IPython's, which depend on the platform for `ls`."""


@contextmanager
def _without_html() -> Iterator[None]:
    """Inside, IPython formats no source code as HTML."""
    former = oinspect.pylight
    oinspect.pylight = lambda _code: ""
    try:
        yield
    finally:
        oinspect.pylight = former


class GuestShell(InteractiveShell):
    """IPython whose every output is a message, whose input is a question to the front end."""

    outlet = Instance(Outlet)
    host = AnyTrait()
    kernel = AnyTrait()
    packages: Packages
    pip: Pip
    bash: Bash

    displayhook_class = Type(GuestDisplayHook)  # type: ignore[assignment]  # IPython's pattern
    display_pub_class = Type(GuestDisplayPublisher)  # type: ignore[assignment]  # IPython's pattern
    exiter = Instance(ZMQExitAutocall)
    autoindent = CBool(False)
    readline_use = CBool(False)

    displayhook: GuestDisplayHook
    history: SessionHistory
    keepkernel_on_exit: bool | None = None
    allow_stdin = False
    interrupted = False
    """An interrupt cancelled what the running cell waited for."""

    last_error: tuple[str, str, list[str]] | None = None
    """Name, value and traceback of the last `error` of the running cell."""

    failed_while_displaying = False

    # --- set up -----------------------------------------------------------------------------------

    @default("exiter")
    def _default_exiter(self) -> ZMQExitAutocall:
        return ZMQExitAutocall(self)

    @default("banner1")
    def _default_banner1(self) -> str:
        banner: str = default_banner
        return banner

    @default("loop_runner")
    def _default_loop_runner(self) -> Any:
        # The map is what `%autoawait asyncio` looks into.
        self.loop_runner_map = {**self.loop_runner_map, "asyncio": (self.run_async_cell, True)}
        return self.run_async_cell

    def init_environment(self) -> None:
        """Tell libraries what can be shown here; what the session sets itself stands."""
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)

    def init_virtualenv(self) -> None:
        """There are none here."""

    def init_display_formatter(self) -> None:
        """Make the formatter of results and displays."""
        self.display_formatter = GuestDisplayFormatter(parent=self)
        self.configurables.append(self.display_formatter)  # type: ignore[arg-type]  # as below

    def init_history(self) -> None:
        """History of this session, in memory."""
        self.history = self.history_manager = SessionHistory(shell=self, parent=self)
        self.configurables.append(self.history)  # type: ignore[arg-type]  # a list of any kind

    def init_hooks(self) -> None:
        """Page through payloads."""
        super().init_hooks()
        self.set_hook("show_in_pager", page.as_hook(self.show_in_pager), 99)

    def init_completer(self) -> None:
        """Complete from the objects that are there before anything is analysed."""
        super().init_completer()
        made = self.Completer
        self.configurables.remove(made)  # type: ignore[arg-type]  # a list of any kind
        self.Completer = GuestCompleter(
            shell=self,
            namespace=self.user_ns,
            global_namespace=self.user_global_ns,
            parent=self,
        )
        self.Completer.custom_completers = made.custom_completers
        self.configurables.append(self.Completer)  # type: ignore[arg-type]  # as above

    def init_magics(self) -> None:
        """IPython's magics and the kernel's."""
        super().init_magics()
        self.register_magics(KernelMagics)
        self.magics_manager.register_alias("ed", "edit")
        take_scripts(self)

    def init_alias(self) -> None:
        """IPython's aliases, with options of `ls` that there are."""
        super().init_alias()
        manager = self.alias_manager
        assert manager is not None
        manager.clear_aliases()
        manager.default_aliases = [*_ALIASES.items()]
        manager.init_aliases()

    def object_inspect_mime(self, *args: Any, **kwargs: Any) -> Any:
        """What is known of an object, in the forms that are sent.

        HTML, which is not unless `enable_html_pager` is set, takes longer than all the rest.
        """
        if self.enable_html_pager:
            return super().object_inspect_mime(*args, **kwargs)
        with _without_html():
            bundle = super().object_inspect_mime(*args, **kwargs)
        bundle.pop("text/html", None)
        return bundle

    # --- running cells ----------------------------------------------------------------------------

    def run_async_cell(self, cell: Coroutine[Any, Any, ExecutionResult]) -> ExecutionResult:
        """Drive a cell with a top-level await to its end; IPython calls this for such cells.

        The host may raise KeyboardInterrupt although IPython has ended the cell, its error shown
        (see `as_interrupt`): then the cell's own outcome stands.
        """
        ended: list[ExecutionResult] = []

        async def run() -> None:
            ended.append(await cell)

        try:
            self.host.run_sync(run())
        except KeyboardInterrupt:
            if not ended:
                raise
        finally:
            if inspect.getcoroutinestate(cell) == inspect.CORO_CREATED:
                cell.close()  # or Python warns that nobody awaited it
        return ended[0]

    def run_cell(self, raw_cell: str, *args: Any, **kwargs: Any) -> Any:
        """Run a cell, sync or async, and fire all its hooks; load what it imports first."""
        self.packages.prepare_cell(raw_cell, self.transform_cell)
        self.last_error = None
        self._last_traceback: list[str] | None = None
        self.failed_while_displaying = False
        self.displayhook.formatting = False
        return super().run_cell(raw_cell, *args, **kwargs)

    @contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """Nothing: IPython would keep all that a cell prints, and slow every print down.

        It does so for `%notebook`, which here saves everything but printed text.
        """
        yield

    # --- what goes out ----------------------------------------------------------------------------

    def init_traceback_handlers(self, custom_exceptions: Any) -> None:
        """Make the objects that format errors, ours for tracebacks."""
        super().init_traceback_handlers(custom_exceptions)
        self.InteractiveTB = Tracebacks(mode=self.xmode, theme_name=self.colors, tb_offset=1)
        self.InteractiveTB.set_mode(mode=self.xmode)

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        """Show an exception.

        Exception groups become an `error` like any other exception; IPython prints them to stderr.
        """
        _, value, trace = exc_tuple or sys.exc_info()
        if isinstance(value, BaseExceptionGroup):
            self._get_exc_info((type(value), value, trace))  # so that %debug and %tb find it
            self._showtraceback(type(value), value, group_lines(value))
            if self.call_pdb:
                self.debugger(force=True)
            return
        if isinstance(value, BaseException):
            value = self.as_interrupt(value).with_traceback(users_part(trace))
            exc_tuple = (type(value), value, value.__traceback__)
        super().showtraceback(exc_tuple, *args, **kwargs)

    def as_interrupt(self, error: BaseException) -> BaseException:
        """The error itself, or the KeyboardInterrupt behind a wait that an interrupt cancelled.

        IPython catches the CancelledError inside the cell, where nothing tells why it came.
        """
        if self.interrupted and isinstance(error, asyncio.CancelledError):
            return KeyboardInterrupt()
        return error

    def _showtraceback(self, etype: type, evalue: Any, stb: list[str]) -> None:
        name, value, lines = bounded(etype.__name__, str(evalue), list(stb))
        if self.displayhook.formatting:
            self.failed_while_displaying = True
        self.last_error = (name, value, lines)
        self._last_traceback = lines
        self.outlet.send("error", {"ename": name, "evalue": value, "traceback": lines})

    def show_in_pager(
        self, text: Any, start: int = 0, screen_lines: int = 0, pager_cmd: str | None = None
    ) -> None:
        """Give text, or a bundle of several forms of it, to the front end's pager."""
        data = text if isinstance(text, dict) else {"text/plain": text}
        self._payload({"source": "page", "data": data, "start": max(0, start)})

    def set_next_input(self, s: str, replace: bool = False) -> None:
        """Put text into the next cell, or with `replace` into this one."""
        self._payload({"source": "set_next_input", "text": s, "replace": replace})

    def ask_exit(self) -> None:
        """Ask the front end to end the kernel, or with `exit(keep_kernel=True)` to leave it."""
        self.exit_now = not self.keepkernel_on_exit
        self._payload({"source": "ask_exit", "keepkernel": bool(self.keepkernel_on_exit)})

    def _payload(self, payload: dict[str, Any]) -> None:
        assert self.payload_manager is not None
        self.payload_manager.write_payload(payload)

    # --- what comes in ----------------------------------------------------------------------------

    def raw_input(self, prompt: object = "", /) -> str:
        """Ask the user for a line; this is `input` in the guest."""
        __tracebackhide__ = True
        return self._ask(str(prompt), password=False)

    def getpass(
        self, prompt: str = "Password: ", stream: Any = None, *, echo_char: str | None = None
    ) -> str:
        """Ask the user for a password; this is `getpass.getpass` in the guest."""
        __tracebackhide__ = True
        if stream is not None:
            warnings.warn("getpass's `stream` is ignored in a kernel", UserWarning, stacklevel=2)
        return self._ask(prompt, password=True)

    def _ask(self, prompt: str, *, password: bool) -> str:
        __tracebackhide__ = True
        if not self.allow_stdin:
            raise StdinNotImplementedError(
                f"{'getpass' if password else 'input'} was called, but this front end does not "
                "support questions to the user (allow_stdin is false)"
            )
        self.outlet.streams.flush()
        answer = self.host.ask("input_request", {"prompt": prompt, "password": password})
        if answer.get("status") == "ok":
            return str(answer["value"])
        name, text = answer.get("ename"), str(answer.get("evalue", ""))
        kind = {"EOFError": EOFError, "KeyboardInterrupt": KeyboardInterrupt}.get(str(name))
        raise kind(text) if kind else RuntimeError(f"the question was not answered: {name} {text}")

    # --- commands of the shell --------------------------------------------------------------------

    def system(self, cmd: str) -> None:
        """Run `!command` in the shell of the sandbox; its exit code is `_exit_code`.

        A line that only runs pip is `%pip`, errors and all. Raises KeyboardInterrupt.
        """
        __tracebackhide__ = True
        line = self._shell_line(cmd, depth=2)
        if (arguments := pip_arguments(line)) is not None:
            self.user_ns["_exit_code"] = 1
            self.pip.run(arguments)
            self.user_ns["_exit_code"] = 0
            return
        self.user_ns["_exit_code"] = INTERRUPTED
        code = self.bash.run(line, sys.stdout, sys.stderr)
        self._note_exit_code(code, cmd)

    system_piped = system_raw = system

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> Any:
        """What `!!command` prints, to stdout and stderr, as a list of lines or as one text."""
        __tracebackhide__ = True
        line = self._shell_line(cmd, depth=depth + 2)
        text, code = self.bash.output(line)
        self._note_exit_code(code, cmd)
        return SList(text.splitlines()) if split else LSString(text)

    def _shell_line(self, cmd: str, depth: int) -> str:
        """The line with the values of Python's variables; `depth` counts frames from here."""
        if cmd.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")  # as IPython says it
        return str(self.var_expand(cmd, depth=depth))

    def _note_exit_code(self, code: int, cmd: str) -> None:
        __tracebackhide__ = True
        self.user_ns["_exit_code"] = code
        if code and self.system_raise_on_error:
            raise subprocess.CalledProcessError(code, cmd)

    # --- what does not exist here -----------------------------------------------------------------

    def enable_gui(self, gui: Any = None) -> None:
        """Nothing to enable; say so if somebody asks for a window."""
        if gui not in (None, "inline", "agg", "none"):
            warnings.warn(f"there are no windows in WebAssembly: {gui!r} is ignored", stacklevel=2)

    def enable_matplotlib(self, gui: str | None = None) -> Any:
        """Show figures inline, unless another backend is named."""
        return super().enable_matplotlib(gui or "inline")


class ZMQInteractiveShell(GuestShell):
    """GuestShell under the name by which rich, pandas and others recognise a Jupyter kernel."""

    __module__ = "ipykernel.zmqshell"  # plotly looks at this too


InteractiveShellABC.register(GuestShell)
