"""`jupyter run` and `jupyter execute`, which run files."""

from __future__ import annotations

import pytest
from clients.place import KERNEL_NAME, Place, without_colours

pytestmark = [pytest.mark.deno, pytest.mark.slow]


def test_run_runs_a_script_and_shows_what_it_prints(place: Place) -> None:
    (place.work / "script.py").write_text("import sys\nprint(sys.platform, 6 * 7)\n", "utf-8")
    done = place.run("jupyter", "run", "--kernel", KERNEL_NAME, "script.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "emscripten 42\n"


def test_execute_runs_a_notebook_in_its_place(place: Place) -> None:
    place.write_notebook("book.ipynb", "import sys", "sys.platform")
    done = place.run("jupyter", "execute", "--inplace", "book.ipynb")
    assert done.returncode == 0, done.stderr
    (result,) = place.read_notebook("book.ipynb").cells[1].outputs
    assert result.data["text/plain"] == "'emscripten'"


def test_execute_fails_with_the_error_of_the_cell(place: Place) -> None:
    place.write_notebook("book.ipynb", "1/0")
    done = place.run("jupyter", "execute", "book.ipynb")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in without_colours(done.stderr)
