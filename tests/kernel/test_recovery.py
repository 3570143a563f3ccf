"""A kernel that loses its interpreter says why, gets a fresh one, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from real_kernel import RealKernel, kernel_environment, kernel_spec, real_kernel

pytestmark = pytest.mark.deno

STARTED = "print('started', flush=True)\n"

FATAL = {
    "os._exit": "import os\nos._exit(4)",
    "os.abort": "import os\nos.abort()",
    "Deno.exit": "import js\njs.Deno.exit(7)",
    "Deno.exit with 0": "import js\njs.Deno.exit(0)",
    "self.close": "import js\njs.close()\nimport asyncio\nawait asyncio.sleep(60)",
    "an invalid address": "import ctypes\nctypes.string_at(0xfffffff0, 100)",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**6)\n"
    "class A:\n  def __repr__(self): return repr(self)\nrepr(A())",
}


@pytest.mark.parametrize("name", FATAL)
def test_a_fatal_cell_gets_an_error_that_says_why_and_the_next_one_works(
    name: str, tmp_path: Path
) -> None:
    with real_kernel(tmp_path) as kernel:
        kernel.run("kept = 1")
        msg_id = kernel.start(STARTED + FATAL[name])
        queued = kernel.start("1")
        cell = kernel.finish(msg_id)
        assert (cell.status, cell.ename) == ("error", "DeadKernelError")
        assert [content["ename"] for content in cell.of("error")] == ["DeadKernelError"]
        assert "gone" in cell.evalue
        if name == "deep recursion":
            assert "recursion" in cell.evalue
        assert kernel.finish(queued).status == "aborted"
        after = kernel.run("('kept' in dir(), 40 + 2)")
        assert after.result == "(False, 42)"


def test_deno_killed_while_idle_is_told_of_and_the_next_cell_runs(fresh_kernel: RealKernel) -> None:
    last = fresh_kernel.start("1")
    fresh_kernel.finish(last)
    fresh_kernel.deno().kill()
    fresh_kernel.wait_for_output(last, "gone")
    assert fresh_kernel.run("40 + 2").result == "42"


def test_deno_killed_in_a_cell_ends_the_cell(fresh_kernel: RealKernel) -> None:
    msg_id = fresh_kernel.start(STARTED + "import time\ntime.sleep(60)")
    fresh_kernel.wait_for_output(msg_id, "started")
    fresh_kernel.deno().kill()
    cell = fresh_kernel.finish(msg_id)
    assert cell.ename == "DeadKernelError"
    assert "SIGKILL" in cell.evalue
    assert fresh_kernel.run("40 + 2").result == "42"


def test_deno_killed_in_an_input_ends_the_cell_and_the_question(fresh_kernel: RealKernel) -> None:
    msg_id = fresh_kernel.start("input('? ')", allow_stdin=True)
    fresh_kernel.client.get_stdin_msg(timeout=30)
    fresh_kernel.deno().kill()
    assert fresh_kernel.finish(msg_id).ename == "DeadKernelError"
    fresh_kernel.client.input("too late")
    msg_id = fresh_kernel.start("input('again? ')", allow_stdin=True)
    assert fresh_kernel.client.get_stdin_msg(timeout=30)["content"]["prompt"] == "again? "
    fresh_kernel.client.input("in time")
    assert fresh_kernel.finish(msg_id).result == "'in time'"


def test_deno_killed_in_a_comm_flood_ends_the_cell(fresh_kernel: RealKernel) -> None:
    msg_id = fresh_kernel.start(STARTED + "import asyncio\nawait asyncio.sleep(60)")
    fresh_kernel.wait_for_output(msg_id, "started")
    client = fresh_kernel.client
    for number in range(2000):
        content = {"comm_id": "nobody", "data": {"number": number}}
        client.shell_channel.send(client.session.msg("comm_msg", content))
        if number == 1000:
            fresh_kernel.deno().kill()
    assert fresh_kernel.finish(msg_id).ename == "DeadKernelError"
    assert fresh_kernel.run("40 + 2").result == "42"


def test_deno_killed_at_start_up_is_started_again(tmp_path: Path) -> None:
    # Without a snapshot, since a restored interpreter is ready as soon as its host is.
    with real_kernel(tmp_path, "--cache-dir", str(tmp_path / "empty")) as kernel:
        # kernel_info is answered by the host: Pyodide still boots.
        kernel.deno().kill()
        assert kernel.run("40 + 2").result == "42"


def test_a_stopped_deno_is_replaced(tmp_path: Path) -> None:
    with real_kernel(tmp_path, "--PyodideKernel.hang_timeout=1.5") as kernel:
        kernel.run("1")
        msg_id = kernel.start(STARTED + "while True: pass")
        kernel.wait_for_output(msg_id, "started")
        kernel.deno().suspend()
        cell = kernel.finish(msg_id)
        assert cell.ename == "DeadKernelError"
        assert "did not answer" in cell.evalue
        assert kernel.run("40 + 2").result == "42"


def test_too_many_deaths_end_the_kernel(tmp_path: Path) -> None:
    with real_kernel(tmp_path) as kernel:
        host = psutil.Process(kernel.pid)
        for _ in range(3):
            assert kernel.run("import os\nos._exit(1)").ename == "DeadKernelError"
        kernel.start("import os\nos._exit(1)")
        host.wait(timeout=30)


def test_killing_the_host_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with real_kernel(tmp_path) as kernel:
        msg_id = kernel.start(STARTED + "while True: pass")
        kernel.wait_for_output(msg_id, "started")
        tree = kernel.tree()
        assert len(tree) == 2
        os.kill(kernel.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(tree, timeout=10)
        assert alive == []
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_shutdown_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    with real_kernel(tmp_path) as kernel:
        kernel.run("import atexit\natexit.register(lambda: None)")
        tree = kernel.tree()
        kernel.manager.shutdown_kernel()
        _, alive = psutil.wait_procs(tree, timeout=10)
        assert alive == []
        assert list((tmp_path / "tmp").iterdir()) == []


def test_a_shutdown_runs_exit_functions_and_writes_what_is_left_open(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    with real_kernel(tmp_path, "--mount", f"{shared}=/mnt/shared") as kernel:
        kernel.run(
            "import atexit, pathlib\n"
            "left_open = open('/mnt/shared/left-open', 'w')\n"
            "left_open.write('text')\n"
            "atexit.register(pathlib.Path('/mnt/shared/at-exit').write_text, 'text')"
        )
        kernel.manager.shutdown_kernel()
        assert (shared / "at-exit").read_text() == "text"
        assert (shared / "left-open").read_text() == "text"


def test_a_collection_leaves_out_what_was_there_before_the_session(
    fresh_kernel: RealKernel,
) -> None:
    """It takes longer than a cell otherwise, and each reset makes one."""
    assert int(fresh_kernel.run("import gc\ngc.get_freeze_count()").result or 0) > 10_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_restarts_in_a_row_leave_one_kernel(tmp_path: Path) -> None:
    with real_kernel(tmp_path) as kernel:
        seen: list[psutil.Process] = []
        for _ in range(50):
            seen += kernel.tree()
            kernel.manager.restart_kernel()
            kernel.wait_until_ready()
            assert kernel.run("'kept' in dir()").result == "False"
            assert kernel.run("kept = 1").status == "ok"
        _, alive = psutil.wait_procs(seen, timeout=10)
        assert alive == []
        assert len(kernel.tree()) == 2


def test_closing_the_terminal_leaves_no_process(tmp_path: Path) -> None:
    """SIGHUP ends the host, and the end of the host ends Deno."""
    connection = tmp_path / "connection.json"
    argv = [part.replace("{connection_file}", str(connection)) for part in kernel_spec().argv]
    host = subprocess.Popen(
        argv,
        cwd=tmp_path,
        env=kernel_environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process = psutil.Process(host.pid)
        while not (tree := _deno_of(process)):
            assert host.poll() is None
        host.send_signal(signal.SIGHUP)
        host.wait(timeout=20)
        _, alive = psutil.wait_procs(tree, timeout=10)
        assert alive == []
    finally:
        host.kill()
        host.wait()


def _deno_of(host: psutil.Process) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in host.children(recursive=True) if child.name() == "deno"]
    return []
