"""Every cell that can be interrupted ends in KeyboardInterrupt, and nothing else is lost."""

from __future__ import annotations

import contextlib
import queue
import random
from pathlib import Path

import pytest
from real_kernel import Cell, RealKernel, real_kernel

pytestmark = pytest.mark.deno

STARTED = "print('started', flush=True)\n"

WAITS = {
    "a tight loop": "while True: pass",
    "a sleep": "import time\ntime.sleep(60)",
    "many short sleeps": "import time\nwhile True: time.sleep(0.001)",
    "an awaited sleep": "import asyncio\nawait asyncio.sleep(60)",
    "asyncio.run": "import asyncio\nasync def main(): await asyncio.sleep(60)\nasyncio.run(main())",
    "a busy task in asyncio.run": "async def main():\n  while True: pass\nimport asyncio\n"
    "asyncio.run(main())",
    "a pending future": "import asyncio\nawait asyncio.get_running_loop().create_future()",
    "a promise that never settles": "import js\nawait js.Promise.new(lambda resolve, reject: None)",
    "a print loop": "while True: print('x' * 100)",
    "a task group": "import asyncio\nasync with asyncio.TaskGroup() as group:\n"
    "  for i in range(5): group.create_task(asyncio.sleep(60 + i))",
    "a gather": "import asyncio\nawait asyncio.gather(asyncio.sleep(60), asyncio.sleep(61))",
    "a loop of short awaits": "import asyncio\nwhile True: await asyncio.sleep(0)",
    "run_sync": "import asyncio\nfrom pyodide.ffi import run_sync\nrun_sync(asyncio.sleep(60))",
    "nested run_sync": "import asyncio\nfrom pyodide.ffi import run_sync\n"
    "async def inner(): run_sync(asyncio.sleep(60))\nrun_sync(inner())",
    "a loop of run_sync": "import asyncio\nfrom pyodide.ffi import run_sync\n"
    "while True: run_sync(asyncio.sleep(0))",
    "a lock": "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()",
    "an event": "import threading\nthreading.Event().wait()",
    "a regular expression": "import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')",
    "a display": "class Slow:\n  def _repr_html_(self):\n    while True: pass\nSlow()",
    "a generator": "import itertools\nfor _ in itertools.count(): pass",
    "json": "import json\nwhile True: json.dumps(list(range(1000)))",
}


@pytest.mark.parametrize("name", WAITS)
def test_an_interrupt_ends_the_cell_and_keeps_the_variables(kernel: RealKernel, name: str) -> None:
    assert kernel.run("kept = 41").status == "ok"
    cell = kernel.run_interrupted(STARTED + WAITS[name])
    assert (cell.status, cell.ename) == ("error", "KeyboardInterrupt")
    assert kernel.run("kept + 1").result == "42"


def test_an_interrupt_ends_a_question(kernel: RealKernel) -> None:
    msg_id = kernel.start("answer = input('? ')", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=30)["content"]["prompt"] == "? "
    kernel.manager.interrupt_kernel()
    cell = kernel.finish(msg_id)
    assert cell.ename == "KeyboardInterrupt"
    assert kernel.run("'answer' in dir()").result == "False"


def test_an_interrupt_while_nothing_runs_does_nothing(kernel: RealKernel) -> None:
    kernel.interrupt_and_wait()
    assert kernel.run("40 + 2").result == "42"


def test_finally_blocks_run_when_a_cell_is_interrupted(kernel: RealKernel) -> None:
    code = (
        "import asyncio\ntry:\n  print('started', flush=True)\n  await asyncio.sleep(60)\n"
        "finally:\n  print('cleaned up')"
    )
    cell = kernel.run_interrupted(code)
    assert cell.ename == "KeyboardInterrupt"
    assert "cleaned up" in cell.text()


def test_a_cell_may_catch_the_interrupt(kernel: RealKernel) -> None:
    code = (
        "try:\n  print('started', flush=True)\n  while True: pass\n"
        "except KeyboardInterrupt:\n  print('caught')"
    )
    cell = kernel.run_interrupted(code)
    assert (cell.status, cell.text()) == ("ok", "caught\n")


def test_the_traceback_of_an_interrupt_shows_only_the_cell(kernel: RealKernel) -> None:
    # In one statement: between two of a cell no line of it runs that could be shown.
    code = "def loop():\n    print('started', flush=True)\n    while True: pass\nloop()"
    cell = kernel.run_interrupted(code)
    text = "\n".join(cell.reply["traceback"])
    assert "on_sigint" not in text
    assert "while" in text


