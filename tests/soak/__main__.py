"""The command line: `python -m tests.soak --cells 2000`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

from soak.run import soak

MB = 2**20


def main(argv: Sequence[str] | None = None) -> int:
    """Run random cells in one kernel; a wrong or lost output is an exception."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=main.__doc__)
    parser.add_argument("--cells", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(argv)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = soak(Path(folder).resolve(), arguments.cells, arguments.seed, _tell)
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(report.counts.items()))
    sys.stdout.write(
        f"{arguments.cells} cells in {time.monotonic() - began:.0f} s, nothing wrong or lost: "
        f"{counts}\nhost {report.host[0] // MB} MB at first, {report.host[-1] // MB} in the end, "
        f"grown by {report.grown / MB:.1f} after the warm-up; Deno {max(report.deno) // MB} MB "
        "at most\n"
    )
    return 0


def _tell(number: int) -> None:
    if (number + 1) % 100 == 0:
        sys.stderr.write(f"{number + 1} cells\n")


if __name__ == "__main__":
    sys.exit(main())
