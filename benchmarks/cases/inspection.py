"""Shift-Tab."""

from __future__ import annotations

from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.client import Kernel
from benchmarks.subjects import Subject

SETUP: Final = "import json"


def _inspect(kernel: Kernel, code: str, detail_level: int) -> float:
    content = {"code": code, "cursor_pos": len(code), "detail_level": detail_level}
    exchange = kernel.request("inspect_request", content)
    check(kernel.reply(exchange)["found"], f"{code} was not found")
    return exchange.reply_s


def _measure(subject: Subject, quick: bool) -> Samples:
    kernel = subject.kernel
    kernel.execute(SETUP)
    repeats = range(5 if quick else 20)
    return {
        "inspection of json.dumps": [_inspect(kernel, "json.dumps", 0) for _ in repeats],
        "inspection with source": [_inspect(kernel, "json.dumps", 1) for _ in repeats],
    }


INSPECTION: Final = Case(
    name="inspection",
    metrics=(
        Metric(name="inspection of json.dumps", max_ratio=2.0),
        Metric(name="inspection with source", max_ratio=2.0),
    ),
    measure=_measure,
)
