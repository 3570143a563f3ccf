from __future__ import annotations

import pytest
from kernel_process import kernel_process

from pyodide_kernel.completeness import check_complete

TOO_DEEP = "(a" + ".a\n" * 50_000 + ")"
"""More than the compiler of any Python takes."""

TOO_LONG = "a" + ".a" * 100_000


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("1 + 1", {"status": "complete"}),
        ("%time 1", {"status": "complete"}),
        ("def f():", {"status": "incomplete", "indent": "    "}),
        ("print(", {"status": "incomplete", "indent": ""}),
        ("1 +* 2", {"status": "unknown"}),
        pytest.param(TOO_DEEP, {"status": "unknown"}, id="too deep for the compiler"),
        pytest.param(TOO_LONG, {"status": "unknown"}, id="too long a line"),
    ],
)
def test_code_is_judged_on_the_host(code: str, reply: dict[str, str]) -> None:
    assert check_complete(code) == reply


def test_no_answer_waits_for_an_interpreter_that_boots() -> None:
    with kernel_process(environ={"FAKE_BOOTS": "0"}) as kernel:
        outcome = kernel.ask("is_complete_request", {"code": "def f():"})
    assert outcome.content == {"status": "incomplete", "indent": "    "}


def test_code_that_is_too_deep_is_answered_while_an_interpreter_boots() -> None:
    with kernel_process(environ={"FAKE_BOOTS": "0"}) as kernel:
        outcome = kernel.ask("is_complete_request", {"code": TOO_DEEP})
    assert outcome.content == {"status": "unknown"}
