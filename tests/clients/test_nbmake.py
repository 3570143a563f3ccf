"""pytest --nbmake, which turns notebooks into tests."""

from __future__ import annotations

import subprocess
import sys

import pytest
from clients.place import Place, without_colours

pytestmark = [pytest.mark.deno, pytest.mark.slow]


def nbmake(place: Place, *notebooks: str) -> subprocess.CompletedProcess[str]:
    options = ("-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(place.work))
    return place.run(sys.executable, "-m", "pytest", *options, "--nbmake", *notebooks)


def test_a_notebook_that_runs_passes(place: Place) -> None:
    place.write_notebook("good.ipynb", "import sys", "assert sys.platform == 'emscripten'")
    done = nbmake(place, "good.ipynb")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_notebook_with_an_error_fails_and_is_shown(place: Place) -> None:
    place.write_notebook("bad.ipynb", "n = 1", "assert n == 2, 'one is not two'")
    done = nbmake(place, "bad.ipynb")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "AssertionError: one is not two" in without_colours(done.stdout)
