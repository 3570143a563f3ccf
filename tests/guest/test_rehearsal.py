"""What is done before a snapshot is made: everything once, and nothing of it stays."""

from __future__ import annotations

import random
import sys

from guest.guest import Guest

from pyodide_kernel.guest.rehearsal import rehearse


def _rehearse(guest: Guest) -> None:
    with guest.streams():
        rehearse(guest.kernel)


def test_rehearsal_leaves_no_cell_no_variable_and_no_number(guest: Guest) -> None:
    _rehearse(guest)
    assert guest.kernel.execution_count == 1
    outcome = guest.run("[n for n in dir() if n[0] != '_'], len(In), Out, _")
    names = "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"
    assert outcome.result == f"({names}, 2, {{}}, '')"
    assert outcome.reply["execution_count"] == 1


def test_rehearsal_answers_every_request_and_works_where_it_should(guest: Guest) -> None:
    _rehearse(guest)
    replies = [m for m in guest.host.messages if m.msg_type.endswith("_reply")]
    failed = [m for m in replies if m.content.get("status") not in ("ok", "error", None)]
    assert {m.content["status"] for m in failed} <= {"complete", "incomplete", "invalid"}
    errors = [m.content["ename"] for m in replies if m.content.get("status") == "error"]
    assert errors == ["ZeroDivisionError", "JSONDecodeError", "NameError", "SyntaxError"] or (
        # Before Python 3.13 the parser names it otherwise.
        errors == ["ZeroDivisionError", "JSONDecodeError", "NameError", "_IncompleteInputError"]
    )
    kinds = {m.msg_type for m in guest.host.messages}
    assert {"stream", "display_data", "execute_result", "error", "complete_reply"} <= kinds


def test_generators_that_existed_in_rehearsal_are_seeded_anew(guest: Guest) -> None:
    kept = random.Random(1)
    alone = random.Random(1)
    _rehearse(guest)
    guest.kernel.begin_session()
    assert kept.getstate() != random.Random(1).getstate()
    assert kept.random() != alone.random()


def test_a_session_begins_without_a_parent(guest: Guest) -> None:
    guest.run("1")
    guest.kernel.begin_session()
    with guest.streams():
        sys.stdout.write("text\n")
        guest.kernel.flush()
    assert guest.host.messages[-1].parent_id == ""
