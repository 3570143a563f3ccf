"""Runs cases: every kernel in every round, in alternating order."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.case import Case, Metric
from benchmarks.client import MeasurementError
from benchmarks.subjects import Subject

QUICK_ROUNDS = 2


@dataclass(slots=True, kw_only=True)
class Result:
    """What was measured for one metric."""

    case: str
    metric: Metric
    samples: dict[str, list[list[float]]] = field(default_factory=dict)
    """By kernel, one list a round."""
    failures: dict[str, str] = field(default_factory=dict)
    """By kernel, why it was not measured (to the end)."""


def run_case(
    case: Case,
    subjects: Sequence[Subject],
    *,
    rounds: int | None,
    quick: bool,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Result]:
    """Measure one case; a kernel that fails is left out of the rounds that follow."""
    results = [Result(case=case.name, metric=metric) for metric in case.metrics]
    failures: dict[str, str] = {}
    count = rounds or (QUICK_ROUNDS if quick else case.rounds)
    try:
        for number in range(count):
            for subject in subjects if number % 2 == 0 else reversed(subjects):
                if subject.name in failures:
                    continue
                tell(f"{case.name}: round {number + 1} of {count}, {subject.name}")
                try:
                    _measure(case, subject, results, quick=quick)
                # The others are jupyter_client's, when a process does not come up or go away.
                except (MeasurementError, RuntimeError, OSError) as error:
                    failures[subject.name] = f"round {number + 1}: {error}"
    finally:
        for subject in subjects:
            subject.release()
    for result in results:
        result.failures.update(failures)
    return results


def _measure(case: Case, subject: Subject, results: Sequence[Result], *, quick: bool) -> None:
    gc.collect()
    gc.disable()
    try:
        samples = case.measure(subject, quick)
    finally:
        gc.enable()
    for result in results:
        rounds = result.samples.setdefault(subject.name, [])
        rounds.append(list(samples[result.metric.name]))


def spin_s(loops: int = 1_000_000) -> float:
    """How long a fixed loop takes: grows when others use the machine."""
    start = time.perf_counter()
    for _ in range(loops):
        pass
    return time.perf_counter() - start
