"""`jupyter console`, in a real pseudo-terminal.

What is waited for is never what was typed, since the terminal shows that too: `'na' 'me? '`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from clients.place import END_TIMEOUT_S, KERNEL_NAME, Place
from clients.terminal import CONTROL_C, CONTROL_D, Terminal, terminal

pytestmark = [pytest.mark.deno, pytest.mark.slow]

PATIENT = (
    "--ZMQTerminalInteractiveShell.kernel_is_complete_timeout=60",
    "--ZMQCompleter.timeout=60",
)
"""By default the console gives up asking whether a cell is complete after 1 s without an answer."""


@contextmanager
def console(place: Place, *options: str) -> Iterator[Terminal]:
    """A console at its first prompt."""
    arguments = options or ("--kernel", KERNEL_NAME)
    with terminal(place, "jupyter", "console", *PATIENT, *arguments) as screen:
        screen.wait_for(r"In \[\d+\]: ")
        yield screen


def leave(screen: Terminal) -> None:
    screen.enter("exit")
    assert screen.wait_for_end() == 0


def kernel_processes(place: Place) -> list[psutil.Process]:
    """The kernel and its Deno."""
    found = [
        process
        for process in place.processes()
        if "pyodide_kernel" in process.cmdline() or process.name() == "deno"
    ]
    assert len(found) == 2
    return found


def test_code_of_one_line_and_of_many(place: Place) -> None:
    with console(place) as screen:
        screen.enter("1 + 1")
        screen.wait_for(r"Out\[1\]: 2\b")
        screen.wait_for(r"In \[2\]: ")
        # The console indents, as the kernel tells it to.
        screen.enter("def double(n):", "if n:", "return n * 2", "")
        screen.wait_for(r"In \[3\]: ")
        screen.enter("double(21)")
        screen.wait_for(r"Out\[3\]: 42\b")
        screen.wait_for(r"In \[4\]: ")
        leave(screen)


def test_cells_ask_for_a_name_and_a_password(place: Place) -> None:
    with console(place) as screen:
        screen.enter("name = input('na' 'me? '); print('Hello', name)")
        screen.wait_for(r"name\? ")
        screen.enter("Ada Lovelace")
        screen.wait_for(r"Hello Ada Lovelace")
        screen.wait_for(r"In \[2\]: ")
        screen.enter("import getpass; word = getpass.getpass('pass' 'word? ')")
        screen.wait_for(r"password\? ")
        screen.enter("xyzzy")
        assert "xyzzy" not in screen.wait_for(r"In \[3\]: ")
        screen.enter("word[::-1]")
        screen.wait_for("yzzyx")
        screen.wait_for(r"In \[4\]: ")
        leave(screen)


def test_end_of_input_is_an_eof_error(place: Place) -> None:
    with console(place) as screen:
        screen.enter("input('na' 'me? ')")
        screen.wait_for(r"name\? ")
        screen.type(CONTROL_D)
        screen.wait_for("EOFError")
        screen.wait_for(r"In \[2\]: ")
        leave(screen)


def test_breakpoint_opens_the_debugger_in_the_function(place: Place) -> None:
    with console(place) as screen:
        screen.enter("def f(x):", "breakpoint()", "return x + 1", "")
        screen.wait_for(r"In \[2\]: ")
        screen.enter("f(41)")
        screen.wait_for(r"----> 2     breakpoint\(\)")
        screen.wait_for("ipdb> ")
        screen.enter("p x")
        screen.wait_for(r"41\s+ipdb> ")
        screen.enter("x = 1")
        screen.wait_for("ipdb> ")
        screen.enter("n")
        screen.wait_for("----> 3     return x")
        screen.wait_for("ipdb> ")
        screen.enter("c")
        screen.wait_for(r"Out\[2\]: 2\b")
        screen.wait_for(r"In \[3\]: ")
        leave(screen)


def test_debug_looks_at_the_last_error(place: Place) -> None:
    with console(place) as screen:
        screen.enter("def f(divisor):", "return 10 // divisor", "")
        screen.wait_for(r"In \[2\]: ")
        screen.enter("f(0)")
        screen.wait_for("ZeroDivisionError")
        screen.wait_for(r"In \[3\]: ")
        screen.enter("%debug")
        screen.wait_for("ipdb> ")
        screen.enter("p divisor - 7")
        screen.wait_for(r"-7\s+ipdb> ")
        screen.enter("u")
        screen.wait_for(r"----> 1 f\(0\)")
        screen.wait_for("ipdb> ")
        screen.enter("q")
        screen.wait_for(r"In \[4\]: ")
        leave(screen)


def test_a_question_mark_shows_help(place: Place) -> None:
    with console(place) as screen:
        screen.enter("len?")
        help_text = screen.wait_for(r"In \[2\]: ")
        assert "Return the number of items in a container." in help_text
        leave(screen)


def test_the_tab_key_completes(place: Place) -> None:
    with console(place) as screen:
        screen.enter("zebra_crossing = 41")
        screen.wait_for(r"In \[2\]: ")
        screen.type("zebra_\t")
        screen.wait_for("zebra_crossing")
        screen.enter(" + 1")
        screen.wait_for(r"Out\[2\]: 42\b")
        screen.wait_for(r"In \[3\]: ")
        leave(screen)


def test_control_c_ends_cells_one_after_the_other_and_nothing_else(place: Place) -> None:
    """F10-ctrl-c of tests/cases"""
    with console(place) as screen:
        screen.enter("import time; kept = 'still' ' here'")
        screen.wait_for(r"In \[2\]: ")
        screen.enter("def spin():", "print('star' 'ted')", "while True: pass", "")
        screen.wait_for(r"In \[3\]: ")
        before = kernel_processes(place)
        cells = ("spin()", "print('star' 'ted') or time.sleep(600)", "input('star' 'ted')")
        for number, cell in enumerate(cells * 2, start=3):
            screen.enter(cell)
            screen.wait_for("started")
            screen.type(CONTROL_C)
            screen.wait_for("KeyboardInterrupt")
            screen.wait_for(rf"In \[{number + 1}\]: ")
        screen.enter("kept")
        screen.wait_for("still here")
        assert kernel_processes(place) == before
        leave(screen)


def test_a_second_console_shares_the_kernel_and_can_leave_it(place: Place) -> None:
    with console(place) as first:
        first.enter("shared = 'from the first'")
        first.wait_for(r"In \[2\]: ")
        with console(place, "--existing") as second:
            second.enter("shared[::-1]; shared = shared.upper()", "shared")
            second.wait_for("FROM THE FIRST")
            second.enter("exit(keep_kernel=True)")
            second.wait_for("keeping kernel alive")
            assert second.wait_for_end() == 0
        assert kernel_processes(place)
        first.enter("shared + '!'")
        first.wait_for("FROM THE FIRST!")
        first.wait_for(r"In \[\d+\]: ")
        leave(first)


def test_closing_the_terminal_while_a_cell_runs_ends_the_kernel(place: Place) -> None:
    with console(place) as screen:
        screen.enter("print('star' 'ted'); all(n == 0 for n in iter(int, 1))")
        screen.wait_for("started")
        kernel = kernel_processes(place)
    psutil.wait_procs(kernel, timeout=END_TIMEOUT_S)
    assert not place.processes()
    # The connection file is the console's, which had no time to remove it.
    for path in place.runtime.glob("kernel-*.json"):
        path.unlink()
