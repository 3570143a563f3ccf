"""Runs cases in real kernels, and holds what happens against what may happen."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import zmq
from real_kernel import Cell, RealKernel, real_kernel

from cases.model import Case
from cases.scene import CANARY_VARIABLE, Scene

DRAINED_S: Final = 180.0

ALIVE_S: Final = 15.0
"""Within this time a kernel answers again, whatever a case did to it."""

GONE_S: Final = 5.0
"""Within this time after a shutdown nothing of a kernel is left."""

DEATHS: Final = 2
"""Interpreters that cases may end in one kernel; after more than three in a minute it gives up."""

OPTIONS: Final = ("--interrupt-grace=8",)

Message = dict[str, Any]


@dataclass
class Performance:
    """One cell of a case, and everything that clients heard meanwhile."""

    cell: Cell
    heard: list[Message] = field(default_factory=list)
    after_interrupt: float | None = None
    """Seconds from the interrupt to the reply."""


class Stage:
    """Kernels for cases: one as long as it lasts, then another."""

    def __init__(self, scene: Scene, folder: Path, *options: str) -> None:
        self.scene = scene
        self._folder = folder
        self._options = options
        self._stack = ExitStack()
        self._kernel: RealKernel | None = None
        self._deaths = 0
        self._count = 0

    @property
    def kernel(self) -> RealKernel:
        """A kernel that is fit for one more death."""
        if self._kernel is None or self._deaths >= DEATHS:
            self.close()
            self._count += 1
            folder = self._folder / str(self._count)
            folder.mkdir()
            environment = {CANARY_VARIABLE: self.scene.canary}
            started = real_kernel(
                folder,
                *self.scene.options,
                *self._options,
                env=environment,
                cwd=self.scene.work,
            )
            self._kernel = self._stack.enter_context(ends_completely(started))
            self._deaths = 0
        return self._kernel

    def close(self) -> None:
        """End the kernel; fails if it leaves a process."""
        self._kernel = None
        self._stack.close()

    def run(self, case: Case) -> Performance:
        """Run a case that is one cell, and check all that it states."""
        try:
            return self._run(case)
        except BaseException:
            self._deaths = DEATHS  # the next case is not to suffer
            raise

    def _run(self, case: Case) -> Performance:
        self.scene.set_up(case.setup)
        before = self.scene.untouchable()
        kernel = self.kernel
        kernel.run("_kept = True")
        performance = perform(kernel, self.scene.fill_in(case.code), case)
        died = performance.cell.ename == "DeadKernelError"
        self._deaths += died
        check_ending(case, performance)
        self.check_containment(performance, kernel)
        if case.breaks:
            answers_in_the_end(kernel)
            self._deaths = DEATHS  # nobody knows what is left of it
        else:
            after = kernel.run("('_kept' in dir(), 40 + 2)", timeout_s=ALIVE_S)
            assert after.result == str((not died, 42)), after
        assert self.scene.untouchable() == before
        assert self.scene.listeners.hits == []
        return performance

    def check_containment(self, performance: Performance, kernel: RealKernel) -> None:
        """Nothing got out, and clients heard nothing but outputs of the cell."""
        assert "ESCAPED" not in performance.cell.text()
        session = kernel.client.session.session
        for message in performance.heard:
            kind, content = message["msg_type"], message["content"]
            if kind != "status":
                assert message["parent_header"].get("session") == session, message
            if kind not in ("execute_input", "error"):  # both show the code of the cell
                text = json.dumps(content)
                assert self.scene.canary not in text
                assert "FORGED" not in text


def answers_in_the_end(kernel: RealKernel) -> None:
    """A cell runs, after a stop or a restart if need be: what a user would try."""
    for attempt in range(3):
        stop = 2 if attempt == 0 else None
        probe = Case(id="probe", kind="", expect="", interrupt=stop, timeout=ALIVE_S)
        cell = perform(kernel, "40 + 2", probe).cell
        if cell.result == "42":
            return
        if cell.ename == "InternalError":  # the shell answers and is broken: the user restarts it
            kernel.manager.restart_kernel()
            kernel.wait_until_ready()
        else:
            assert cell.ename in ("DeadKernelError", "KeyboardInterrupt"), cell
    raise AssertionError("three cells in a row found no interpreter")


def check_ending(case: Case, performance: Performance) -> None:
    """The cell ended in one of the ways, and with the words, that the case states."""
    cell = performance.cell
    ending = cell.ename or cell.status
    assert ending in case.ends, (ending, cell.evalue, cell.outputs[-3:])
    assert re.search(case.says, cell.evalue), cell.evalue
    assert len(cell.of("error")) == (cell.status == "error"), cell.outputs
    if cell.status == "ok":
        assert re.search(case.prints, cell.text()), (case.prints, cell.outputs[-3:])
    if ending == "DeadKernelError":
        assert "gone" in cell.evalue, f"no word of what is gone: {cell.evalue}"
    if case.after_interrupt is not None:
        assert performance.after_interrupt is not None, "it ended before the interrupt"
        assert performance.after_interrupt < case.after_interrupt


def perform(kernel: RealKernel, code: str, case: Case, *, pace_s: float = 0) -> Performance:
    """Run one cell, with the case's interrupt, until its reply and its idle status are here.

    `pace_s` is the time that the client takes for each message. The case's time is that to the
    reply; all that was said before it may take a slow client longer.
    """
    client = kernel.client
    poller = zmq.Poller()
    for channel in (client.shell_channel, client.iopub_channel):
        poller.register(channel.socket, zmq.POLLIN)
    began = time.monotonic()
    interrupts_at = began + case.interrupt if case.interrupt is not None else None
    interrupted_at = None
    msg_id = client.execute(code, allow_stdin=False)
    reply: Message | None = None
    replied = began
    idle = False
    heard: list[Message] = []
    while reply is None or not idle:
        now = time.monotonic()
        until = began + case.timeout if reply is None else replied + DRAINED_S
        what = "reply" if reply is None else "end of the outputs"
        assert now < until, f"no {what} after {now - began:.0f} s: {str(heard[-3:])[:1000]}"
        if interrupts_at is not None and interrupted_at is None:
            if now >= interrupts_at:
                kernel.manager.interrupt_kernel()
                interrupted_at = now
            else:
                until = min(until, interrupts_at)
        ready = dict(poller.poll(int(max(0, until - now) * 1000) + 1))
        if client.shell_channel.socket in ready:
            message = client.get_shell_msg(timeout=1)
            if message["parent_header"].get("msg_id") == msg_id:
                reply = message
                replied = time.monotonic()
        time.sleep(pace_s)
        if client.iopub_channel.socket in ready:
            message = client.get_iopub_msg(timeout=1)
            heard.append(message)
            ours = message["parent_header"].get("msg_id") == msg_id
            idle = idle or (ours and message["content"].get("execution_state") == "idle")
    outputs = [
        (message["msg_type"], message["content"])
        for message in heard
        if message["parent_header"].get("msg_id") == msg_id and message["msg_type"] != "status"
    ]
    return Performance(
        cell=Cell(reply=reply["content"], outputs=outputs, seconds=replied - began),
        heard=heard,
        after_interrupt=None if interrupted_at is None else replied - interrupted_at,
    )


@contextmanager
def ends_completely(started: Any) -> Iterator[RealKernel]:
    """A kernel that leaves no process."""
    tree: list[psutil.Process] = []
    with started as kernel:
        yield kernel
        tree = kernel.tree()
    _, alive = psutil.wait_procs(tree, timeout=GONE_S)
    assert alive == []
