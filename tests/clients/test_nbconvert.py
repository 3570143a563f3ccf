"""`jupyter nbconvert --execute`, with the notebooks that we ship and with one that fails."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from clients.place import ROOT, Place, without_colours

pytestmark = [pytest.mark.deno, pytest.mark.slow]

NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def convert(
    place: Place, notebook: Path, to: str, *options: str
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Execute and convert; how it ended, and where the result is."""
    suffix = {"notebook": "ipynb", "html": "html"}[to]
    command = ["jupyter", "nbconvert", "--execute", "--to", to, "--output-dir", str(place.work)]
    done = place.run(*command, "--output", "done", *options, str(notebook))
    return done, place.work / f"done.{suffix}"


def outputs(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [output for cell in notebook.cells for output in cell.get("outputs", ())]


def shown(notebook: nbformat.NotebookNode, mime_type: str) -> list[str]:
    """All that was displayed, or was a result, of a type."""
    bundles = [output.data for output in outputs(notebook) if "data" in output]
    return [bundle[mime_type] for bundle in bundles if mime_type in bundle]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_become_pages_without_an_error(place: Place, path: Path) -> None:
    done, result = convert(place, path, "html")
    assert done.returncode == 0, done.stderr
    page = result.read_text("utf-8")
    shutil.copy(path, place.work)
    code = [cell for cell in place.read_notebook(path.name).cells if cell.cell_type == "code"]
    numbers = [int(number) for number in re.findall(r"In\s\[(\d+)\]:", page)]
    assert numbers == list(range(1, len(code) + 1))
    assert 'data-mime-type="application/vnd.jupyter.stderr"' not in page  # errors too


def test_the_tour_keeps_the_outputs_that_it_promises(place: Place) -> None:
    done, result = convert(place, ROOT / "notebooks" / "tour.ipynb", "notebook")
    assert done.returncode == 0, done.stderr
    executed = place.read_notebook(result.name)
    printed = "".join(output.text for output in outputs(executed) if "text" in output)
    assert "platform emscripten wasm32" in printed
    assert printed.index("hare: lap 3") < printed.index("tortoise: lap 3")
    assert "ZeroDivisionError: division by zero" in printed
    results = shown(executed, "text/plain")
    assert "[0, 1, 4, 9, 16, 25, 36, 49, 64, 81]" in results
    assert {"285", "42"} < set(results)
    assert any("<table>" in html and "Mercury" in html for html in shown(executed, "text/html"))
    assert any(svg.startswith("<svg") for svg in shown(executed, "image/svg+xml"))
    assert executed.metadata.language_info.version.startswith("3.14.")


FAILING = ("print('before')", "1/0", "print('after')")


def test_an_error_ends_the_conversion_with_the_usual_message(place: Place) -> None:
    done, result = convert(place, place.write_notebook("failing.ipynb", *FAILING), "notebook")
    assert done.returncode == 1
    assert "An error occurred while executing the following cell:" in done.stderr
    assert "ZeroDivisionError: division by zero" in without_colours(done.stderr)
    assert not result.exists()


def test_allow_errors_goes_on_after_an_error(place: Place) -> None:
    notebook = place.write_notebook("failing.ipynb", *FAILING)
    done, result = convert(place, notebook, "notebook", "--allow-errors")
    assert done.returncode == 0, done.stderr
    before, error, after = outputs(place.read_notebook(result.name))
    assert (before.text, after.text) == ("before\n", "after\n")
    assert (error.ename, error.evalue) == ("ZeroDivisionError", "division by zero")
