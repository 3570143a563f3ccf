"""Cells that run longer than they may, in a kernel whose interpreter is a FakeWorker."""

from __future__ import annotations

from kernel_process import kernel_process

ARGUMENTS = ("--PyodideKernel.history_file=:memory:", "--cell-timeout=0.2")
TOLD = "The cell ran longer than 0.2 s (--cell-timeout)."

SWALLOWS = "try: await asyncio.sleep(1000)\nexcept asyncio.CancelledError: pass"
IGNORES = """
while True:
    try: await asyncio.sleep(1000)
    except asyncio.CancelledError: pass
"""


def test_a_cell_that_runs_too_long_is_interrupted_and_its_error_says_so() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        outcome = kernel.run("await asyncio.sleep(1000)")
        (error,) = outcome.outputs("error")
        for told in (outcome.content, error):
            assert told["ename"] == "KeyboardInterrupt"
            assert told["evalue"] == TOLD
            assert TOLD in told["traceback"][-1]
        assert kernel.run("print(1)").text == "1\n"


def test_each_cell_has_the_time_for_itself() -> None:
    with kernel_process("--cell-timeout=2") as kernel:
        for _ in range(2):
            assert kernel.run("await asyncio.sleep(1.2)").content["status"] == "ok"


def test_an_error_of_the_cell_itself_is_kept() -> None:
    code = "try: await asyncio.sleep(1000)\nexcept asyncio.CancelledError: 1 / 0"
    with kernel_process(*ARGUMENTS) as kernel:
        content = kernel.run(code).content
        assert content["ename"] == "ZeroDivisionError"
        assert content["evalue"] == f"division by zero: {TOLD}"


def test_a_cell_that_caught_the_interrupt_and_ended_says_so_below_it() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        outcome = kernel.run(SWALLOWS)
        assert outcome.content["status"] == "ok"
        assert TOLD in outcome.text


def test_a_cell_that_ignores_the_interrupt_loses_its_interpreter() -> None:
    with kernel_process(*ARGUMENTS, "--interrupt-grace=0.1") as kernel:
        kernel.run("worker.memory['kept'] = 1")
        content = kernel.run(IGNORES).content
        assert content["ename"] == "DeadKernelError"
        assert content["evalue"].startswith(TOLD)
        assert "did not react to the interrupt (after 0.1 s)" in content["evalue"]
        assert kernel.run("print(worker.memory)").text == "{}\n"


def test_waiting_for_input_counts() -> None:
    with kernel_process(*ARGUMENTS) as kernel:
        message_id = kernel.execute("await ask('name? ')", allow_stdin=True)
        assert kernel.client.get_stdin_msg(timeout=10)["content"]["prompt"] == "name? "
        assert kernel.outcome(message_id).content["evalue"] == TOLD
