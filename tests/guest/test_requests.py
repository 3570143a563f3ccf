from __future__ import annotations

import atexit
from typing import Any

import pytest
from guest.guest import Guest


def test_reply_of_a_cell_has_all_its_fields(guest: Guest) -> None:
    assert guest.run("1").reply == {
        "status": "ok",
        "execution_count": 1,
        "user_expressions": {},
        "payload": [],
    }


def test_cells_are_counted(guest: Guest) -> None:
    counts = [
        guest.run(code, **options).reply["execution_count"]
        for code, options in [
            ("1", {}),
            ("1/0", {}),
            ("x", {"store_history": False}),
            ("x", {"silent": True}),
            ("", {}),
            ("2", {}),
        ]
    ]
    assert counts == [1, 2, 2, 2, 2, 3]
    assert guest.kernel.execution_count == 4


def test_silent_cell_shows_no_result_but_what_it_prints(guest: Guest) -> None:
    outcome = guest.run("print('printed')\n1", silent=True)
    assert outcome.types == ["stream"]


def test_user_expressions_are_evaluated_after_a_good_cell(guest: Guest) -> None:
    reply = guest.run("x = 2", user_expressions={"good": "x * 21", "bad": "y"}).reply
    assert reply["user_expressions"]["good"]["data"] == {"text/plain": "42"}
    assert reply["user_expressions"]["good"]["status"] == "ok"
    assert reply["user_expressions"]["bad"]["ename"] == "NameError"
    assert guest.run("1/0", user_expressions={"a": "1"}).reply["user_expressions"] == {}


def test_everything_printed_comes_before_the_reply(guest: Guest) -> None:
    outcome = guest.run("for n in range(100): print(n, end=' ')")
    assert outcome.stdout == "".join(f"{n} " for n in range(100))


def test_cell_knows_its_id(guest: Guest) -> None:
    guest.run(
        "infos = []\n"
        "hook = lambda info: infos.append(info.cell_id)\n"
        "get_ipython().events.register('pre_run_cell', hook)"
    )
    content = {"code": "1", "silent": False, "store_history": True, "allow_stdin": False}
    guest.send("execute_request", content, metadata={"cellId": "the-cell"})
    assert guest.run("infos[0]").result == "'the-cell'"
    guest.run("get_ipython().events.unregister('pre_run_cell', hook)")


def test_interrupt_outside_of_the_users_code_is_an_error(guest: Guest) -> None:
    def transform(lines: list[str]) -> list[str]:
        raise KeyboardInterrupt

    guest.shell.input_transformers_cleanup.append(transform)
    try:
        outcome = guest.run("1")
    finally:
        guest.shell.input_transformers_cleanup.remove(transform)
    assert outcome.error == ("KeyboardInterrupt", "")
    assert outcome.reply["ename"] == "KeyboardInterrupt"


def test_fault_of_the_kernel_is_an_error_that_says_so(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any, **_kwargs: Any) -> None:
        raise LookupError("our fault")

    monkeypatch.setattr(type(guest.shell), "run_cell", broken)
    reply = guest.run("1").reply
    assert reply["status"] == "error"
    assert reply["ename"] == "InternalError"
    assert "internal error of pyodide-kernel while it handled execute_request" in reply["evalue"]
    assert "our fault" in reply["evalue"]
    assert any("broken" in line for line in reply["traceback"])


@pytest.mark.parametrize(
    "msg_type", ["complete_request", "inspect_request", "is_complete_request", "comm_info_request"]
)
def test_every_failing_request_is_answered(guest: Guest, msg_type: str) -> None:
    reply = guest.request(msg_type, code=None, cursor_pos="odd", target_name=1).reply
    assert reply["status"] in ("ok" if msg_type == "comm_info_request" else "error")


def test_too_large_a_reply_becomes_an_error_reply(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guest.host, "message_limit", 5000)
    reply = guest.run("x = 'x' * 10000", user_expressions={"x": "x"}).reply
    assert reply["ename"] == "MessageTooLargeError"
    assert reply["execution_count"] == 1


# --- completion -----------------------------------------------------------------------------------


def complete(guest: Guest, code: str, cursor: int | None = None) -> tuple[list[str], str]:
    """The matches, and the text that they replace."""
    cursor = len(code) if cursor is None else cursor
    reply = guest.request("complete_request", code=code, cursor_pos=cursor).reply
    assert reply["status"] == "ok"
    return reply["matches"], code[reply["cursor_start"] : reply["cursor_end"]]


