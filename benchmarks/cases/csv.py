"""A table of the host that pandas reads: from a mounted folder here, from the folder natively."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.cases.packages import prepared
from benchmarks.subjects import Subject

ROW_BYTES: Final = 50
"""Some more than this."""

_READ: Final = """
table = pandas.read_csv(path)
(table.shape, int(table["number"].sum()))
"""


def _table(path: Path, megabytes: int) -> int:
    """Write a table of that size. The sum of its column `number`."""
    rows = megabytes * 1_000_000 // ROW_BYTES
    values = random.Random(0)
    total = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("number,measured,weight,name\n")
        for row in range(rows):
            number = values.randrange(1_000_000)
            total += number
            file.write(f"{number},{values.random():.15f},{values.random():.9f},row {row:08}\n")
    return total


_totals: dict[Path, int] = {}


def _measure(subject: Subject, quick: bool) -> Samples:
    megabytes = 5 if quick else 50
    path = subject.files / "table.csv"
    if not path.exists():
        _totals[path] = _table(path, megabytes)
    options, env = prepared(subject.name)
    with subject.start(*subject.files_options, *options, env=env) as kernel:
        kernel.wait_for_ready()
        kernel.execute(f"import pandas\npath = {f'{subject.files_seen}/table.csv'!r}")
        exchange = kernel.execute(_READ)
        rows = megabytes * 1_000_000 // ROW_BYTES
        expected = f"(({rows}, 4), {_totals[path]})"
        result = kernel.result(exchange)
        check(result == expected, f"the result is {result}, not {expected}")
    return {"mount: pandas.read_csv of 50 MB": [exchange.reply_s]}


CSV: Final = Case(
    name="mount-csv",
    metrics=(Metric(name="mount: pandas.read_csv of 50 MB", max_ratio=2.0),),
    measure=_measure,
    rounds=3,
)
