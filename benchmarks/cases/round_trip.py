"""The round trip of a small cell."""

from __future__ import annotations

from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.subjects import Subject


def _measure(subject: Subject, quick: bool) -> Samples:
    kernel = subject.kernel
    exchanges = [kernel.execute("1+1") for _ in range(50)]
    check(all(kernel.result(exchange) == "2" for exchange in exchanges), "1+1 is not 2")
    return {
        "round trip of 1+1": [exchange.reply_s for exchange in exchanges],
        "1+1 until idle": [exchange.complete_s for exchange in exchanges],
    }


ROUND_TRIP: Final = Case(
    name="round-trip",
    metrics=(Metric(name="round trip of 1+1", max_ratio=1.0), Metric(name="1+1 until idle")),
    measure=_measure,
    rounds=20,
)