def test_names_attributes_and_modules_are_completed(guest: Guest) -> None:
    guest.run("colour_of_the_sky = 'blue'")
    assert complete(guest, "colour_of") == (["colour_of_the_sky"], "colour_of")
    matches, replaced = complete(guest, "colour_of_the_sky.upp")
    assert [match.lstrip(".") for match in matches] == ["upper"]
    assert replaced.lstrip(".") == "upp"
    assert "json" in complete(guest, "import js")[0]
    assert "%timeit" in complete(guest, "%time")[0]


def test_completion_counts_code_points(guest: Guest) -> None:
    guest.run("colour = 1")
    code = "'𝄞👩‍👩‍👧é'; colo + '𝄞'"
    cursor = code.index("colo") + 4
    matches, replaced = complete(guest, code, cursor)
    assert (matches[0], replaced) == ("colour", "colo")


def test_completion_knows_types(guest: Guest) -> None:
    guest.run("def calculate(a, b=2): pass")
    reply = guest.request("complete_request", code="calcu", cursor_pos=5).reply
    (item,) = reply["metadata"]["_jupyter_types_experimental"]
    assert item["type"] == "function"
    assert item["signature"] == "(a, b=2)"
    assert (item["start"], item["end"], item["text"]) == (0, 5, "calculate")


@pytest.mark.parametrize(("code", "cursor"), [("", 0), ("no_such_name_at_all", 99)])
def test_nothing_to_complete_is_no_error(guest: Guest, code: str, cursor: int) -> None:
    reply = guest.request("complete_request", code=code, cursor_pos=cursor).reply
    assert reply["status"] == "ok"
    assert reply["cursor_end"] <= len(code)
    if code:
        assert reply["matches"] == []


# --- inspection -----------------------------------------------------------------------------------


def inspect(guest: Guest, code: str, cursor: int, level: int) -> Any:
    return guest.request("inspect_request", code=code, cursor_pos=cursor, detail_level=level).reply


def test_inspection_shows_documentation_and_source(guest: Guest) -> None:
    guest.run('def f(a):\n    "What f does."\n    return a + 1')
    brief, full = (inspect(guest, "f(1)", 1, level) for level in (0, 1))
    for reply in (brief, full):
        assert (reply["status"], reply["found"], set(reply["data"])) == ("ok", True, {"text/plain"})
    assert "What f does." in brief["data"]["text/plain"]
    assert "return" not in brief["data"]["text/plain"]
    assert "return" in full["data"]["text/plain"]


@pytest.mark.parametrize(("code", "cursor"), [("nothing_like_this", 3), ("", 0), ("a b", 77)])
def test_unknown_name_is_not_found_and_no_error(guest: Guest, code: str, cursor: int) -> None:
    reply = inspect(guest, code, cursor, 0)
    assert reply == {"status": "ok", "found": False, "data": {}, "metadata": {}}


def test_html_is_given_only_if_it_is_wanted(guest: Guest) -> None:
    with pytest.warns(match="provisional"):
        guest.shell.enable_html_pager = True
    try:
        assert "text/html" in inspect(guest, "len", 1, 0)["data"]
    finally:
        guest.shell.enable_html_pager = False


# --- the rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reply"),
    [
        ("1 + 1", {"status": "complete"}),
        ("%time 1", {"status": "complete"}),
        ("await x", {"status": "complete"}),
        ("a = 1 2", {"status": "invalid"}),
        ("for x in y:", {"status": "incomplete", "indent": "    "}),
        ("def f():\n    if x:", {"status": "incomplete", "indent": "        "}),
        ("x = (1,", {"status": "incomplete", "indent": ""}),
    ],
)
def test_completeness_of_code_is_judged(guest: Guest, code: str, reply: dict[str, str]) -> None:
    assert guest.request("is_complete_request", code=code).reply == reply


def test_shutdown_runs_exit_callbacks_before_its_reply(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The callbacks of the test run itself must not run.
    monkeypatch.setattr(atexit, "_run_exitfuncs", lambda: print("bye"))  # noqa: T201
    outcome = guest.request("shutdown_request", restart=True)
    assert outcome.stdout == "bye\n"
    assert outcome.reply == {"status": "ok", "restart": True}


def test_shutdown_survives_a_failing_callback(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise SystemExit(1)

    monkeypatch.setattr(atexit, "_run_exitfuncs", fail)
    assert guest.request("shutdown_request", restart=False).reply["status"] == "error"
