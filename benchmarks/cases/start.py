"""Start and restart, until the first cell is answered."""

from __future__ import annotations

import time
from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.client import Kernel
from benchmarks.subjects import Subject


def first_reply(kernel: Kernel, since: float) -> float:
    """Seconds from `since` to the reply to a first cell."""
    exchange = kernel.submit("execute_request", {"code": "1+1"})
    kernel.wait(exchange, until=lambda exchange: exchange.reply is not None)
    check(kernel.reply(exchange)["status"] == "ok", "the first cell failed")
    return exchange.replied_at - since


def _start(subject: Subject, quick: bool) -> Samples:
    since = time.perf_counter()
    with subject.start() as kernel:
        return {"start to first 1+1": [first_reply(kernel, since)]}


def _restart(subject: Subject, quick: bool) -> Samples:
    kernel = subject.kernel
    since = time.perf_counter()
    kernel.restart()
    return {"restart to first 1+1": [first_reply(kernel, since)]}


START: Final = Case(
    name="start",
    metrics=(Metric(name="start to first 1+1", max_ratio=1.3),),
    measure=_start,
    rounds=7,
)
RESTART: Final = Case(
    name="restart",
    metrics=(Metric(name="restart to first 1+1", max_ratio=1.0),),
    measure=_restart,
    rounds=7,
)
