"""Printed text: much of it, and the first of it."""

from __future__ import annotations

from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.subjects import Subject

LINE_BYTES: Final = 80


def _prints(subject: Subject, quick: bool) -> Samples:
    count = 10_000 if quick else 100_000
    kernel = subject.kernel
    exchange = kernel.execute(f"for i in range({count}): print(i)")
    expected = "".join(f"{number}\n" for number in range(count))
    check(kernel.printed(exchange) == expected, "printed text is missing or out of order")
    return {"100k prints": [exchange.complete_s]}


def _lines(subject: Subject, quick: bool) -> Samples:
    count = 100_000 if quick else 1_000_000
    kernel = subject.kernel
    width = LINE_BYTES - 1
    exchange = kernel.execute(f"for i in range({count}): print(f'{{i:{width}d}}')")
    lines = kernel.printed(exchange).splitlines()
    check(len(lines) == count, f"{len(lines):,} lines of {count:,} arrived")
    check(all(int(line) == number for number, line in enumerate(lines)), "lines out of order")
    return {"10^6 lines of 80 bytes": [exchange.complete_s]}


def _first_output(subject: Subject, quick: bool) -> Samples:
    kernel = subject.kernel
    busy = "import time; end = time.perf_counter() + 0.4; print('x')\n"
    repeats = range(2 if quick else 5)
    sleeping = [kernel.execute(busy + "time.sleep(0.4)") for _ in repeats]
    computing = [kernel.execute(busy + "while time.perf_counter() < end: pass") for _ in repeats]
    check(all(kernel.printed(each) == "x\n" for each in sleeping + computing), "output is missing")
    return {
        "first output, then sleep": [exchange.first_output_s for exchange in sleeping],
        "first output, then compute": [exchange.first_output_s for exchange in computing],
    }


PRINTS: Final = Case(
    name="prints", metrics=(Metric(name="100k prints", max_ratio=1.0),), measure=_prints
)
LINES: Final = Case(
    name="lines",
    metrics=(Metric(name="10^6 lines of 80 bytes", max_ratio=1.5),),
    measure=_lines,
    rounds=3,
)
FIRST_OUTPUT: Final = Case(
    name="first-output",
    metrics=(
        Metric(name="first output, then sleep", max_value=0.05),
        Metric(name="first output, then compute", max_value=0.05),
    ),
    measure=_first_output,
)
