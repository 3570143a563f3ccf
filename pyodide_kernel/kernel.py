"""The kernel: requests of Jupyter clients to the bridge, outputs of the guest to iopub.

Threads, and what they may touch (docs/architecture.md):

* the shell loop (main thread): everything about shell requests, one after the other;
* the control thread: interrupt, shutdown, kernel_info, never waiting for the guest;
* the bridge's thread: the `_on_…` callbacks; publishes outputs, keeps the prompt number;
* the stdin thread and the history thread, each behind its class.
"""

# mypy: disallow-untyped-calls=False
# ipykernel's and IPython's functions have no annotations.

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, ParamSpec

import zmq
from ipykernel.iostream import IOPubThread
from ipykernel.kernelbase import Kernel
from jupyter_client.session import Session
from tornado.ioloop import IOLoop
from traitlets import Any as AnyTrait
from traitlets import Bool, Float, Instance, Integer, List, Unicode, default
from zmq.eventloop.zmqstream import ZMQStream

from pyodide_kernel import __version__, content
from pyodide_kernel.bridge.boot import deno_bridge
from pyodide_kernel.bridge.bridge import Bridge, Death, Overtime, new_id
from pyodide_kernel.bridge.fetch import Fetcher
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import COMM_TYPES, FETCH_TYPES, Message
from pyodide_kernel.cells import Cells, Outcome, Prompt
from pyodide_kernel.comms import Comms
from pyodide_kernel.completeness import check_complete
from pyodide_kernel.deaths import Deaths
from pyodide_kernel.errors import PyodideKernelError
from pyodide_kernel.folders import cache_folder, history_path
from pyodide_kernel.history import History
from pyodide_kernel.kernel_info import IMPLEMENTATION, kernel_info
from pyodide_kernel.limits import (
    DEFAULTS,
    LEAST_MEMORY,
    LEAST_MESSAGE,
    LEAST_OPEN_FILES,
    MOST_MESSAGE,
    MOST_WORKERS,
    format_size,
)
from pyodide_kernel.outputs import Outputs
from pyodide_kernel.package_desk import PackageDesk
from pyodide_kernel.packages.cache import DEFAULT_LIMIT_BYTES
from pyodide_kernel.packages.config import PACKAGE_TRAITS, package_config
from pyodide_kernel.packages.opening import open_packages
from pyodide_kernel.parents import Parent, Parents
from pyodide_kernel.policy import Grants, Policy, make_policy
from pyodide_kernel.publisher import Publisher
from pyodide_kernel.runtime import Manifest, load_manifest
from pyodide_kernel.safe_html import HtmlCleaner
from pyodide_kernel.safe_outputs import SafeOutputs
from pyodide_kernel.sandbox_report import SandboxReport, Use
from pyodide_kernel.shell_queue import Received, ShellQueue
from pyodide_kernel.stdin import StdinChannel
from pyodide_kernel.surroundings import look_around

POLITE_SHUTDOWN_S: Final = 2.0
"""How long the guest may take for its atexit functions when the kernel shuts down."""

FINISH_S: Final = 1.0
"""How long a request in work may take after the interpreter ended; it has nothing to wait for."""

NEVER_ON_CONTROL: Final = ("execute_request", *content.RELAYS)
"""They wait for the guest, and an interrupt on the same channel would wait behind them."""

UNSUPPORTED: Final = (
    "debug_request",
    "create_subshell_request",
    "delete_subshell_request",
    "list_subshell_request",
)

P = ParamSpec("P")

NO_TARGET: Final = {"target_name": "pyodide-kernel: none"}
"""Asks for the comms of no target: the answer is empty, and comes after earlier comm messages."""


