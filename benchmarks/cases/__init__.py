"""All cases. To add one: a function and a `Case` in a module here, and its name below."""

from __future__ import annotations

from typing import Final

from benchmarks.case import Case
from benchmarks.cases.completion import COMPLETION
from benchmarks.cases.compute import COMPUTE
from benchmarks.cases.csv import CSV
from benchmarks.cases.displays import BIG_DISPLAY, MANY_DISPLAYS
from benchmarks.cases.inspection import INSPECTION
from benchmarks.cases.interrupts import INTERRUPTS
from benchmarks.cases.many import MANY_KERNELS
from benchmarks.cases.memory import MEMORY
from benchmarks.cases.mounts import MOUNTS
from benchmarks.cases.packages import PACKAGES
from benchmarks.cases.round_trip import ROUND_TRIP
from benchmarks.cases.start import RESTART, START
from benchmarks.cases.streams import FIRST_OUTPUT, LINES, PRINTS

CASES: Final[tuple[Case, ...]] = (
    START,
    RESTART,
    ROUND_TRIP,
    COMPLETION,
    INSPECTION,
    FIRST_OUTPUT,
    PRINTS,
    LINES,
    BIG_DISPLAY,
    MANY_DISPLAYS,
    INTERRUPTS,
    MEMORY,
    MANY_KERNELS,
    PACKAGES,
    *MOUNTS,
    CSV,
    *COMPUTE,
)
