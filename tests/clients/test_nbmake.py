"""pytest --nbmake, which turns notebooks into tests."""

from __future__ import annotations

import sys

import pytest
from clients.place import Place, without_colours

pytestmark = [pytest.mark.deno, pytest.mark.slow]


def test_a_notebook_that_runs_passes_and_one_with_an_error_fails(place: Place) -> None:
    place.write_notebook("good.ipynb", "import sys", "assert sys.platform == 'emscripten'")
    place.write_notebook("bad.ipynb", "n = 1", "assert n == 2, 'one is not two'")
    # Away from the configuration of these tests.
    options = ("-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", str(place.work))
    done = place.run(
        sys.executable, "-m", "pytest", *options, "--nbmake", "good.ipynb", "bad.ipynb"
    )
    assert done.returncode == 1, done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "FAILED bad.ipynb" in done.stdout
    assert "AssertionError: one is not two" in without_colours(done.stdout)
