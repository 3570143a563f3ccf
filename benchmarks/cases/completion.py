"""Tab: the first time in a fresh kernel, and from then on."""

from __future__ import annotations

from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.client import Kernel
from benchmarks.subjects import Subject

CODE: Final = "import os; os.pa"


def _complete(kernel: Kernel) -> float:
    exchange = kernel.request("complete_request", {"code": CODE, "cursor_pos": len(CODE)})
    matches = kernel.reply(exchange)["matches"]
    # IPython's own completer gives attributes with the name in front, jedi without.
    check(any(match.endswith("path") for match in matches), f"no path in {matches}")
    return exchange.reply_s


def _measure(subject: Subject, quick: bool) -> Samples:
    with subject.start() as kernel:
        kernel.wait_for_ready()
        kernel.execute("1+1")
        cold = _complete(kernel)
        warm = [_complete(kernel) for _ in range(3 if quick else 10)]
    return {"completion, first": [cold], "completion, warm": warm}


COMPLETION: Final = Case(
    name="completion",
    metrics=(
        Metric(name="completion, first"),
        Metric(name="completion, warm", max_ratio=1.0),
    ),
    measure=_measure,
)
