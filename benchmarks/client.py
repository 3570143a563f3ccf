"""A kernel process and one client of it, through jupyter_client; the same code for every kernel.

Nothing may get lost and nothing may count before it is there:

* the sockets have no limit after which messages are dropped;
* a request is over when its reply *and* the idle status have arrived, so all its output has;
* while the clock runs, messages are only taken from the sockets and noted with their time; their
  signatures are checked and their contents read afterwards.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import Any, Final

import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from jupyter_client.session import DELIM

TIMEOUT_S: Final = 300.0
"""For one request; the slowest case takes some 20 s on an idle machine."""

RECONNECT_MS: Final = 2
"""ZMQ tries a port that is not open yet every 100 ms, which would round the times of starts up."""

DRAIN: Final = 200
"""Messages taken from one socket before the other is looked at."""

OUTPUT_TYPES: Final = frozenset({"stream", "display_data", "execute_result", "error"})


class MeasurementError(Exception):
    """A kernel did not do what is measured: lost output, a wrong result, no answer."""


@dataclass(slots=True)
class Arrival:
    """One message of a request, as it came from the socket."""

    at: float
    msg_type: str
    frames: list[bytes]


@dataclass(slots=True)
class Exchange:
    """A request and all that came back so far."""

    msg_id: str
    sent_at: float
    replied_at: float = 0.0
    idle_at: float = 0.0
    arrivals: list[Arrival] = field(default_factory=list)
    """Messages on iopub, in order."""
    reply: Arrival | None = None

    @property
    def done(self) -> bool:
        """Whether the reply and all output are there."""
        return bool(self.replied_at and self.idle_at)

    @property
    def reply_s(self) -> float:
        """Time to the reply."""
        return self.replied_at - self.sent_at

    @property
    def complete_s(self) -> float:
        """Time until the reply and all output were there."""
        return max(self.replied_at, self.idle_at) - self.sent_at

    @property
    def first_output_s(self) -> float:
        """Time to the first output. Raises MeasurementError if there was none."""
        for arrival in self.arrivals:
            if arrival.msg_type in OUTPUT_TYPES:
                return arrival.at - self.sent_at
        raise MeasurementError("no output arrived")

    @property
    def has_output(self) -> bool:
        """Whether any output is there yet."""
        return any(arrival.msg_type in OUTPUT_TYPES for arrival in self.arrivals)


class _OneKernel(KernelSpecManager):
    """Knows one kernel, installed or not."""

    def __init__(self, spec: KernelSpec) -> None:
        super().__init__()
        self._spec = spec

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self._spec


class Kernel:
    """A running kernel with one client. Use `started`."""

    def __init__(self, spec: KernelSpec, *, env: Mapping[str, str], cwd: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        # Defaults of the sockets made from it.
        self._context.setsockopt(zmq.RCVHWM, 0)
        self._context.setsockopt(zmq.SNDHWM, 0)
        self._context.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
        self._manager = KernelManager(kernel_spec_manager=_OneKernel(spec), context=self._context)
        self._said = TemporaryFile()  # noqa: SIM115  # closed with the kernel
        self._manager.start_kernel(
            env=dict(env), cwd=cwd, stdout=self._said, stderr=subprocess.STDOUT
        )
        self.connect()

    def connect(self) -> None:
        """Connect fresh sockets."""
        self._shell = self._manager.connect_shell()
        self._iopub = self._manager.connect_iopub()
        self._poller = zmq.Poller()
        self._poller.register(self._shell, zmq.POLLIN)
        self._poller.register(self._iopub, zmq.POLLIN)

    def close(self) -> None:
        """End the process at once."""
        self._manager.shutdown_kernel(now=True)
        self._disconnect()
        self._context.destroy(linger=0)
        self._said.close()

    def _disconnect(self) -> None:
        self._shell.close(linger=0)
        self._iopub.close(linger=0)

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing"

    def restart(self) -> None:
        """Restart in good order, as front ends do, and connect again."""
        self._disconnect()
        self._manager.restart_kernel()
        self.connect()

    def interrupt(self) -> None:
        """Interrupt as the kernelspec asks for: by a signal or by a message."""
        self._manager.interrupt_kernel()

    @property
    def pid(self) -> int:
        """Process id of the kernel. Raises MeasurementError if there is none."""
        pid = getattr(self._manager.provisioner, "pid", None)
        if not isinstance(pid, int):
            raise MeasurementError("the kernel has no process")
        return pid

    # Requests

    def submit(self, msg_type: str, content: Mapping[str, Any]) -> Exchange:
        """Send a request on the shell channel."""
        message = self._manager.session.msg(msg_type, dict(content))
        exchange = Exchange(message["header"]["msg_id"], time.perf_counter())
        self._manager.session.send(self._shell, message)
        return exchange

    def wait(
        self,
        exchange: Exchange,
        *,
        until: Callable[[Exchange], bool] = lambda exchange: exchange.done,
        timeout_s: float = TIMEOUT_S,
    ) -> Exchange:
        """Take messages until the exchange is done, or as far as asked for."""
        deadline = time.monotonic() + timeout_s
        while not until(exchange):
            ready = dict(self._poller.poll(1000))
            if self._iopub in ready:
                self._drain(self._iopub, exchange, reply=False)
            if self._shell in ready:
                self._drain(self._shell, exchange, reply=True)
            if not ready and not self._manager.is_alive():
                raise MeasurementError(f"the kernel died; it said: {self._last_words()}")
            if time.monotonic() > deadline:
                raise MeasurementError(f"not done after {timeout_s:g} s")
        return exchange

    def request(self, msg_type: str, content: Mapping[str, Any]) -> Exchange:
        """Send a request and wait for all that belongs to it."""
        return self.wait(self.submit(msg_type, content))

    def execute(self, code: str) -> Exchange:
        """Run a cell to its end. Raises MeasurementError if it fails."""
        exchange = self.request("execute_request", execute_content(code))
        reply = self.reply(exchange)
        if reply["status"] != "ok":
            raise MeasurementError(f"a cell failed: {reply.get('ename')}: {reply.get('evalue')}")
        return exchange

    def wait_for_ready(self) -> None:
        """Wait until the kernel answers and its iopub channel reaches us."""
        self.wait(self._ask_info(), until=lambda exchange: exchange.reply is not None)
        deadline = time.monotonic() + TIMEOUT_S
        while not self._is_subscribed():
            if time.monotonic() > deadline:
                raise MeasurementError("nothing arrives on iopub")

    def _ask_info(self) -> Exchange:
        return self.submit("kernel_info_request", {})

    def _is_subscribed(self) -> bool:
        exchange = self.wait(self._ask_info(), until=lambda exchange: exchange.reply is not None)
        end = time.monotonic() + 1  # iopub may be a little later than shell
        self.wait(exchange, until=lambda exchange: exchange.done or time.monotonic() > end)
        return exchange.done

    # Contents, read after the clock has stopped

    def reply(self, exchange: Exchange) -> dict[str, Any]:
        """Content of the reply."""
        assert exchange.reply is not None
        return self._content(exchange.reply)

    def outputs(self, exchange: Exchange, msg_type: str) -> Iterator[dict[str, Any]]:
        """Contents of the messages of one type on iopub, in order."""
        for arrival in exchange.arrivals:
            if arrival.msg_type == msg_type:
                yield self._content(arrival)

    def printed(self, exchange: Exchange) -> str:
        """All that was printed to stdout."""
        streams = self.outputs(exchange, "stream")
        return "".join(stream["text"] for stream in streams if stream["name"] == "stdout")

    def result(self, exchange: Exchange) -> str:
        """The text of the cell's last expression."""
        for content in self.outputs(exchange, "execute_result"):
            return str(content["data"]["text/plain"])
        raise MeasurementError("the cell has no result")

    def _content(self, arrival: Arrival) -> dict[str, Any]:
        session = self._manager.session
        _, parts = session.feed_identities(arrival.frames)
        content: dict[str, Any] = session.deserialize(parts)["content"]
        return content

    def _drain(self, socket: zmq.Socket[bytes], exchange: Exchange, *, reply: bool) -> None:
        for _ in range(DRAIN):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            _note(exchange, frames, time.perf_counter(), reply=reply)


def _note(exchange: Exchange, frames: list[bytes], at: float, *, reply: bool) -> None:
    start = frames.index(DELIM)
    header, parent, content = frames[start + 2], frames[start + 3], frames[start + 5]
    if exchange.msg_id.encode() not in parent:
        return
    arrival = Arrival(at, json.loads(header)["msg_type"], frames)
    if reply:
        exchange.reply = arrival
        exchange.replied_at = at
        return
    exchange.arrivals.append(arrival)
    if arrival.msg_type == "status" and json.loads(content)["execution_state"] == "idle":
        exchange.idle_at = at


def execute_content(code: str) -> dict[str, Any]:
    """Content of an ordinary execute_request."""
    return {
        "code": code,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": True,
    }


@contextmanager
def started(spec: KernelSpec, *, env: Mapping[str, str], cwd: str) -> Iterator[Kernel]:
    """A kernel whose process has been started; it may not be ready yet."""
    kernel = Kernel(spec, env=env, cwd=cwd)
    try:
        yield kernel
    finally:
        kernel.close()
