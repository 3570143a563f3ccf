from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest
from guest.guest import Guest

from pyodide_kernel.bridge.messages import CLIENT_HEADER

DIVIDE = """\
def divide(a, b):
    return a / b
divide(1, 0)
"""


def test_value_of_the_last_expression_is_the_result(guest: Guest) -> None:
    outcome = guest.run("a = 20\na + 22")
    assert outcome.of("execute_result") == [
        {"data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1}
    ]


@pytest.mark.parametrize("code", ["None", "1 + 1;", "x = 1", "", "  \n", "# nothing"])
def test_quiet_cells_have_no_result(guest: Guest, code: str) -> None:
    assert guest.run(code).outputs == []


def test_former_results_and_inputs_are_at_hand(guest: Guest) -> None:
    guest.run("40")
    guest.run("2")
    assert guest.run("_ + __ + _1 + Out[2]").result == "84"
    assert guest.run("In[1], _i1, _ih[2]").result == "('40', '40', '2')"


def test_top_level_await_works(guest: Guest) -> None:
    assert guest.run("import asyncio\nawait asyncio.sleep(0)\n6 * 7").result == "42"


@pytest.mark.parametrize("code", ["1", "import asyncio; await asyncio.sleep(0)", "1/0"])
def test_hooks_fire_once_for_each_cell(guest: Guest, code: str) -> None:
    fired: list[str] = []
    names = ["pre_execute", "pre_run_cell", "post_execute", "post_run_cell"]
    hooks = {name: lambda *_args, name=name: fired.append(name) for name in names}
    for name, hook in hooks.items():
        guest.shell.events.register(name, hook)
    guest.run(code)
    for name, hook in hooks.items():
        guest.shell.events.unregister(name, hook)
    assert fired == names


def test_what_a_task_prints_later_belongs_to_its_cell(guest: Guest) -> None:
    guest.run("import asyncio\ngo_on = asyncio.Event()")
    guest.run(
        "async def later():\n"
        "    await go_on.wait()\n"
        "    print('later')\n"
        "    display('shown')\n"
        "task = asyncio.create_task(later())\n"
        "await asyncio.sleep(0)"
    )
    parent = guest.host.messages[-1].parent_id
    guest.run("print('between'); go_on.set()")
    start = len(guest.host.messages)
    with guest.streams():
        guest.host.run_tasks()
        guest.kernel.flush()
    late = [(message.msg_type, message.parent_id) for message in guest.host.messages[start:]]
    assert late == [("stream", parent), ("display_data", parent)]


# --- errors ---------------------------------------------------------------------------------------


def test_error_has_the_class_name_the_text_and_the_lines_of_the_cell(guest: Guest) -> None:
    outcome = guest.run(DIVIDE)
    (error,) = outcome.of("error")
    assert (error["ename"], error["evalue"]) == ("ZeroDivisionError", "division by zero")
    text = "\n".join(error["traceback"])
    assert "\x1b[" in text
    assert "Cell" in text
    assert "In[1]" in text
    assert "return" in text
    assert outcome.reply["status"] == "error"
    assert {name: outcome.reply[name] for name in error} == error


def test_syntax_errors_are_errors(guest: Guest) -> None:
    outcome = guest.run("def f(:")
    assert outcome.error[0] == "SyntaxError"
    assert outcome.reply["ename"] == "SyntaxError"


def test_exception_groups_are_errors(guest: Guest) -> None:
    outcome = guest.run("raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])")
    assert outcome.error[0] == "ExceptionGroup"
    (error,) = outcome.of("error")
    text = "\n".join(error["traceback"])
    assert "ValueError: a" in text
    assert "IPython/core" not in text
    assert outcome.stderr == ""


def test_error_of_a_display_method_fails_the_cell(guest: Guest) -> None:
    outcome = guest.run("class Odd:\n    def __repr__(self): raise ValueError('no picture')\nOdd()")
    assert outcome.error == ("ValueError", "no picture")
    assert outcome.reply["status"] == "error"
    assert outcome.reply["ename"] == "ValueError"


def test_sys_exit_is_reported_and_ends_nothing(guest: Guest) -> None:
    with pytest.warns(UserWarning, match="To exit"):
        outcome = guest.run("import sys\nsys.exit(3)")
    assert outcome.error == ("SystemExit", "3")
    assert outcome.payload == []
    assert guest.run("1").result == "1"


def test_huge_error_texts_are_cut(guest: Guest) -> None:
    outcome = guest.run("raise ValueError('x' * 10**7)")
    assert len(outcome.error[1]) < 200_000
    assert "characters left out" in outcome.error[1]
    assert sum(map(len, outcome.of("error")[0]["traceback"])) < 3_000_000


def test_tracebacks_follow_xmode(guest: Guest) -> None:
    guest.run("%xmode Minimal")
    try:
        assert len(guest.run(DIVIDE).of("error")[0]["traceback"]) < 3
    finally:
        guest.run("%xmode Context")


# --- interrupts -----------------------------------------------------------------------------------


def test_interrupt_of_a_sync_cell_is_an_error(guest: Guest) -> None:
    outcome = guest.run("kept = 1\nraise KeyboardInterrupt")
    assert outcome.error == ("KeyboardInterrupt", "")
    assert outcome.reply["ename"] == "KeyboardInterrupt"
    assert guest.run("kept").result == "1"


def interrupt(guest: Guest) -> None:
    """What the host does to a cell that waits."""
    guest.kernel.note_interrupt()
    assert guest.host.waiting is not None
    guest.host.waiting.cancel()


@pytest.mark.parametrize(
    "code",
    [
        "await asyncio.sleep(60)",
        "await asyncio.Future()",
        "await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))",
        "async with asyncio.timeout(50):\n    await asyncio.sleep(60)",
        "async with asyncio.TaskGroup() as group:\n    group.create_task(asyncio.sleep(60))",
    ],
)
def test_interrupt_of_a_waiting_cell_is_a_keyboard_interrupt(guest: Guest, code: str) -> None:
    guest.host.while_waiting = lambda: interrupt(guest)
    outcome = guest.run(f"import asyncio\nkept = 1\n{code}")
    assert outcome.error == ("KeyboardInterrupt", "")
    assert outcome.reply["ename"] == "KeyboardInterrupt"
    guest.host.while_waiting = lambda: None
    assert guest.run("kept").result == "1"


def test_cell_that_cleans_up_after_an_interrupt_ends_well(guest: Guest) -> None:
    guest.host.while_waiting = lambda: interrupt(guest)
    outcome = guest.run(
        "import asyncio\n"
        "try:\n    await asyncio.sleep(60)\n"
        "except asyncio.CancelledError:\n    print('cleaned up')"
    )
    assert outcome.stdout == "cleaned up\n"
    assert outcome.reply["status"] == "ok"


def test_cancellation_without_an_interrupt_stays_one(guest: Guest) -> None:
    outcome = guest.run("import asyncio\nraise asyncio.CancelledError('mine')")
    assert outcome.error == ("CancelledError", "mine")


def test_interrupt_that_the_host_raises_itself_is_shown_once(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_sync(awaitable: object) -> None:
        awaitable.close()  # type: ignore[attr-defined]  # a coroutine
        raise KeyboardInterrupt

    monkeypatch.setattr(guest.host, "run_sync", run_sync)
    outcome = guest.run("import asyncio\nawait asyncio.sleep(1)")
    assert outcome.error == ("KeyboardInterrupt", "")


# --- input ----------------------------------------------------------------------------------------


def ok(*values: str) -> list[dict[str, str]]:
    return [{"status": "ok", "value": value} for value in values]


def test_input_asks_after_what_was_printed(guest: Guest) -> None:
    guest.host.answers.extend(ok("Ada"))
    outcome = guest.run("print('hello', end='')\nname = input('Name? ')\nname")
    assert outcome.types == ["stream", "input_request", "execute_result"]
    assert outcome.of("input_request") == [{"prompt": "Name? ", "password": False}]
    assert outcome.result == "'Ada'"


def test_input_works_twice_in_functions_and_in_coroutines(guest: Guest) -> None:
    guest.host.answers.extend(ok("a", "b", "c"))
    outcome = guest.run(
        "import asyncio\n"
        "def f(): return input() + input(2)\n"
        "async def g(): return f() + input('3')\n"
        "await g()"
    )
    assert outcome.result == "'abc'"
    assert [content["prompt"] for content in outcome.of("input_request")] == ["", "2", "3"]


def test_getpass_asks_for_a_password(guest: Guest) -> None:
    guest.host.answers.extend(ok("secret", "more"))
    outcome = guest.run("from getpass import getpass\n[getpass(), getpass('PIN: ')]")
    assert outcome.of("input_request") == [
        {"prompt": "Password: ", "password": True},
        {"prompt": "PIN: ", "password": True},
    ]
    assert outcome.result == "['secret', 'more']"


@pytest.mark.parametrize("name", ["EOFError", "KeyboardInterrupt"])
def test_question_may_end_without_an_answer(guest: Guest, name: str) -> None:
    guest.host.answers.append({"status": "error", "ename": name, "evalue": "no more"})
    assert guest.run("input()").error == (name, "no more")


def test_unknown_failures_of_a_question_are_named(guest: Guest) -> None:
    guest.host.answers.append({"status": "error", "ename": "Odd", "evalue": "text"})
    name, text = guest.run("input()").error
    assert name == "RuntimeError"
    assert "Odd text" in text


def test_interrupt_ends_a_question(guest: Guest) -> None:
    guest.host.answers.append(KeyboardInterrupt())
    assert guest.run("input()").error[0] == "KeyboardInterrupt"


@pytest.mark.parametrize("code", ["input()", "import getpass; getpass.getpass()"])
def test_without_allow_stdin_questions_are_refused(guest: Guest, code: str) -> None:
    name, text = guest.run(code, allow_stdin=False).error
    assert name == "StdinNotImplementedError"
    assert "does not support" in text


# --- debugger -------------------------------------------------------------------------------------


def test_debug_magic_walks_the_last_traceback(guest: Guest) -> None:
    guest.run(DIVIDE)
    guest.host.answers.extend(ok("p (a, b)", "up", "q"))
    outcome = guest.run("%debug")
    assert "(1, 0)" in outcome.stdout
    assert [content["prompt"] for content in outcome.of("input_request")] == ["ipdb> "] * 3
    assert outcome.reply["status"] == "ok"


@pytest.mark.parametrize("call", ["breakpoint()", "import pdb; pdb.set_trace()"])
def test_breakpoints_ask_through_input(guest: Guest, call: str) -> None:
    guest.host.answers.extend(ok("p x + 1", "c"))
    outcome = guest.run(f"def f():\n    x = 41\n    {call}\n    return x\nf()")
    assert "42" in outcome.stdout
    assert outcome.result == "41"


def test_interrupt_at_the_prompt_of_the_debugger_ends_the_cell(guest: Guest) -> None:
    guest.host.answers.append(KeyboardInterrupt())
    outcome = guest.run("def f():\n    breakpoint()\n    return 1\nf()")
    assert outcome.error[0] == "KeyboardInterrupt"
    assert guest.run("f = None\n1").result == "1"


def test_debugger_leaves_the_interrupt_signal_alone(guest: Guest) -> None:
    guest.run("import signal\nbefore = signal.getsignal(signal.SIGINT)")
    guest.host.answers.extend(ok("c"))
    guest.run("def f():\n    breakpoint()\n    return 1\nf()")
    assert guest.run("signal.getsignal(signal.SIGINT) == before").result == "True"


# --- payloads -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "shown"), [("len?", "number of items"), ("divide??", "return")])
def test_question_marks_page(guest: Guest, code: str, shown: str) -> None:
    guest.run(DIVIDE)
    (payload,) = guest.run(code).payload
    assert payload["source"] == "page"
    assert payload["start"] == 0
    assert shown in payload["data"]["text/plain"]


def test_next_input_is_a_payload(guest: Guest) -> None:
    outcome = guest.run("get_ipython().set_next_input('1 + 1')")
    assert outcome.payload == [{"source": "set_next_input", "text": "1 + 1", "replace": False}]
    assert guest.run("pass").payload == []


@pytest.mark.parametrize(
    ("code", "keep"), [("exit", False), ("quit()", False), ("exit(keep_kernel=True)", True)]
)
def test_exit_is_a_payload(guest: Guest, code: str, keep: bool) -> None:
    assert guest.run(code).payload == [{"source": "ask_exit", "keepkernel": keep}]


# --- magics of IPython's own ----------------------------------------------------------------------


def test_timing_magics_work(guest: Guest) -> None:
    assert "Wall time" in guest.run("%time sum(range(10))").stdout
    assert "Wall time" in guest.run("%%time\nsum(range(10))").stdout
    assert "per loop" in guest.run("%%timeit -n1 -r1\nsum(range(10))").stdout


def test_capture_keeps_output_and_displays(guest: Guest) -> None:
    outcome = guest.run("%%capture out\nprint('text')\ndisplay(1)\n2")
    assert outcome.outputs == []
    assert guest.run("out.stdout, len(out.outputs)").result == "('text\\n', 2)"
    outcome = guest.run("out.show()")
    assert outcome.stdout == "text\n"
    assert len(outcome.of("display_data")) == 2


def test_redirected_output_does_not_come_out(guest: Guest) -> None:
    code = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as f: print(1)"
    assert guest.run(code).outputs == []


def test_files_are_written_run_and_loaded(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Writing part.py" in guest.run("%%writefile part.py\nvalue = 41\nprint('ran')").stdout
    assert guest.run("%run part.py").stdout == "ran\n"
    assert guest.run("value + 1").result == "42"
    (payload,) = guest.run("%load part.py").payload
    assert payload["text"].startswith("# %load part.py\nvalue = 41")
    assert payload["replace"]


def test_changed_modules_are_reloaded(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    module = tmp_path / "reloaded_part.py"
    module.write_text("value = 1\n")
    assert guest.run("%load_ext autoreload\n%autoreload 2\nimport reloaded_part").outputs == []
    module.write_text("value = 22\n")
    os.utime(module, (2e9, 2e9))
    assert guest.run("reloaded_part.value").result == "22"
    guest.run("%autoreload 0")


def test_names_are_listed_and_custom_magics_called(guest: Guest) -> None:
    guest.run("colour = 'red'")
    assert "colour" in guest.run("%who").stdout
    guest.run(
        "from IPython.core.magic import register_line_cell_magic\n"
        "@register_line_cell_magic\n"
        "def shout(line, cell=None): return (line + (cell or '')).upper()"
    )
    assert guest.run("%shout quiet").result == "'QUIET'"
    assert guest.run("%%shout a\nb").result == "'AB\\n'"


def test_autoawait_can_be_switched_off_and_on(guest: Guest) -> None:
    guest.run("%autoawait off")
    assert guest.run("import asyncio\nawait asyncio.sleep(0)").error[0] == "SyntaxError"
    guest.run("%autoawait asyncio")
    assert guest.run("import asyncio\nawait asyncio.sleep(0)\n1").result == "1"


# --- what libraries look at -----------------------------------------------------------------------


def test_libraries_recognise_a_jupyter_kernel(guest: Guest) -> None:
    # rich and others; pandas; plotly; tqdm
    assert guest.run("type(get_ipython()).__name__").result == "'ZMQInteractiveShell'"
    assert guest.run("'zmq' in str(type(get_ipython())).lower()").result == "True"
    assert guest.run("type(get_ipython()).__module__").result == "'ipykernel.zmqshell'"
    assert guest.run("'IPKernelApp' in get_ipython().config").result == "True"
    assert guest.run("get_ipython().kernel.shell is get_ipython()").result == "True"


def test_kernel_object_knows_the_message_of_the_cell(guest: Guest) -> None:
    messages = guest.send(
        "execute_request",
        {
            "code": "k = get_ipython().kernel\n"
            "k.get_parent()['header']['msg_id'], k._parent_header['header']['msg_id']",
            "silent": False,
            "store_history": True,
            "allow_stdin": False,
        },
        metadata={CLIENT_HEADER: {"msg_id": "of the front end", "msg_type": "execute_request"}},
    )
    expected = ("of the front end", "of the front end")
    assert messages[0].content["data"]["text/plain"] == repr(expected)


def test_metadata_of_a_cell_is_that_of_the_client_alone(guest: Guest) -> None:
    guest.run(
        "seen = []\n"
        "def keep(info): seen.append(info.cell_meta)\n"
        "get_ipython().events.register('pre_run_cell', keep)"
    )
    header = {"msg_id": "m", "msg_type": "execute_request"}
    code = {"code": "seen", "silent": False, "store_history": True, "allow_stdin": False}
    messages = guest.send("execute_request", code, metadata={"k": 1, CLIENT_HEADER: header})
    guest.run("get_ipython().events.unregister('pre_run_cell', keep)")
    assert messages[0].content["data"]["text/plain"] == "[{'k': 1}]"


def test_environment_says_what_can_be_shown_unless_it_is_set(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MPLBACKEND")
    monkeypatch.setenv("TERM", "dumb")
    guest.kernel.begin_session()
    names = "TERM", "PAGER", "MPLBACKEND"
    assert guest.run(f"import os\n[os.environ[name] for name in {names}]").result == (
        "['dumb', 'cat', 'module://matplotlib_inline.backend_inline']"
    )


def test_figures_appear_without_a_magic(guest: Guest) -> None:
    pytest.importorskip("matplotlib")
    guest.run("import matplotlib.pyplot as plt")
    outcome = guest.run("plt.plot([1, 2]);")
    (content,) = outcome.of("display_data")
    assert content["data"]["image/png"].startswith("iVBORw0KG")


def test_main_module_is_the_users(guest: Guest) -> None:
    assert guest.run("import __main__\nx = 5\n__main__.x, __name__").result == "(5, '__main__')"


# --- what does not exist --------------------------------------------------------------------------


def test_windows_are_refused_with_a_word(guest: Guest) -> None:
    with pytest.warns(UserWarning, match="no windows"):
        outcome = guest.run("%gui qt")
    assert outcome.reply["status"] == "ok"
    assert guest.run("%gui").outputs == []


def test_shell_keeps_no_printed_text(guest: Guest) -> None:
    guest.run("print('x' * 100)")
    assert not getattr(guest.shell.history, "outputs", {})


def test_event_loop_of_the_host_drives_cells(guest: Guest) -> None:
    assert guest.run("import asyncio\nasyncio.get_running_loop().is_running()").error
    outcome = guest.run("await asyncio.sleep(0)\nasyncio.get_running_loop().is_running()")
    assert outcome.result == "True"
    assert isinstance(guest.host.loop, asyncio.AbstractEventLoop)


DEEP = """
import sys
before = sys.getrecursionlimit()
sys.setrecursionlimit({limit})
def odd(n): return even(n + 1) + 1
def even(n): return odd(n + 1) + 1
try:
    odd(0)
finally:
    sys.setrecursionlimit(before)
"""


def test_the_middle_of_an_endless_recursion_is_left_out(guest: Guest) -> None:
    outcome = guest.run(DEEP.format(limit=100_000))
    assert outcome.reply["ename"] == "RecursionError"
    lines = [without_colours(line) for line in outcome.reply["traceback"]]
    (told,) = [line for line in lines if "frames in the middle" in line]
    assert re.search(r"9\d,\d{3} frames", told)
    assert "odd(0)" in "".join(lines[:4])
    assert lines[-1].startswith("RecursionError: ")


def test_a_long_traceback_is_shown_as_ipython_does(guest: Guest) -> None:
    code = "def f(n): return f(n - 1) if n else 1 / n\nf(150)"
    lines = "".join(map(without_colours, guest.run(code).reply["traceback"]))
    assert "frames in the middle" not in lines
    assert "similar frames" in lines


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)
