"""What a case is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.client import MeasurementError
from benchmarks.subjects import Subject

Samples = Mapping[str, Sequence[float]]
"""What one round measured: values by the name of their metric, in seconds or bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One row of the table."""

    name: str
    unit: Literal["s", "B"] = "s"
    max_ratio: float | None = None
    """What this kernel's median may be, as a multiple of native ipykernel's."""
    max_value: float | None = None
    """What this kernel's median may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Something to measure, for one kernel and one round at a time.

    `measure(subject, quick)` uses `subject.kernel`, which lives as long as the case, or starts its
    own with `subject.start()`. With `quick` it does less of the same.
    """

    name: str
    metrics: Sequence[Metric]
    measure: Callable[[Subject, bool], Samples]
    rounds: int = 5


def check(condition: bool, complaint: str) -> None:
    """Raise MeasurementError, so that a kernel can't be fast by being wrong."""
    if not condition:
        raise MeasurementError(complaint)
