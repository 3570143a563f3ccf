"""Results as JSON: written, read again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.case import Metric
from benchmarks.run import Result

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run."""

    results: Sequence[Result]
    quick: bool
    machine: dict[str, Any]
    load: dict[str, dict[str, float]]
    """Before and after."""
    date: str = ""


def now() -> str:
    """The time in UTC, to the minute."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M")


def write(report: Report, path: Path) -> None:
    """Write a run as JSON."""
    value = {
        "format": FORMAT,
        "date": report.date,
        "quick": report.quick,
        "machine": report.machine,
        "load": report.load,
        "results": [_result_to_json(result) for result in report.results],
    }
    path.write_text(json.dumps(value, indent=1) + "\n")


def read(path: Path) -> Report:
    """Read a run. Raises ValueError, OSError."""
    value = json.loads(path.read_text())
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ValueError(f"{path} is not a result of format {FORMAT}")
    return Report(
        results=[_result_from_json(row) for row in value["results"]],
        quick=value["quick"],
        machine=value["machine"],
        load=value["load"],
        date=value["date"],
    )


def _result_to_json(result: Result) -> dict[str, Any]:
    samples = {
        name: [" ".join(f"{value:.4g}" for value in samples) for samples in rounds]
        for name, rounds in result.samples.items()
    }
    return {
        "case": result.case,
        **asdict(result.metric),
        "samples": samples,
        "failures": result.failures,
    }


def _result_from_json(row: dict[str, Any]) -> Result:
    fields = ("name", "unit", "max_ratio", "max_value")
    return Result(
        case=row["case"],
        metric=Metric(**{name: row[name] for name in fields}),
        samples={
            name: [[float(value) for value in samples.split()] for samples in rounds]
            for name, rounds in row["samples"].items()
        },
        failures=row["failures"],
    )
