"""Rich output: one that is big, and many that are small."""

from __future__ import annotations

from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.subjects import Subject


def _big(subject: Subject, quick: bool) -> Samples:
    kernel = subject.kernel
    size = 20_000_000
    exchange = kernel.execute(
        f"from IPython.display import display\n"
        f"display({{'text/plain': '<pre>', 'text/html': 'x' * {size}}}, raw=True)"
    )
    sizes = [len(shown["data"]["text/html"]) for shown in kernel.outputs(exchange, "display_data")]
    check(sizes == [size], f"displays of {sizes} characters arrived")
    return {"20 MB display": [exchange.complete_s]}


def _many(subject: Subject, quick: bool) -> Samples:
    count = 5_000 if quick else 100_000
    kernel = subject.kernel
    exchange = kernel.execute(
        f"from IPython.display import display\nfor i in range({count}): display(i)"
    )
    shown = [each["data"]["text/plain"] for each in kernel.outputs(exchange, "display_data")]
    check(len(shown) == count, f"{len(shown):,} displays of {count:,} arrived")
    check(shown == [str(number) for number in range(count)], "displays out of order")
    return {"10^5 displays": [exchange.complete_s]}


BIG_DISPLAY: Final = Case(
    name="big-display", metrics=(Metric(name="20 MB display", max_ratio=1.5),), measure=_big
)
MANY_DISPLAYS: Final = Case(
    name="many-displays", metrics=(Metric(name="10^5 displays"),), measure=_many, rounds=3
)
