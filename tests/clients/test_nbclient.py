"""nbclient, the library behind most programs that execute notebooks."""

from __future__ import annotations

import asyncio
from typing import Any

import nbformat
import pytest
from clients.place import TIMEOUT_S, Place, notebook
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

pytestmark = pytest.mark.deno


def client(place: Place, *sources: str, **options: Any) -> NotebookClient:
    resources = {"metadata": {"path": str(place.work)}}
    return NotebookClient(
        notebook(*sources), resources=resources, **({"timeout": TIMEOUT_S} | options)
    )


def texts(executed: nbformat.NotebookNode) -> list[str]:
    """What each cell printed."""
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in executed.cells]


def test_a_notebook_is_executed(place: Place) -> None:
    executed = client(place, "n = 6", "print(n * 7)", "n").execute()
    assert texts(executed)[1] == "42\n"
    assert executed.cells[2].outputs[0].data["text/plain"] == "6"
    assert executed.metadata.language_info.name == "python"


def test_two_notebooks_are_executed_at_once_in_one_event_loop(place: Place) -> None:
    async def both() -> list[nbformat.NotebookNode]:
        wait = "import asyncio; await asyncio.sleep(0.1)"
        clients = [client(place, wait, f"print('cell of {name}')") for name in "ab"]
        return await asyncio.gather(*(client.async_execute() for client in clients))

    first, second = asyncio.run(both())
    assert (texts(first)[1], texts(second)[1]) == ("cell of a\n", "cell of b\n")


def test_an_error_names_the_cell_and_the_exception(place: Place) -> None:
    failing = client(place, "print('before')", "raise LookupError('nothing there')", "print(1)")
    with pytest.raises(CellExecutionError, match="raise LookupError") as caught:
        failing.execute()
    assert (caught.value.ename, caught.value.evalue) == ("LookupError", "nothing there")
    assert texts(failing.nb) == ["before\n", "", ""]


@pytest.mark.parametrize(
    "endless",
    [
        "while True: pass",
        "import time\ntime.sleep(600)",
        "import asyncio\nawait asyncio.sleep(600)",
    ],
    ids=["loop", "sleep", "await"],
)
def test_a_cell_that_takes_too_long_is_interrupted_and_the_next_one_runs(
    place: Place, endless: str
) -> None:
    executed = client(
        place,
        "kept = 'still here'",
        endless,
        "print(kept)",
        # The other cells, the first of which waits for the interpreter, get all the time they need.
        # As long after the interrupt there is a second one, which would end the interpreter.
        timeout_func=lambda cell: 5 if cell.source == endless else TIMEOUT_S,
        interrupt_on_timeout=True,
        allow_errors=True,
    ).execute()
    (error,) = executed.cells[1].outputs
    assert error.ename == "KeyboardInterrupt"
    assert texts(executed)[2] == "still here\n"


def test_the_death_of_the_interpreter_is_an_error_of_the_cell(place: Place) -> None:
    dying = client(place, "print('before')", "import os\nos._exit(3)", "print('after')")
    with pytest.raises(CellExecutionError) as caught:
        dying.execute()
    assert caught.value.ename == "DeadKernelError"
    assert texts(dying.nb) == ["before\n", "", ""]


def test_a_fresh_interpreter_runs_the_cells_after_a_death(place: Place) -> None:
    code = ("kept = 1", "import os\nos._exit(3)", "print('kept' in globals())")
    executed = client(place, *code, allow_errors=True).execute()
    (error,) = executed.cells[1].outputs
    assert error.ename == "DeadKernelError"
    assert "fresh interpreter" in error.evalue
    assert texts(executed)[2] == "False\n"


def test_the_cell_that_asks_for_input_fails_and_does_not_hang(place: Place) -> None:
    with pytest.raises(CellExecutionError) as caught:
        client(place, "input('name? ')").execute()
    assert caught.value.ename == "StdinNotImplementedError"
