"""Many kernels started at once, and what each of them costs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Final

from benchmarks.case import Case, Metric, Samples
from benchmarks.cases.memory import IDLE_S, used_bytes
from benchmarks.cases.start import first_reply
from benchmarks.client import Kernel
from benchmarks.subjects import Subject

MANY: Final = 10

ALONE: Final = "one kernel, start to first 1+1"
EACH: Final = "10 kernels at once, all answered, a tenth of it"
FURTHER: Final = "memory of each further kernel, PSS"


def _measure(subject: Subject, quick: bool) -> Samples:
    many = 3 if quick else MANY
    since = time.perf_counter()
    with subject.start() as kernel:
        alone = first_reply(kernel, since)
        time.sleep(IDLE_S)
        one = _pss([kernel])
    with ExitStack() as stack, ThreadPoolExecutor(many) as pool:

        def start(_number: int) -> Kernel:
            kernel = stack.enter_context(subject.start())
            first_reply(kernel, since)
            return kernel

        since = time.perf_counter()
        kernels = list(pool.map(start, range(many)))
        took = time.perf_counter() - since
        time.sleep(IDLE_S)
        further = (_pss(kernels) - one) / (many - 1)
    return {ALONE: [alone], EACH: [took / many], FURTHER: [further]}


def _pss(kernels: Sequence[Kernel]) -> float:
    return sum(used_bytes(kernel.pid)[0] for kernel in kernels)


MANY_KERNELS: Final = Case(
    name="many-kernels",
    metrics=(Metric(name=ALONE), Metric(name=EACH), Metric(name=FURTHER, unit="B")),
    measure=_measure,
    rounds=3,
)
