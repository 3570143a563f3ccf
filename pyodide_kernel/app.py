"""The kernel as a process: ipykernel's sockets, heartbeat and connection file around our kernel."""

# mypy: disallow-untyped-calls=False
# ipykernel's and IPython's functions have no annotations.

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import zmq
from ipykernel.control import ControlThread
from ipykernel.kernelapp import IPKernelApp
from jupyter_client.session import Session
from jupyter_core.paths import jupyter_config_path
from tornado.ioloop import IOLoop
from traitlets import Dict, TraitError, Type
from traitlets.config import Application, Config, Configurable
from traitlets.config.loader import DeferredConfigString
from zmq.eventloop.zmqstream import ZMQStream

from pyodide_kernel.connection import check_connection_file
from pyodide_kernel.errors import ConfigurationError, PyodideKernelError
from pyodide_kernel.kernel import PyodideKernel
from pyodide_kernel.options import Assignment, KernelOptions
from pyodide_kernel.publisher import WelcomingThread, end_tasks
from pyodide_kernel.session import KernelSession

END_SIGNALS: Final = ("SIGTERM", "SIGHUP")
"""They end the process like a shutdown request; SIGHUP does not exist on Windows."""


class PyodideKernelApp(IPKernelApp):
    """ipykernel's app without what belongs to a Python in the same process.

    No IPython profile, no shell, no subshell thread, no debugger; the process's own stdout and
    stderr stay what they are.
    """

    name = "pyodide-kernel"
    classes = [PyodideKernel, KernelSession]  # type: ignore[assignment]  # noqa: RUF012  # traitlets
    aliases = Dict({})
    flags = Dict({})
    kernel_class = Type(PyodideKernel, klass=PyodideKernel)
    raise_config_file_errors = True

    ended_by: int | None = None
    """The signal that ended the process, if one did."""
    exit_code = 0
    closed = False
    owns_connection_file = False
    kernel_arguments: Mapping[str, Any] = MappingProxyType({})

    def _session_default(self) -> Session:
        return KernelSession(parent=self)

    # Configuration

    def configure(self, options: KernelOptions) -> None:
        """Take over the options. Raises ConfigurationError.

        The command line wins over the environment, that over the kernelspec, that over the
        configuration file.
        """
        try:
            self._load_configuration(options.config_file)
            for assignments in (options.baked, options.environment, options.command_line):
                self.update_config(self._config_of(assignments))
            if options.log_level:
                self.log_level = options.log_level
        except TraitError as error:
            raise ConfigurationError(str(error)) from error
        self.connection_file = options.connection_file or ""
        self._take_in_log()

    def _take_in_log(self) -> None:
        """Let our modules, which know no app, log where the app does: to the real stderr."""
        log = logging.getLogger(__package__)
        log.handlers = list(self.log.handlers)
        log.setLevel(self.log.level)
        log.propagate = False

    def _load_configuration(self, path: str | None) -> None:
        file = Path(path) if path else Path(self.config_file_name)
        if path and not file.exists():
            raise ConfigurationError(f"There is no configuration file {path}")
        folders = [str(file.parent)] if path else jupyter_config_path()
        try:
            Application.load_config_file(self, file.name, path=folders)
        except Exception as error:  # it is Python and may raise anything
            reason = f"{type(error).__name__}: {error}"
            raise ConfigurationError(f"Configuration file {file} fails: {reason}") from error

    def _config_of(self, assignments: Sequence[Assignment]) -> Config:
        config = Config()
        for target, value in assignments:
            section, _, trait = target.partition(".")
            if trait not in self._settable(section):
                raise ConfigurationError(f"--{target}: there is no such setting")
            config[section][trait] = (
                DeferredConfigString(value) if isinstance(value, str) else value
            )
        return config

    def _settable(self, section: str) -> Mapping[str, Any]:
        """The traits that `--section.trait` may name."""
        for base in {*type(self).mro(), *PyodideKernel.mro(), *KernelSession.mro()}:
            if base.__name__ == section and issubclass(base, Configurable):
                return dict(base.class_traits(config=True))
        return {}

    # Start

    def initialize(self, argv: Any = None) -> None:
        """Make the kernel, let its interpreter start, and bind the sockets meanwhile.

        `configure` comes before; `argv` is there for the base class's sake. Raises
        PyodideKernelError.
        """
        self.init_connection_file()
        self.init_kernel()
        self.init_poller()
        try:
            self.init_sockets()
            self.init_heartbeat()
            self.write_connection_file()
        except (zmq.ZMQError, OSError) as error:
            raise ConfigurationError(
                f"Can't open the channels of {self.abs_connection_file}: {error}"
            ) from error
        self.log_connection_info()
        self.init_signal()
        self._connect_kernel()

    def init_connection_file(self) -> None:
        """Read the connection file, or prepare to write one that does not exist yet."""
        places = (Path(self.connection_file), Path(self.abs_connection_file))
        if found := [path for path in places if path.exists()]:
            check_connection_file(found[0])
        else:
            self.owns_connection_file = True
        try:
            super().init_connection_file()
        except OSError as error:
            raise ConfigurationError(
                f"Can't write the connection file {self.abs_connection_file}: {error.strerror}"
            ) from error

    def init_control(self, context: zmq.Context[Any]) -> None:
        """The control channel alone: no debugger socket, no thread for subshells."""
        self.control_socket = context.socket(zmq.ROUTER)
        self.control_socket.linger = 1000
        self.control_socket.router_handover = 1
        self._apply_curve_server_options(self.control_socket)
        self.control_port = self._bind_socket(self.control_socket, self.control_port)
        self.control_thread = ControlThread(daemon=True)

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """The iopub channel, without a limit after which messages to slow clients are lost.

        What may pile up is bounded by the output limit of a cell. There is no pipe for forked
        processes either: nothing forks here, and it would listen on a TCP port.
        """
        self.iopub_socket = context.socket(zmq.XPUB)
        self.iopub_socket.linger = 1000
        self.iopub_socket.sndhwm = 0
        self.iopub_socket.setsockopt(zmq.XPUB_MANUAL, 1)
        self._apply_curve_server_options(self.iopub_socket)
        self.iopub_port = self._bind_socket(self.iopub_socket, self.iopub_port)
        self.configure_tornado_logger()
        self.iopub_thread = WelcomingThread(self.iopub_socket, session=self.session)
        self.iopub_thread.start()
        self.iopub_socket = self.iopub_thread.background_socket

    def log_connection_info(self) -> None:
        """Log it, and note the ports for connect_request; the base class prints to stdout too."""
        self.log.info("To connect another client: --existing %s", self.connection_file)
        names = ("shell", "iopub", "stdin", "hb", "control")
        self._ports = {name: getattr(self, f"{name}_port") for name in names}

    def init_signal(self) -> None:
        """Ctrl-C reaches the cell as a message; other signals end the process in good order."""
        with contextlib.suppress(ValueError):  # not in the main thread
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            for name in END_SIGNALS:
                if hasattr(signal, name):
                    self._handle(getattr(signal, name))

    def _handle(self, number: int) -> None:
        """Have the loop handle a signal.

        A handler of Python's alone does not wake the main thread if the signal comes just before
        that goes to sleep, or to another thread; the loop's wakes it through a descriptor.
        """
        loop: asyncio.AbstractEventLoop = IOLoop.current().asyncio_loop  # type: ignore[attr-defined]
        try:
            loop.add_signal_handler(number, self._end_by_signal, number)
        except NotImplementedError:  # on Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._end_by_signal, number))

    def _end_by_signal(self, number: int) -> None:
        self.ended_by = number
        IOLoop.current().stop()

    def init_kernel(self) -> None:
        """Make the kernel and start its interpreter."""
        try:
            self.kernel = self.kernel_class(
                parent=self, session=self.session, log=self.log, **self.kernel_arguments
            )
        except TraitError as error:
            raise ConfigurationError(str(error)) from error
        self.kernel.launch()

    def _connect_kernel(self) -> None:
        self.control_thread.start()
        self.kernel.connect(
            control=ZMQStream(self.control_socket, self.control_thread.io_loop),
            shell=ZMQStream(self.shell_socket),
            stdin=self.stdin_socket,
            iopub=self.iopub_thread,
        )
        self.kernel.record_ports({f"{name}_port": port for name, port in self._ports.items()})

    def start(self) -> None:
        """Run until shutdown."""
        if self.poller is not None:
            self.poller.start()
        self.kernel.start()
        self.io_loop = IOLoop.current()
        self.io_loop.start()
        self.kernel.close()
        self.io_loop.run_sync(self.kernel.finish)
        self.close()

    def close(self) -> None:
        """End the guest, then close the sockets; safe to call again."""
        if self.closed:
            return
        self.closed = True
        if self.kernel is not None:
            self.kernel.close()
            self.exit_code = self.kernel.exit_code
        if self.iopub_thread is not None:
            end_tasks(self.iopub_thread)
        super().close()
        if self.owns_connection_file:
            self.cleanup_connection_file()


def run(
    options: KernelOptions,
    *,
    kernel_class: type[PyodideKernel] = PyodideKernel,
    **kernel_arguments: Any,
) -> int:
    """Run a kernel until it is shut down; the exit code. Raises PyodideKernelError.

    `kernel_arguments` are values of the kernel's traits.
    """
    app = PyodideKernelApp(kernel_class=kernel_class)
    app.kernel_arguments = kernel_arguments
    app.configure(options)
    try:
        app.initialize()
        app.start()
    except PyodideKernelError:
        app.close()
        raise
    if app.ended_by is not None:
        signal.signal(app.ended_by, signal.SIG_DFL)
        os.kill(os.getpid(), app.ended_by)
    return app.exit_code
