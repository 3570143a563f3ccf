"""The command line: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine, results, table
from benchmarks.case import Case
from benchmarks.cases import CASES
from benchmarks.profile import profile, warm
from benchmarks.run import run_case
from benchmarks.subjects import subjects


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 1 if a kernel failed in a case."""
    arguments = _parser().parse_args(argv)
    if arguments.list:
        print("\n".join(case.name for case in CASES))
        return 0
    warm()
    if arguments.profile:
        print(profile(arguments.rounds or 7))
        return 0
    try:
        chosen = choose(arguments.only)
        before = results.read(arguments.compare) if arguments.compare else None
    except (ValueError, OSError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    report = measure(chosen, rounds=arguments.rounds, quick=arguments.quick)
    if arguments.json:
        results.write(report, arguments.json)
    print(table.heading(report), table.table(report.results), sep="\n\n")
    if before is not None:
        print(f"\nagainst {arguments.compare}:", table.heading(before), "", sep="\n")
        if before.quick != report.quick:
            print("One of the two is a quick run, which does less: their numbers differ.\n")
        print(table.comparison(report.results, before.results))
    failures = table.failures(report.results)
    print(f"\n{failures}" if failures else "", end="\n" if failures else "")
    return 1 if failures else 0


def choose(names: Sequence[str]) -> list[Case]:
    """The cases with these names, or all. Raises ValueError for a name that there isn't."""
    known = {case.name for case in CASES}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no case {name!r}; there are: {', '.join(sorted(known))}")
    return [case for case in CASES if not names or case.name in names]


def measure(cases: Sequence[Case], *, rounds: int | None, quick: bool) -> results.Report:
    """Run the cases, telling on stderr how far it is."""
    measured = []
    load = {"before": machine.load()}
    with subjects() as kernels:
        for case in cases:
            measured += run_case(case, kernels, rounds=rounds, quick=quick, tell=_tell)
    _tell("")
    load["after"] = machine.load()
    return results.Report(
        results=measured, quick=quick, machine=machine.describe(), load=load, date=results.now()
    )


def _tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure this kernel and native ipykernel in the same run, interleaved.",
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[], help="this case (repeatable)"
    )
    parser.add_argument("--rounds", metavar="N", type=_positive, help="rounds of every case")
    parser.add_argument("--quick", action="store_true", help="do less; for a first impression")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results there")
    parser.add_argument(
        "--compare", metavar="FILE", type=Path, help="compare with the results in this file"
    )
    parser.add_argument(
        "--profile", action="store_true", help="show where the time of a start goes instead"
    )
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