def test_an_interrupt_aborts_the_queued_cells_and_no_later_one(kernel: RealKernel) -> None:
    first = kernel.start(STARTED + "while True: pass")
    second = kernel.start("queued = True")
    kernel.wait_for_output(first, "started")
    kernel.manager.interrupt_kernel()
    assert kernel.finish(first).ename == "KeyboardInterrupt"
    assert kernel.finish(second).status == "aborted"
    assert kernel.run("'queued' in dir()").result == "False"


def test_fifty_interrupts_at_random_moments_leave_a_working_kernel(kernel: RealKernel) -> None:
    """The moments are set by how far a cell has counted, not by a clock."""
    chance = random.Random(20)
    kernel.run("kept = 41")
    for round_ in range(50):
        name = chance.choice(sorted(WAITS))
        if chance.random() < 0.5:
            cell = kernel.run_interrupted(STARTED + WAITS[name])
            assert cell.ename == "KeyboardInterrupt", (round_, name)
        else:
            count = chance.randrange(3000)
            msg_id = kernel.start(f"for _ in range({count}): print(end='.')")
            kernel.manager.interrupt_kernel()
            assert kernel.finish(msg_id).ename in {"", "KeyboardInterrupt"}, round_
        assert kernel.run("kept + 1").result == "42", (round_, name)


SWALLOWS = """
while True:
  try:
    print('started', flush=True)
    while True: pass
  except BaseException: pass
"""

STUBBORN = {
    "a long C call": "sum(range(10**10))",
    "a JavaScript loop": "import js\njs.eval('while (true) {}')",
    "code that swallows interrupts": SWALLOWS,
    # It begins when the cell waits: an interrupt between the two is shown, but not answered.
    "a promise storm": "import js\n"
    "js.eval('const f = () => Promise.resolve().then(f); setTimeout(f)')\n"
    "import asyncio\nawait asyncio.sleep(60)",
}


@pytest.mark.parametrize("name", STUBBORN)
def test_a_stubborn_cell_costs_the_interpreter_but_not_the_kernel(
    name: str, tmp_path: Path
) -> None:
    with real_kernel(tmp_path, "--interrupt-grace=0.5") as kernel:
        kernel.run("kept = 1")
        cell = kernel.run_interrupted(STARTED + STUBBORN[name])
        while cell.ename == "KeyboardInterrupt":
            # It came before the stubborn part. A storm that has begun since starts no other cell.
            msg_id = kernel.start(STARTED + STUBBORN[name])
            kernel.wait_for_input(msg_id)
            kernel.manager.interrupt_kernel()
            cell = kernel.finish(msg_id)
        assert (cell.status, cell.ename) == ("error", "DeadKernelError")
        assert "interrupt" in cell.evalue
        assert "gone" in cell.evalue
        *before, last = [content["ename"] for content in cell.of("error")]
        assert last == "DeadKernelError"
        # An interrupt before the stubborn part is shown; the time for its reply is short here.
        assert before in ([], ["KeyboardInterrupt"])
        after = kernel.run("('kept' in dir(), 40 + 2)")
        assert after.result == "(False, 42)"
        assert after.of("execute_input")[0]["execution_count"] == 1


def test_a_second_interrupt_does_not_wait_for_the_grace_time(
    tmp_path: Path,
) -> None:
    with real_kernel(tmp_path, "--interrupt-grace=0") as kernel:
        msg_id = kernel.start(SWALLOWS)
        kernel.wait_for_output(msg_id, "started")
        kernel.manager.interrupt_kernel()
        # A clock is what this is about: an interrupt counts as the second one after 2 s.
        assert kernel.has_no_reply_for(2.2, msg_id)
        kernel.manager.interrupt_kernel()
        assert kernel.finish(msg_id).ename == "DeadKernelError"
        assert kernel.run("40 + 2").result == "42"


def test_an_interrupt_before_the_interpreter_is_ready_ends_the_cell(tmp_path: Path) -> None:
    # Without a snapshot, since a restored interpreter is ready as soon as its host is.
    with real_kernel(tmp_path, "--cache-dir", str(tmp_path / "empty")) as kernel:
        kernel.manager.restart_kernel()
        kernel.wait_until_ready()  # the host answers; Pyodide still boots
        msg_id = kernel.start("import time\ntime.sleep(60)")
        kernel.wait_for_input(msg_id)
        assert interrupted(kernel, msg_id).ename == "KeyboardInterrupt"
        assert kernel.run("40 + 2").result == "42"


def interrupted(kernel: RealKernel, msg_id: str) -> Cell:
    """Interrupt a cell; again if the first one overtook the cell on its way to the interpreter."""
    while True:
        kernel.manager.interrupt_kernel()
        with contextlib.suppress(queue.Empty):
            return kernel.finish(msg_id, timeout_s=2.5)
