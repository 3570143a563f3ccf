"""papermill, which fills parameters into a notebook and executes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from clients.place import Place, without_colours

pytestmark = [pytest.mark.deno, pytest.mark.slow]


def parametrised(place: Place, *sources: str) -> Path:
    """A notebook whose first cell holds the defaults of its parameters."""
    return place.write_notebook("in.ipynb", *sources, tags={0: ["parameters"]})


def papermill(place: Place, notebook: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return place.run("papermill", str(notebook), str(place.work / "out.ipynb"), *options)


def test_parameters_replace_the_defaults(place: Place) -> None:
    notebook = parametrised(place, "name, times = 'nobody', 1", "print(name * times)")
    done = papermill(place, notebook, "-p", "name", "Ada ", "-p", "times", "3")
    assert done.returncode == 0, done.stderr
    executed = place.read_notebook("out.ipynb")
    assert executed.cells[-1].outputs[0].text == "Ada Ada Ada \n"
    assert executed.metadata.papermill.exception is None


def test_an_error_fails_the_run_and_is_kept_in_the_result(place: Place) -> None:
    notebook = parametrised(place, "divisor = 1", "print(10 // divisor)", "print('after')")
    done = papermill(place, notebook, "-p", "divisor", "0")
    assert done.returncode == 1
    assert "ZeroDivisionError: division by zero" in without_colours(done.stderr)
    executed = place.read_notebook("out.ipynb")
    assert executed.metadata.papermill.exception is True
    assert not executed.cells[-1].outputs
