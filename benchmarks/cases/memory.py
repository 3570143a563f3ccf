"""What one kernel costs: its process and all below it. Linux only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.case import Case, Metric, Samples
from benchmarks.client import MeasurementError
from benchmarks.subjects import Subject

IDLE_S: Final = 2.0
"""For what a start leaves to be done in the background."""

_PROC: Final = Path("/proc")


def _measure(subject: Subject, quick: bool) -> Samples:
    with subject.start() as kernel:
        kernel.wait_for_ready()
        kernel.execute("1+1")
        time.sleep(IDLE_S)
        pss, rss = used_bytes(kernel.pid)
    return {"memory after start, PSS": [pss], "memory after start, RSS": [rss]}


def used_bytes(pid: int) -> tuple[float, float]:
    """PSS and RSS of a process and all below it. Raises MeasurementError."""
    try:
        used = [_memory(process) for process in _tree(pid)]
    except OSError as error:
        raise MeasurementError(f"can't read the memory of processes here: {error}") from error
    return sum(pss for pss, _ in used), sum(rss for _, rss in used)


def _tree(pid: int) -> Iterator[int]:
    """The process and all its descendants."""
    yield pid
    for task in (_PROC / str(pid) / "task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _memory(pid: int) -> tuple[float, float]:
    """Proportional and resident set size in bytes."""
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.partition(":")[0]: float(line.split()[1]) for line in lines}
    return kilobytes["Pss"] * 1024, kilobytes["Rss"] * 1024


MEMORY: Final = Case(
    name="memory",
    metrics=(
        Metric(name="memory after start, PSS", unit="B", max_value=160e6),
        Metric(name="memory after start, RSS", unit="B"),
    ),
    measure=_measure,
    rounds=3,
)
