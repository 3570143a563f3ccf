"""Results as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from benchmarks.case import Metric
from benchmarks.results import Report
from benchmarks.run import Result
from benchmarks.subjects import NATIVE, OURS
from benchmarks.summary import Ratio, goal_met, ratio, summarize

NOTABLE: Final = 0.1
"""A change of a ratio by less than this share is noise on most machines."""

_SCALES: Final = {
    "s": ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")),
    "B": ((1e6, "MB"),),
}


def heading(report: Report) -> str:
    """Machine, load and versions."""
    machine, load = report.machine, report.load
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    loads = "; ".join(
        f"{when}: load {values['load_average']}, fixed loop {values['spin_ms_median']} ms "
        f"(at most {values['spin_ms_max']})"
        for when, values in load.items()
    )
    quick = ", quick: less of everything" if report.quick else ""
    return (
        f"{report.date} UTC{quick}, commit {machine['commit'] or '?'}\n"
        f"{machine['cores']} cores, {machine['cpu']}, {machine['memory_gb']} GB, "
        f"{machine['system']}, Python {machine['python']}\n{packages}\n{loads}"
    )


def table(results: Sequence[Result]) -> str:
    """A row a metric: median and spread of each kernel, their ratio and its spread, the goal."""
    head = ("", OURS, "spread", NATIVE, "spread", "ratio", "rounds", "goal")
    return _align([head, *(_row(result) for result in results)])


def failures(results: Iterable[Result]) -> str:
    """A line for each case that a kernel failed in."""
    lines = [
        f"FAILED {result.case}, {name}: {reason}"
        for result in results
        for name, reason in result.failures.items()
    ]
    return "\n".join(dict.fromkeys(lines))


def comparison(now: Sequence[Result], before: Sequence[Result]) -> str:
    """Ratios to native ipykernel, earlier and now.

    Ratios, since the times of two runs on different or differently busy machines say little.
    """
    earlier = {(result.case, result.metric.name): result for result in before}
    rows = [("", "ratio before", "now", "change", "")]
    for result in now:
        old = earlier.get((result.case, result.metric.name))
        if old is not None:
            rows.append(_compared(result, old))
    return _align(rows)


def amount(value: float, unit: str) -> str:
    """A number with its unit, three digits."""
    scales = _SCALES[unit]
    factor, name = next((scale for scale in scales if value >= scale[0]), scales[-1])
    number = value / factor
    digits = max(0, 3 - len(str(int(number))))
    return f"{number:.{digits}f} {name}"


def _row(result: Result) -> tuple[str, ...]:
    against = ratio(result)
    return (
        result.metric.name,
        *_cells(result, OURS),
        *_cells(result, NATIVE),
        f"{against.overall:.2f}" if against else "",
        f"{against.low:.2f}-{against.high:.2f}" if against else "",
        _goal(result),
    )


def _cells(result: Result, name: str) -> tuple[str, str]:
    summary = summarize(result.samples.get(name, []))
    if name in result.failures:
        return "failed", ""
    if summary is None:
        return "", ""
    unit = result.metric.unit
    if summary.high_is_p99:
        return amount(summary.median, unit), f"p99 {amount(summary.high, unit)}"
    spread = f"{amount(summary.low, unit)} - {amount(summary.high, unit)}"
    return amount(summary.median, unit), spread if summary.count > 1 else ""


def _goal(result: Result) -> str:
    met = goal_met(result)
    if met is None:
        return _limit(result.metric)
    return f"{_limit(result.metric)} {'met' if met else 'MISSED'}"


def _limit(metric: Metric) -> str:
    limits = []
    if metric.max_ratio is not None:
        limits.append(f"{metric.max_ratio:g}x")
    if metric.max_value is not None:
        limits.append(amount(metric.max_value, metric.unit))
    return ", ".join(limits)


def _compared(result: Result, old: Result) -> tuple[str, str, str, str, str]:
    new_ratio, old_ratio = ratio(result), ratio(old)
    name = result.metric.name
    if new_ratio is None or old_ratio is None:
        return name, _number(old_ratio), _number(new_ratio), "not measured", ""
    change = new_ratio.overall / old_ratio.overall - 1
    word = "" if abs(change) < NOTABLE else "worse" if change > 0 else "better"
    return (
        name,
        _number(old_ratio),
        _number(new_ratio),
        f"{change:+.0%}",
        word,
    )


def _number(value: Ratio | None) -> str:
    return "" if value is None else f"{value.overall:.2f}"


def _align(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        first, *rest = row
        cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
