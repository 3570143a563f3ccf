"""Large and many outputs: whole, in order, and bounded."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from real_kernel import RealKernel, real_kernel

pytestmark = pytest.mark.deno


def test_a_million_prints_arrive_in_order_once(kernel: RealKernel) -> None:
    cell = kernel.run("for i in range(10**6): print(i)", timeout_s=120)
    assert cell.text().split() == [str(i) for i in range(10**6)]


def test_a_line_of_50_mb_arrives_whole(kernel: RealKernel) -> None:
    cell = kernel.run("print('x' * 50_000_000, end='!')", timeout_s=120)
    assert cell.text() == "x" * 50_000_000 + "!"


def test_a_display_of_20_mb_arrives_as_one_message(kernel: RealKernel) -> None:
    code = "from IPython.display import HTML, display\ndisplay(HTML('y' * 20_000_000))"
    (content,) = kernel.run(code, timeout_s=120).of("display_data")
    assert content["data"]["text/html"] == "y" * 20_000_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_thousand_displays_arrive_in_order(kernel: RealKernel) -> None:
    code = "for i in range(10**5): display({'text/plain': str(i)}, raw=True)"
    cell = kernel.run(code, timeout_s=250)
    assert [content["data"]["text/plain"] for content in cell.of("display_data")] == [
        str(i) for i in range(10**5)
    ]


def test_a_display_that_is_too_large_is_an_error_that_names_the_limit(kernel: RealKernel) -> None:
    code = "from IPython.display import HTML, display\ndisplay(HTML('y' * 300_000_000))"
    cell = kernel.run(code, timeout_s=120)
    assert cell.status == "error"
    assert "268,435,456" in cell.evalue
    assert kernel.run("40 + 2").result == "42"


def test_the_first_output_of_a_long_computation_does_not_wait_for_its_end(
    kernel: RealKernel,
) -> None:
    msg_id = kernel.start("print('first')\nwhile True: pass")
    kernel.wait_for_output(msg_id, "first")
    kernel.manager.interrupt_kernel()
    assert kernel.finish(msg_id).ename == "KeyboardInterrupt"


def test_what_a_background_task_prints_belongs_to_its_cell(kernel: RealKernel) -> None:
    code = """
import asyncio

async def later():
    await release.wait()
    print('from the task')
    done.set()

release, done = asyncio.Event(), asyncio.Event()
task = asyncio.create_task(later())
"""
    first = kernel.start(code)
    kernel.finish(first)
    second = kernel.start("print('from the cell'); release.set(); await done.wait()")
    texts: dict[str, str] = {first: "", second: ""}
    while "cell" not in texts[second] or "task" not in texts[first]:
        message = kernel.client.get_iopub_msg(timeout=30)
        if message["msg_type"] == "stream":
            texts[message["parent_header"]["msg_id"]] += message["content"]["text"]
    assert texts == {first: "from the task\n", second: "from the cell\n"}


def test_output_over_the_limit_is_cut_with_a_notice_and_the_reply_is_intact(
    tmp_path: Path,
) -> None:
    with real_kernel(tmp_path, "--output-limit=1000000") as kernel:
        cell = kernel.run("for i in range(10**6): print(i)\n42", timeout_s=120)
        assert cell.status == "ok"
        printed = cell.text().splitlines()
        assert 100_000 < len(printed) < 200_000
        assert printed[:-1] == [str(i) for i in range(len(printed) - 1)]
        assert "limit" in cell.text("stderr")
        assert kernel.run("print('again')").text() == "again\n"


@pytest.mark.slow
def test_memory_stays_bounded_while_a_client_reads_nothing(tmp_path: Path) -> None:
    with real_kernel(tmp_path) as kernel:
        kernel.run("1")
        before = _memory(kernel)
        msg_id = kernel.start("print('started', flush=True)\nwhile True: print('x' * 1000)")
        # Nothing reads iopub now.
        assert kernel.has_no_reply_for(5, msg_id)
        grown = _memory(kernel) - before
        kernel.manager.interrupt_kernel()
        assert kernel.finish(msg_id).ename == "KeyboardInterrupt"
        assert grown < 500_000_000


def _memory(kernel: RealKernel) -> int:
    return sum(process.memory_info().rss for process in kernel.tree() if _alive(process))


def _alive(process: psutil.Process) -> bool:
    return bool(process.is_running())
