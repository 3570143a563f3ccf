"""Faults: what is done to processes, files and the machine, and that the kernel gets over it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from kernel_process import kernel_process
from real_kernel import RealKernel, kernel_environment, kernel_spec, real_kernel

import pyodide_kernel
from cases.memory import Peaks
from cases.model import case
from cases.stage import ends_completely

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform != "linux", reason="faults are made with Linux' means"),
]

CACHE = "PYODIDE_KERNEL_CACHE_DIR"
ONE_KERNEL = Path(__file__).with_name("one_kernel.py")
STARTED = "print('started', flush=True)\n"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKernel]:
    with ends_completely(real_kernel(tmp_path_factory.mktemp("kernel"))) as started:
        yield started


def own_namespace(*commands: str) -> list[str]:
    """A prefix that runs commands as root of a mount namespace, then becomes the program."""
    flags = "-m" if os.getuid() == 0 else "-Urm"
    prefix = ["unshare", flags, "sh", "-ec", "; ".join([*commands, 'exec "$@"']), "sh"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no mount namespace without privileges here: {probe.stderr.strip()}")
    return prefix


def start_fails(tmp_path: Path, **environment: str) -> tuple[int, str]:
    """Exit code and last words of a kernel that can't start."""
    argv = [
        part.replace("{connection_file}", str(tmp_path / "connection.json"))
        for part in kernel_spec().argv
    ]
    ended = subprocess.run(
        argv,
        env=kernel_environment(tmp_path) | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return ended.returncode, ended.stderr


def test_deno_killed_while_idle_is_replaced_and_told_of(kernel: RealKernel) -> None:
    """F01-kill-idle"""
    last = kernel.start("1")
    kernel.finish(last)
    kernel.deno().kill()
    kernel.wait_for_output(last, "gone")
    cell = kernel.run(case("F01-kill-idle").code, timeout_s=15)
    assert cell.text() == "OK\n"


def test_a_cell_sent_at_the_moment_of_a_kill_is_not_lost(kernel: RealKernel) -> None:
    """F01-kill-idle"""
    kernel.run("1")
    kernel.deno().kill()
    cell = kernel.run(case("F01-kill-idle").code, timeout_s=15)
    assert cell.text() == "OK\n" or cell.ename == "DeadKernelError"
    assert kernel.run("40 + 2").result == "42"


def test_deno_killed_in_a_cell_ends_the_cell(kernel: RealKernel) -> None:
    """F02-kill-busy"""
    msg_id = kernel.start(STARTED + case("F02-kill-busy").code)
    kernel.wait_for_output(msg_id, "started")
    kernel.deno().kill()
    cell = kernel.finish(msg_id, timeout_s=5)
    assert cell.ename == "DeadKernelError"
    assert kernel.run("40 + 2", timeout_s=15).result == "42"


def test_killing_the_host_ends_deno(tmp_path: Path) -> None:
    """F03-parent-killed"""
    with real_kernel(tmp_path) as kernel:
        msg_id = kernel.start(STARTED + case("F03-parent-killed").code)
        kernel.wait_for_output(msg_id, "started")
        tree = kernel.tree()
        os.kill(kernel.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(tree, timeout=3)
        assert alive == []


@pytest.mark.parametrize(
    "finds",
    ["raise FileNotFoundError('no deno here')", "return __file__"],
    ids=["missing", "not executable"],
)
def test_without_deno_the_start_fails_with_one_line(tmp_path: Path, finds: str) -> None:
    """F04-no-deno"""
    fake = tmp_path / "fake" / "deno"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(f"def find_deno_bin():\n    {finds}\n")
    paths = [str(fake.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    code, said = start_fails(tmp_path, PYTHONPATH=os.pathsep.join(filter(None, paths)))
    (line,) = [line for line in said.splitlines() if "pyodide-kernel:" in line]
    assert code != 0
    assert "pip install 'deno" in line
    assert "Traceback" not in said


@pytest.mark.parametrize("home", ["", "/nonexistent/home", "/proc/home"])
def test_a_home_that_is_none_is_no_hindrance(tmp_path: Path, home: str) -> None:
    """F05-no-home"""
    unset = [] if home else ["env", "-u", "HOME"]
    variables = {"HOME": home or "unused", "XDG_DATA_HOME": "", "JUPYTER_RUNTIME_DIR": ""}
    with real_kernel(tmp_path, env=variables, launcher=unset) as kernel:
        assert kernel.run(case("F05-no-home").code).text() == "OK\n"


def test_a_cache_that_cannot_be_written_is_used_as_far_as_it_is_filled(tmp_path: Path) -> None:
    """F06-ro-cache, for the snapshots of interpreters"""
    shared = os.environ[CACHE]
    prefix = own_namespace(f"mount --bind -o ro '{shared}' '{shared}'")
    with real_kernel(tmp_path, launcher=prefix) as kernel:
        assert kernel.run("print('OK')").text() == "OK\n"


def test_an_empty_cache_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    """F06-ro-cache, for the snapshots of interpreters"""
    cache = tmp_path / "cache"
    cache.mkdir()
    prefix = own_namespace(f"mount -t tmpfs -o ro tmpfs '{cache}'")
    with real_kernel(tmp_path, env={CACHE: str(cache)}, launcher=prefix) as kernel:
        assert kernel.run("print('OK')").text() == "OK\n"


def all_work_at_once(tmp_path: Path, count: int, environment: dict[str, str]) -> None:
    """Processes, since a client of Jupyter's in a thread leaves its event loop open."""
    started = []
    for number in range(count):
        folder = tmp_path / str(number)
        folder.mkdir()
        command = [sys.executable, str(ONE_KERNEL), str(folder), f"print('OK', {number})"]
        paths = [str(ONE_KERNEL.parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment}
        started.append(
            subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.PIPE, text=True)
        )
    said = [process.communicate(timeout=100)[0] for process in started]
    assert said == [f"OK {number}\n" for number in range(count)]
    assert [process.returncode for process in started] == [0] * count


def test_two_kernels_share_an_empty_cache(tmp_path: Path) -> None:
    """F07-cold-race"""
    cache = tmp_path / "cache"
    all_work_at_once(tmp_path, 2, {CACHE: str(cache)})
    left = [path.name for path in cache.rglob("*") if path.name.startswith("new-")]
    assert left == []


def test_five_kernels_started_at_once_all_work(tmp_path: Path) -> None:
    all_work_at_once(tmp_path, 5, {})


def test_a_full_disk_is_an_error_of_the_cell(tmp_path: Path) -> None:
    """F08-disk-full"""
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = own_namespace(f"mount -t tmpfs -o size=16m tmpfs '{disk}'")
    with real_kernel(tmp_path, f"--mount={disk}=/mnt/rw", launcher=prefix) as kernel:
        kernel.run("kept = 1")
        cell = kernel.run(case("F08-disk-full").code)
        code = kernel.run("import errno\nprint(errno.ENOSPC)").text().strip()
        assert cell.text() == f"OK {code}\n", cell.outputs
        assert kernel.run("(kept, 40 + 2)").result == "(1, 42)"


GARBAGE = {
    "random bytes": "b'\\x00' + random.Random(4).randbytes(100_000)",
    "a frame of 2 GB": "(2**31).to_bytes(4, 'big') + bytes(1000)",
    "a body of 2 GB": "stream([2**31])",
    "an array": "frame([1, 2, 3])",
    "a number": "frame(7)",
    "an unknown type": "frame({'msg_type': 'x', 'id': '', 'parent_id': '', 'lengths': [2]})",
    "negative lengths": "stream([-1])",
    "many buffers": "stream([0] * 5000)",
    "a body of the wrong shape": "stream([2]) + b'[]'",
    "a reply that nobody waits for": "frame({'msg_type': 'execute_reply', 'id': '', "
    "'parent_id': 'x', 'lengths': [30]}) + b'{\"content\":{\"status\":\"ok\"}}  '",
    "deep nesting": "stream([9000]) + b'[' * 9000",
    "half a frame, and the end": "frame({})[:5]",
}

SPEAK = """
import json, random
def frame(header):
    data = json.dumps(header).encode()
    return len(data).to_bytes(4, 'big') + data
def stream(lengths):
    return frame(dict(msg_type='stream', id='', parent_id='', lengths=lengths))
worker.send_bytes({garbage})
worker._ended.set()
await asyncio.Event().wait()
"""


@pytest.mark.parametrize("group", range(4))
def test_a_runtime_that_speaks_garbage_is_replaced(group: int) -> None:
    """F09-garbage-frames"""
    with kernel_process("--PyodideKernel.history_file=:memory:") as kernel:
        kernel.run("pass")
        peaks = Peaks([psutil.Process(kernel.pid)])
        for garbage in list(GARBAGE.values())[group::4]:
            outcome = kernel.run(SPEAK.format(garbage=garbage))
            assert outcome.content["ename"] == "DeadKernelError"
            (error,) = outcome.outputs()
            assert "gone" in error["evalue"]
            assert not re.search(r'File "|Traceback', "".join(error["traceback"]))
            assert kernel.run("print('OK')").text == "OK\n"
        assert max(peaks.growth_mb().values()) < 50


def test_an_exit_with_0_in_a_cell_ends_the_cell(tmp_path: Path) -> None:
    # A kernel of its own: those before have died three times, and a fourth would be the last.
    with real_kernel(tmp_path) as kernel:
        cell = kernel.run("import js\njs.Deno.exit(0)", timeout_s=15)
        assert cell.ename == "DeadKernelError"
        assert kernel.run("40 + 2", timeout_s=15).result == "42"


@pytest.mark.parametrize("code", ["while True: pass", "import time\ntime.sleep(60)"])
def test_a_stop_and_go_of_deno_is_no_fault(tmp_path: Path, code: str) -> None:
    """A laptop's lid: shorter than `hang_timeout`, all goes on as if nothing had been."""
    with real_kernel(tmp_path, "--hang-timeout=15") as kernel:
        msg_id = kernel.start("kept = 1\n" + STARTED + code)
        kernel.wait_for_output(msg_id, "started")
        for process in kernel.tree():
            process.suspend()
        time.sleep(1)  # the fault is the time itself
        for process in kernel.tree():
            process.resume()
        kernel.manager.interrupt_kernel()
        assert kernel.finish(msg_id, timeout_s=15).ename == "KeyboardInterrupt"
        assert kernel.run("kept").result == "1"


def test_a_damaged_runtime_is_named_at_the_start(tmp_path: Path) -> None:
    copy = tmp_path / "site" / "pyodide_kernel"
    shutil.copytree(Path(pyodide_kernel.__file__).parent, copy)
    (copy / "_runtime" / "pyodide" / "pyodide.asm.wasm").write_bytes(b"\0asm damaged")
    paths = [str(copy.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), CACHE: str(tmp_path / "c")}
    code, said = start_fails(tmp_path, **variables)
    assert code != 0
    assert "pyodide.asm.wasm" in said
    assert "einstall" in said
    assert "Traceback" not in said


def test_a_storm_of_restarts_leaves_one_kernel(tmp_path: Path) -> None:
    with ends_completely(real_kernel(tmp_path)) as kernel:
        seen: list[psutil.Process] = []
        for _ in range(5):
            with contextlib.suppress(psutil.NoSuchProcess):
                seen += kernel.tree()
            kernel.manager.restart_kernel(now=True)  # before it has even come up
        kernel.wait_until_ready()
        assert kernel.run("40 + 2").result == "42"
        _, alive = psutil.wait_procs(seen, timeout=10)
        assert alive == []
        assert len(kernel.tree()) == 2
