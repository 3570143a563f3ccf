"""From the interrupt to the reply of the cell."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.client import Kernel, execute_content
from benchmarks.subjects import Subject

SETTLE_S: Final = 0.1
"""Between the cell's first output and the interrupt, so that the cell is surely in its loop."""


def _interrupt(kernel: Kernel, code: str) -> float:
    code = f"import sys, time\nprint('on', flush=True)\n{code}"
    exchange = kernel.submit("execute_request", execute_content(code))
    kernel.wait(exchange, until=lambda exchange: exchange.has_output)
    time.sleep(SETTLE_S)
    since = time.perf_counter()
    kernel.interrupt()
    kernel.wait(exchange)
    reply = kernel.reply(exchange)
    check(reply.get("ename") == "KeyboardInterrupt", f"the cell ended in {reply}")
    return exchange.replied_at - since


def _measure(subject: Subject, quick: bool) -> Samples:
    kernel = subject.kernel
    _interrupt(kernel, "while True: pass")  # opens the control channel
    repeats = range(2 if quick else 10)
    return {
        "interrupt of while True": [_interrupt(kernel, "while True: pass") for _ in repeats],
        "interrupt of time.sleep": [_interrupt(kernel, "time.sleep(60)") for _ in repeats],
    }


INTERRUPTS: Final = Case(
    name="interrupts",
    metrics=(
        Metric(name="interrupt of while True", max_value=0.5),
        Metric(name="interrupt of time.sleep", max_value=0.5),
    ),
    measure=_measure,
    rounds=3,
)
