"""The command line: `python -m tests.fuzz --count 1000000`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS))  # as pytest does

from fuzz import frames, paths  # noqa: E402
from pyodide_kernel.bridge.deno import find_deno  # noqa: E402


def broker_frames(count: int, seed: int) -> dict[str, int]:
    """Frames for the broker. Raises CalledProcessError; Deno has said on stderr what it was."""
    root = TESTS.parent
    readable = f"--allow-read={TESTS / 'golden'},{root / 'pyodide_kernel' / 'js'}"
    options = ["--no-remote", "--no-npm", "--no-lock", "--no-prompt", "--no-check", "--quiet"]
    program = str(TESTS / "fuzz" / "frames.ts")
    run = subprocess.run(
        [find_deno(), "run", *options, readable, program, str(count), str(seed)],
        stdout=subprocess.PIPE,
        check=True,
    )
    outcomes: dict[str, int] = json.loads(run.stdout)
    return outcomes


def guest_paths(count: int, seed: int) -> dict[str, int]:
    """Paths for a guest, in folders of their own."""
    with tempfile.TemporaryDirectory() as folder:
        return paths.fuzz(count, seed, Path(folder).resolve())


TARGETS: dict[str, Callable[[int, int], dict[str, int]]] = {
    "frames, host": frames.fuzz,
    "frames, broker": broker_frames,
    "paths, guest": guest_paths,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Fuzz everything; an input that is not refused cleanly is an exception."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs for each target")
    parser.add_argument("--seed", type=int, default=1, help="where the random numbers begin")
    arguments = parser.parse_args(argv)
    for name, target in TARGETS.items():
        began = time.monotonic()
        outcomes = target(arguments.count, arguments.seed)
        seconds = time.monotonic() - began
        said = ", ".join(f"{number:,} {outcome}" for outcome, number in outcomes.items())
        sys.stdout.write(f"{name}: {said} in {seconds:.0f} s\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
