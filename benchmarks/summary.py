"""Numbers out of samples."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.run import Result
from benchmarks.subjects import NATIVE, OURS

ENOUGH_FOR_P99: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One metric of one kernel."""

    median: float
    low: float
    high: float
    """The 99th percentile if there are enough samples, else the largest."""
    high_is_p99: bool
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Medians of this kernel over those of native ipykernel."""

    overall: float
    low: float
    high: float
    """The smallest and largest of the rounds."""


def summarize(rounds: Sequence[Sequence[float]]) -> Summary | None:
    """Median and spread over all rounds; None without samples."""
    values = sorted(value for samples in rounds for value in samples)
    if not values:
        return None
    p99 = len(values) >= ENOUGH_FOR_P99
    return Summary(
        median=statistics.median(values),
        low=values[0],
        high=statistics.quantiles(values, n=100)[98] if p99 else values[-1],
        high_is_p99=p99,
        count=len(values),
    )


def ratio(result: Result) -> Ratio | None:
    """This kernel over native; None unless both were measured."""
    ours, native = (result.samples.get(name, []) for name in (OURS, NATIVE))
    whole = summarize(ours), summarize(native)
    if whole[0] is None or whole[1] is None or not whole[1].median:
        return None
    pairs = zip(ours, native, strict=False)  # a kernel that failed has fewer rounds
    each = [statistics.median(a) / statistics.median(b) for a, b in pairs if a and b]
    return Ratio(overall=whole[0].median / whole[1].median, low=min(each), high=max(each))


def goal_met(result: Result) -> bool | None:
    """Whether this kernel is as fast or small as it has to be; None if no goal is set."""
    metric = result.metric
    ours = summarize(result.samples.get(OURS, []))
    if metric.max_value is None and metric.max_ratio is None:
        return None
    if OURS in result.failures or ours is None:
        return False
    if metric.max_value is not None and ours.median > metric.max_value:
        return False
    if metric.max_ratio is None:
        return True
    against = ratio(result)
    return None if against is None else against.overall <= metric.max_ratio
