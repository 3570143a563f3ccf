"""Plain computing, to see what WebAssembly costs; the aim here is bare Pyodide, not native."""

from __future__ import annotations

from functools import partial
from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.subjects import Subject

_FIB: Final = """
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
fib(29)
"""

_JSON: Final = """
import json
value = [{"name": f"row {i}", "values": [i, i / 2, None, True]} for i in range(40_000)]
len(json.loads(json.dumps(value)))
"""

_REGEX: Final = r"""
import re
text = "the quick brown fox, 2024-01-31; jumps over 17 lazy dogs <dog@example.com>. " * 12_000
len(re.findall(r"(\w+)@(\w+)\.com|\d{4}-\d\d-\d\d|\b[a-z]{5}\b", text))
"""

_SORT: Final = """
import random
generator = random.Random(0)
numbers = [generator.random() for _ in range(300_000)]
f"{sorted(numbers)[1000]:.6f}"
"""

_SQLITE: Final = """
import sqlite3
connection = sqlite3.connect(":memory:")
connection.execute("create table t (a integer, b text)")
rows = ((i % 1000, str(i)) for i in range(100_000))
connection.executemany("insert into t values (?, ?)", rows)
connection.execute("select max(n) from (select count(*) as n from t group by a)").fetchone()[0]
"""

_JOBS: Final = {
    "fib": (_FIB, "514229"),
    "json": (_JSON, "40000"),
    "regex": (_REGEX, "60000"),
    "sort": (_SORT, "'0.003379'"),
    "sqlite": (_SQLITE, "100"),
}
"""Cells, and what they say if they are right."""


def _compute(name: str, subject: Subject, quick: bool) -> Samples:
    code, expected = _JOBS[name]
    exchange = subject.kernel.execute(code)
    result = subject.kernel.result(exchange)
    check(result == expected, f"the result is {result}, not {expected}")
    return {f"compute: {name}": [exchange.reply_s]}


COMPUTE: Final = tuple(
    Case(
        name=f"compute-{name}",
        metrics=(Metric(name=f"compute: {name}"),),
        measure=partial(_compute, name),
    )
    for name in _JOBS
)
