from __future__ import annotations

import pytest
from kernel_process import kernel_process

from pyodide_kernel.completeness import check_complete


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("1 + 1", {"status": "complete"}),
        ("%time 1", {"status": "complete"}),
        ("def f():", {"status": "incomplete", "indent": "    "}),
        ("print(", {"status": "incomplete", "indent": ""}),
        ("1 +* 2", {"status": "unknown"}),
    ],
)
def test_code_is_judged_on_the_host(code: str, reply: dict[str, str]) -> None:
    assert check_complete(code) == reply


def test_no_answer_waits_for_an_interpreter_that_boots() -> None:
    with kernel_process(environ={"FAKE_BOOTS": "0"}) as kernel:
        outcome = kernel.ask("is_complete_request", {"code": "def f():"})
    assert outcome.content == {"status": "incomplete", "indent": "    "}
