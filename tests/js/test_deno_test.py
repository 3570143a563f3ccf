"""Runs the tests of the TypeScript code, so that one command runs all tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pyodide_kernel.bridge.deno import find_deno

ROOT = Path(__file__).parents[2]
READABLE = ("tests/golden", "tests/js", "pyodide_kernel/js")


@pytest.mark.deno
def test_deno_test_passes(tmp_path: Path) -> None:
    options = ["--no-remote", "--no-npm", "--no-lock", "--no-prompt", "--no-check"]
    run = subprocess.run(
        [find_deno(), "test", *options, f"--allow-read={','.join(READABLE)}", "tests/js"],
        cwd=ROOT,
        env={"DENO_DIR": str(tmp_path), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        pytest.fail(f"{run.stdout}\n{run.stderr}", pytrace=False)