class PyodideKernel(Kernel):
    """A Jupyter kernel whose Python runs in Pyodide."""

    implementation = IMPLEMENTATION
    implementation_version = __version__

    mount = List(
        Unicode(), help="Folders and files that code may use: PATH[=/mnt/NAME][:ro|:rw]."
    ).tag(config=True)
    cwd = Bool(True, help="Whether code sees the working directory, for reading only.").tag(
        config=True
    )
    allow_net = List(
        Unicode(), help="Places that code may fetch from: HOST[:PORT], or * for all public ones."
    ).tag(config=True)
    allow_env = List(Unicode(), help="Environment variables that code gets.").tag(config=True)
    memory_limit = Integer(
        DEFAULTS.memory_bytes, min=LEAST_MEMORY, help="Bytes of memory that code may use."
    ).tag(config=True)
    open_files = Integer(
        DEFAULTS.open_files,
        min=LEAST_OPEN_FILES,
        help="Files that the interpreter may have open, its own included.",
    ).tag(config=True)
    cell_timeout = Float(
        0.0, min=0, help="Seconds after which a cell is interrupted; 0: never."
    ).tag(config=True)
    workers = Integer(
        DEFAULTS.workers,
        min=0,
        max=MOST_WORKERS,
        help="Workers of JavaScript that code may have at once.",
    ).tag(config=True)
    write_limit = Integer(
        DEFAULTS.written_bytes, min=0, help="Bytes that code may write to mounts; 0: any."
    ).tag(config=True)
    message_limit = Integer(
        DEFAULTS.message_bytes,
        min=LEAST_MESSAGE,
        max=MOST_MESSAGE,
        help="Bytes of one message that code sends.",
    ).tag(config=True)
    idle_timeout = Float(
        0.0, min=0, help="Seconds without work after which the interpreter is ended; 0: never."
    ).tag(config=True)
    interrupt_grace = Float(
        10.0,
        min=0,
        help="Seconds after an interrupt until an interpreter that still runs is killed; 0: never.",
    ).tag(config=True)
    hang_timeout = Float(
        15.0, min=0.001, help="Seconds without a sign of life until Deno counts as hung."
    ).tag(config=True)
    output_limit = Integer(
        100_000_000, min=0, help="Bytes of output that one cell may send to clients."
    ).tag(config=True)
    safe_outputs = Bool(
        False, help="Whether what acts (scripts, widgets, terminal sequences) is kept from clients."
    ).tag(config=True)
    history_file = Unicode(
        help="SQLite file that keeps the history, or :memory:; default: in the data folder."
    ).tag(config=True)

    cache_dir = Unicode(
        help="Folder for packages and snapshots; default: the user's for cached files."
    ).tag(config=True)
    package_url = Unicode(
        help="Folder or URL with a pyodide-lock.json and its packages; default: Pyodide's own."
    ).tag(config=True)
    index_url = List(
        Unicode(), help="Package indexes for %pip; default: those of pip, else that of micropip."
    ).tag(config=True)
    find_links = List(Unicode(), help="Folders with wheels for %pip.").tag(config=True)
    lite_site = Unicode(help="Folder of a JupyterLite site that has the packages.").tag(config=True)
    lock = Unicode(help="Lock file that names the packages that can be imported.").tag(config=True)
    constraints = List(Unicode(), help="Files with the versions that are allowed.").tag(config=True)
    offline = Bool(False, help="Whether nothing may be downloaded.").tag(config=True)
    preload = List(Unicode(), help="Modules that are imported before the first cell.").tag(
        config=True
    )
    cache_limit = Integer(
        DEFAULT_LIMIT_BYTES, min=0, help="Bytes from which old packages are removed from it."
    ).tag(config=True)

    compile_packages = Bool(
        True, help="Whether bytecode of packages is made, in the background, after their first use."
    ).tag(config=True)

    open_packages = AnyTrait(open_packages, help="Opens the packages; called as open_packages is.")
    make_bridge = AnyTrait(deno_bridge, help="Makes the bridge; called as deno_bridge is.")
    look_around = AnyTrait(look_around, help="Finds what the policy has to know of the host.")
    manifest = Instance(Manifest)

    @default("manifest")
    def _default_manifest(self) -> Manifest:
        return load_manifest()

    def __init__(self, **kwargs: Any) -> None:
        """Raises PyodideKernelError if it could not run, and TraitError for a bad setting."""
        super().__init__(**kwargs)
        assert self.session is not None
        self._jupyter: Session = self.session
        self.io_loop = IOLoop.current()
        self.exit_code = 0
        self._ready = False
        self._closing = threading.Lock()
        self._closed = False
        self._prompt = Prompt()
        self._deaths = Deaths()
        self._queue = ShellQueue(self._dispatch)
        self._finished = asyncio.Event()
        self._parents = Parents()
        self._cache = cache_folder(self.cache_dir)
        self._use = Use()
        self._html = HtmlCleaner()
        self._safe = SafeOutputs(html=self._html) if self.safe_outputs else None
        self._packages = self._open_packages()
        self.policy = self._make_policy()
        self._history = History(history_path(self.history_file), log=self.log)
        self.fetcher = Fetcher(
            self.policy.network, reply=self._answer_fetch, owner=self._running_cell_id
        )
        self._connected = False
        # Last, since a bridge with a head start calls back at once.
        self._bridge: Bridge = self.make_bridge(
            policy=self.policy,
            cache=self._cache,
            config=BridgeConfig(
                interrupt_grace_s=self.interrupt_grace,
                hang_timeout_s=self.hang_timeout,
                idle_timeout_s=self.idle_timeout,
            ),
            on_message=self._guarded(self._on_message),
            on_ready=self._guarded(self._on_ready),
            on_death=self._guarded(self._on_death),
            on_give_up=self._guarded(self._on_give_up),
            on_overtime=self._guarded(self._on_overtime),
        )
        self._set_handlers()

    def _open_packages(self) -> PackageDesk:
        """Where packages come from. Raises ConfigurationError."""
        values = {name: getattr(self, name) for name in PACKAGE_TRAITS}
        opened = self.open_packages(package_config(values, self._cache), manifest=self.manifest)
        return PackageDesk(opened, cache=self._cache, log=self.log)

    def _make_policy(self) -> Policy:
        """What the settings allow here. Raises ConfigurationError."""
        grants = Grants(
            mount=tuple(self.mount),
            cwd=self.cwd,
            allow_net=tuple(self.allow_net),
            allow_env=tuple(self.allow_env),
            memory_limit=self.memory_limit,
            open_files=self.open_files,
            cell_timeout=self.cell_timeout,
            message_limit=self.message_limit,
            workers=self.workers,
            write_limit=self.write_limit,
        )
        surroundings = self.look_around(
            cache=self._cache,
            connection_file=getattr(self.parent, "abs_connection_file", None),
            history=history_path(self.history_file),
        )
        policy = replace(make_policy(grants, surroundings), packages=self._packages.view)
        for notice in policy.notices:
            self.log.warning(notice)
        return policy

    def _set_handlers(self) -> None:
        for msg_type in content.RELAYS:
            self.shell_handlers[msg_type] = self._relay
        for msg_type in COMM_TYPES:
            self.shell_handlers[msg_type] = self._comm_message
        for msg_type in NEVER_ON_CONTROL:
            self.control_handlers[msg_type] = partial(
                self._refuse, reason="it is answered on the shell channel only"
            )
        for msg_type in UNSUPPORTED:
            self.control_handlers[msg_type] = partial(
                self._refuse, reason="this kernel does not support it"
            )

    # Start and stop

    def launch(self) -> None:
        """Start the interpreter; it boots while the sockets are made."""
        self._bridge.start()

    def connect(
        self, *, control: ZMQStream, shell: ZMQStream, stdin: zmq.Socket[bytes], iopub: IOPubThread
    ) -> None:
        """Take over the channels, each bound already."""
        self.control_stream, self.shell_stream, self.stdin_socket = control, shell, stdin
        self.iopub_thread, self.iopub_socket = iopub, iopub.background_socket
        self._shell = shell
        self._publisher = Publisher(
            session=self._jupyter, thread=iopub, topic=self._topic, clean=self._clean
        )
        self._stdin = StdinChannel(
            session=self._jupyter, socket_=stdin, on_answer=self._bridge.reply, log=self.log
        )
        self._outputs = Outputs(
            publisher=self._publisher,
            parents=self._parents,
            limit_bytes=self.output_limit,
            stdin=self._stdin,
            refuse=self._bridge.reply,
            on_sandbox_question=self._report().answer,
            on_package_question=partial(self._packages.ask, refuse=self._bridge.reply),
            on_result=self._history.store_result,
            safe=self._safe,
            log=self.log,
        )
        self._packages.connect(
            publisher=self._publisher, parents=self._parents, reply=self._bridge.reply
        )
        self._comms = Comms(
            bridge=self._bridge,
            register=self._register,
            publish_status=partial(self._publish_state, "shell"),
            log=self.log,
        )
        self._cells = Cells(
            bridge=self._bridge,
            parents=self._parents,
            publisher=self._publisher,
            prompt=self._prompt,
            deaths=self._deaths,
            time_limit_s=self.cell_timeout,
            on_sent=self._pass_comm_messages,
        )
        self._connected = True

    def _report(self) -> SandboxReport:
        publisher = self._publisher
        return SandboxReport(
            policy=self.policy,
            bridge=self._bridge,
            manifest=self.manifest,
            use=self._use,
            settings={
                "output of a cell": format_size(self.output_limit),
                "time from an interrupt to its end": f"{self.interrupt_grace:g} s",
                "time without a sign of life": f"{self.hang_timeout:g} s",
                "time without work": f"{self.idle_timeout:g} s" if self.idle_timeout else "any",
                "outputs": "only what does not act" if self.safe_outputs else "as code sends them",
            },
            sent_bytes=lambda: publisher.sent_bytes,
            requests=self.fetcher.rows,
        )

    def start(self) -> None:
        """Take requests from the channels."""
        super().start()
        self._stdin.start()
        self._shell.on_recv(self._receive_shell, copy=False)
        self.io_loop.add_callback(self._run)

    async def _run(self) -> None:
        await self._queue.run()
        self._finished.set()
        if not self._closed:
            self.io_loop.stop()

    async def finish(self) -> None:
        """Let the request in work get its reply; after `close`, in a loop that was stopped."""
        self._queue.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._finished.wait(), FINISH_S)

    def close(self) -> None:
        """End the guest, Deno and our threads. From any thread, blocking; safe to call again."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
            if self._connected:
                self._cells.closing = True
                self._stdin.close()
            self.fetcher.close()
            self._packages.close()
            self._bridge.close()
            self._history.close()
            self._html.close()

    async def shutdown_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """End the guest and Deno, answer, end the loops."""
        parent["content"].setdefault("restart", False)
        await super().shutdown_request(stream, ident, parent)

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """Let the guest run its atexit functions, then end everything but the sockets."""
        self._stdin.cancel()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._end_guest, restart)
        await loop.run_in_executor(None, self.close)
        return {"status": "ok", "restart": restart}

    def _end_guest(self, restart: bool) -> None:
        if not self._ready or self._parents.running_cell:
            return
        try:
            _, reply = self._bridge.request("shutdown_request", {"restart": restart})
            reply.result(timeout=POLITE_SHUTDOWN_S)
        except (PyodideKernelError, TimeoutError) as error:
            self.log.info("The guest did not shut down by itself: %s", error)

    async def _progressively_terminate_all_children(self) -> None:
        """The bridge has ended our one child; the base class would look for more with psutil."""

    # The shell channel

    def _receive_shell(self, frames: Sequence[Any]) -> None:
        """Take one message from the socket; the session checks its signature."""
        try:
            ident, parts = self._jupyter.feed_identities(list(frames), copy=False)
            message = self._jupyter.deserialize(parts, content=True, copy=False)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            self.log.error("Invalid message on the shell channel: %s", error)
            return
        for name in ("content", "metadata"):
            if not isinstance(message[name], dict):
                message[name] = {}
        self._queue.put(ident, message)
        self._pass_comm_messages()

    async def _dispatch(self, received: Received) -> None:
        self._use.requests += 1
        parent, ident, msg_type = received.message, received.ident, received.msg_type
        self.set_parent(ident, parent, channel="shell")  # for handlers of the base class
        self._publish_status("busy", "shell", parent)
        try:
            if msg_type == "execute_request" and self._queue.is_aborted(received):
                self._send_abort_reply(self._shell, parent, ident)
            elif handler := self.shell_handlers.get(msg_type):
                await handler(self._shell, ident, parent)
            else:
                self.log.warning("Unknown message type on the shell channel: %r", msg_type)
        except Exception:
            self.log.exception("Failed to handle %r", msg_type)
        finally:
            self._publish_status_and_flush("idle", "shell", self._shell, parent)

    def _publish_status_and_flush(
        self, status: str, channel: str, stream: Any, parent: Any = None
    ) -> None:
        """The other way round than in the base class: a reply leaves before the idle status."""
        stream.flush()
        self._publish_status(status, channel, parent)

    def _register(self, ident: Any, parent: Any, *, allow_stdin: bool = False) -> Parent:
        header = json.loads(self._jupyter.pack(parent["header"]))
        registered = Parent(id=new_id(), header=header, ident=ident, allow_stdin=allow_stdin)
        self._parents.add(registered)
        return registered

    async def _refuse(self, stream: Any, ident: Any, parent: Any, *, reason: str) -> None:
        msg_type = parent["header"]["msg_type"]
        error = NotImplementedError(f"{msg_type}: {reason}")
        reply_type = msg_type.removesuffix("_request") + "_reply"
        self._jupyter.send(stream, reply_type, content.error_reply(error), parent, ident)

    # Cells

    async def execute_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Run a cell in the guest; outputs are published as they come, the reply after them."""
        metadata = self.init_metadata(parent) | {"dependencies_met": True, "engine": self.ident}
        stop = False
        try:
            request = content.read_execute_request(parent["content"])
        except ValueError as error:
            reply = content.error_reply(error) | {"execution_count": self._prompt.number}
        else:
            outcome = await self._execute(request, ident, parent)
            reply = outcome.reply
            stop = outcome.died or (request.stop_on_error and not request.silent)
        await self._publisher.sent()
        metadata["status"] = reply["status"]
        reply = self._clean("execute_reply", reply)
        self._jupyter.send(stream, "execute_reply", reply, parent, ident, metadata=metadata)
        if stop and reply["status"] == "error":
            self._shell.flush()  # takes in what has reached this process by now
            self._queue.abort(grace_s=self.stop_on_error_timeout)

    async def _execute(self, request: content.ExecuteRequest, ident: Any, parent: Any) -> Outcome:
        number = self._prompt.number
        self._use.cells += 1
        if not request.silent:
            self._publish_execute_input(request.code, parent, number)
        if request.store_history:
            self._history.store(number, request.code)
        cell = self._register(ident, parent, allow_stdin=request.allow_stdin)
        outcome = await self._cells.run(request, cell, number=number, metadata=parent["metadata"])
        self._stdin.cancel()  # a question that the cell did not wait for
        if cause := self._deaths.cell_ended():
            self._say(cause)
        if cell.overtime and outcome.reply["status"] == "ok":
            self._say(f"{cell.overtime} It caught the interrupt.")
        return outcome

    # Other requests

    async def _relay(self, stream: Any, ident: Any, parent: Any) -> None:
        """Pass a request on to the guest and its answer back."""
        msg_type = parent["header"]["msg_type"]
        relay = content.RELAYS[msg_type]
        try:
            asked = relay.read(parent["content"])
            if msg_type == "is_complete_request" and not self._ready:
                # A console gives up on these after a second, for the whole of its session.
                reply = check_complete(asked["code"])
                self._jupyter.send(stream, relay.reply_type, reply, parent, ident)
                return
            answer = await self._ask(msg_type, asked, id=self._register(ident, parent).id)
            reply = relay.answer(answer.content, asked)
        except (PyodideKernelError, ValueError, TypeError) as error:
            reply = content.error_reply(error)
        reply = self._clean(relay.reply_type, reply)
        self._jupyter.send(stream, relay.reply_type, reply, parent, ident)

    def _clean(self, msg_type: str, reply: Mapping[str, Any]) -> dict[str, Any]:
        """What is sent to clients instead, with --safe-outputs."""
        return self._safe.content(msg_type, reply) if self._safe else dict(reply)

    async def _ask(self, msg_type: str, asked: dict[str, Any], *, id: str = "") -> Message:
        _, future = self._bridge.request(msg_type, asked, id=id or new_id())
        return await asyncio.wrap_future(future)

    async def history_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Answer from the history file; the guest has no part in it."""
        try:
            query = content.read_history_request(parent["content"])
            found = {"status": "ok", "history": await self._history.find(query)}
            reply = self._clean("history_reply", found)
        except ValueError as error:
            reply = content.error_reply(error) | {"history": []}
        self._jupyter.send(stream, "history_reply", reply, parent, ident)

    async def interrupt_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Interrupt what runs; the base class would send a signal to our process group."""
        self._stdin.cancel()
        self._packages.cancel()
        cell = self._running_cell_id()
        self._bridge.interrupt()
        # After the interrupt, so that the cell hears of that first.
        if cell:
            self.fetcher.cancel(cell)
        self._jupyter.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident)

    @property
    def kernel_info(self) -> dict[str, Any]:
        """The truth: no debugger, no subshells, whatever is installed on the host."""
        return kernel_info(self.manifest)

    # Comms

    async def _comm_message(self, stream: Any, ident: Any, parent: Any) -> None:
        """A comm message while nothing runs: idle is published when the guest has handled it."""
        self._comms.forward(ident, parent)
        with contextlib.suppress(PyodideKernelError):
            await self._ask("comm_info_request", NO_TARGET)

    def _pass_comm_messages(self) -> None:
        if cell := self._parents.running_cell:
            self._comms.pass_cell(self._queue.take(COMM_TYPES), cell)

    def _publish_state(self, channel: str, state: str, parent: Any) -> None:
        self._publish_status(state, channel, parent)

    # In the bridge's thread

    def _guarded(self, callback: Callable[P, None]) -> Callable[P, None]:
        """A loop top: whatever the guest sends, the thread that reads the pipe goes on."""

        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                callback(*args, **kwargs)
            except Exception:
                self.log.exception("Failed in %s", callback.__name__)

        return call

    def _answer_fetch(self, question_id: str, content: Mapping[str, Any], **rest: Any) -> None:
        self._bridge.reply(question_id, content, **rest)

    def _running_cell_id(self) -> str:
        cell = self._parents.running_cell
        return cell.id if cell is not None else ""

    def _on_message(self, message: Message) -> None:
        if message.msg_type in FETCH_TYPES:
            self.fetcher.take(message)
        elif self._connected:  # before that there is no client to hear it
            self._outputs.route(message)

    def _on_ready(self, message: Message) -> None:
        self._prompt.begin(message.content["execution_count"])
        self._ready = True
        self._use.interpreters += 1
        self._use.ready_at = time.monotonic()

    def _on_death(self, death: Death) -> None:
        self._ready = False
        self._prompt.begin()
        if self._connected:
            self._stdin.cancel()
        self.fetcher.cancel()
        self._packages.cancel()
        self._history.new_session()
        self.io_loop.add_callback(self._note_death, death)

    def _on_overtime(self, overtime: Overtime) -> None:
        if cell := self._parents.get(overtime.request_id):
            cell.overtime = overtime.cause
        self._stdin.cancel()
        self.fetcher.cancel(overtime.request_id)
        self._packages.cancel()

    def _on_give_up(self, death: Death) -> None:
        self.io_loop.add_callback(self._give_up, death)

    # Deaths, in the shell loop

    def _note_death(self, death: Death) -> None:
        self.log.warning("The interpreter ended: %s", death.cause)
        if cause := self._deaths.note(death, cell_runs=self._parents.running_cell is not None):
            self._say(cause)

    def _give_up(self, death: Death) -> None:
        self._say(
            f"{death.cause}\nThe interpreter died too often in a short time; the kernel exits."
        )
        self.log.error("The interpreter died too often, the last time because: %s", death.cause)
        self.exit_code = 1
        self._queue.stop()

    def _say(self, text: str) -> None:
        """A line on stderr below the latest cell."""
        if (cell := self._parents.latest_cell) and self._connected:
            stream = {"name": "stderr", "text": f"pyodide-kernel: {text}\n"}
            self._publisher.publish("stream", stream, parent=cell.header)
