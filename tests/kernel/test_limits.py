"""Limits of workers, messages and writes: code that keeps to them, and code that does not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from real_kernel import RealKernel, real_kernel

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux counts workers and writes"),
]


def run_js(kernel: RealKernel, body: str) -> str:
    """What an asynchronous function gives; the name of its error; or what the kernel says."""
    source = f"(async () => {{ try {{ {body} }} catch (error) {{ return error.name }} }})()"
    cell = kernel.run(f"from pyodide.code import run_js\nawait run_js({source!r})")
    return str(cell.result or cell.evalue).strip("'")


WORKERS = """
    globalThis.held = [];
    for (let number = 0; number < COUNT; number++) {
      const worker = new Worker('data:text/javascript,postMessage(1); onmessage = () => {}',
        { type: 'module', name: 'x' });
      await new Promise((done) => worker.onmessage = done);
      held.push(worker);
    }
    await new Promise((done) => setTimeout(done, WAIT));
    return 'made'
"""


def workers(count: int, *, wait_ms: int = 0) -> str:
    return WORKERS.replace("COUNT", str(count)).replace("WAIT", str(wait_ms))


def test_workers_up_to_their_limit_run_and_one_more_ends_the_interpreter(tmp_path: Path) -> None:
    with real_kernel(tmp_path, "--workers=2") as kernel:
        # Longer than from one look at the process to the next.
        assert run_js(kernel, workers(2, wait_ms=1500)) == "made"
        told = run_js(kernel, workers(1, wait_ms=30_000))
        assert told.startswith("The code had 3 workers, and 2 are allowed (--workers).")
        assert kernel.run("40 + 2").result == "42"


def test_a_worker_of_node_is_a_worker(tmp_path: Path) -> None:
    code = """
        const { Worker } = await import('node:worker_threads');
        const url = new URL('data:text/javascript,setInterval(() => {}, 1000)');
        globalThis.held = new Worker(url, { name: 'harmless' });
        await new Promise((done) => setTimeout(done, 30_000));
        return 'made'
    """
    with real_kernel(tmp_path, "--workers=0") as kernel:
        assert run_js(kernel, code).startswith("The code had 1 workers, and 0 are allowed")


def test_the_memory_of_workers_counts(tmp_path: Path) -> None:
    """A worker needs some 600 MB of address space, and what it holds is the process's."""
    hoard = "const held = []; while (true) held.push(new Uint8Array(20_000_000).fill(1))"
    code = f"""
        const worker = new Worker('data:text/javascript,' + encodeURIComponent({hoard!r}),
          {{ type: 'module' }});
        await new Promise((done) => {{ worker.onerror = (event) => {{
          event.preventDefault(); done() }} }});
        return 'stopped'
    """
    with real_kernel(tmp_path, "--memory-limit=1GB") as kernel:
        idle = kernel.deno().memory_info().rss
        told = run_js(kernel, code)
        assert told == "stopped" or "out of memory" in told or "--memory-limit" in told
        assert kernel.run("40 + 2").result == "42"
        assert kernel.deno().memory_info().rss < idle + 1_500_000_000


def test_a_message_over_the_limit_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    with real_kernel(tmp_path, "--message-limit=1MB") as kernel:
        assert len(kernel.run("display('x' * 900_000)").of("display_data")) == 1
        cell = kernel.run("display('x' * 1_100_000)")
        assert cell.ename == "MessageTooLargeError"
        assert "1,000,000 (--message-limit)" in cell.evalue
        # Streams are sent in pieces.
        assert len(kernel.run("print('x' * 3_000_000)").text()) == 3_000_001


def test_a_message_over_the_limit_that_goes_round_the_guest_ends_the_interpreter(
    tmp_path: Path,
) -> None:
    code = """
        postMessage({ msg_type: 'stream', id: '', parent_id: '', question: 0, buffers: [],
          body: new Uint8Array(1_100_000).fill(32) });
        await new Promise(() => {})
    """
    with real_kernel(tmp_path, "--message-limit=1MB") as kernel:
        told = run_js(kernel, code)
        assert "a stream of more than 1,000,000 bytes" in told
        assert "so it was ended" in told
        assert kernel.run("40 + 2").result == "42"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


WRITE = """
import errno, os
def write(name, size, piece=100_000):
    written = 0
    try:
        with open(f'/mnt/shared/{name}', 'wb', buffering=0) as file:
            while written < size:
                written += file.write(bytes(piece))
    except OSError as error:
        return errno.errorcode[error.errno], written
    return 'written', written
"""


def test_a_write_over_the_limit_is_an_error_and_the_interpreter_goes_on(
    tmp_path: Path, shared: Path
) -> None:
    mount = f"--mount={shared}=/mnt/shared"
    with real_kernel(tmp_path, mount, "--write-limit=1MB", "--no-cwd") as kernel:
        kernel.run(WRITE)
        assert kernel.run("write('a', 600_000)").result == "('written', 600000)"
        assert kernel.run("write('b', 600_000)").result == "('EDQUOT', 400000)"
        assert kernel.run("os.unlink('/mnt/shared/a'), write('c', 1)").result == (
            "(None, ('EDQUOT', 0))"
        )
        # The disk in memory has its own limit.
        assert kernel.run("open('/tmp/x', 'wb').write(bytes(5_000_000))").result == "5000000"
        assert sum(path.stat().st_size for path in shared.iterdir()) == 400_000


def test_javascript_that_writes_more_ends_the_interpreter_and_earlier_ones_count(
    tmp_path: Path, shared: Path
) -> None:
    path = json.dumps(f"{shared}/")
    code = f"""
        for (let number = 0; number < 1000; number++) {{
          Deno.writeFileSync({path} + NAME + number, new Uint8Array(10_000_000));
          await new Promise((done) => setTimeout(done, 200));
        }}
        return 'written'
    """
    mount = f"--mount={shared}=/mnt/shared"
    with real_kernel(tmp_path, mount, "--write-limit=50MB", "--no-cwd") as kernel:
        told = run_js(kernel, code.replace("NAME", "'a'"))
        assert told.startswith("The code wrote more than 50 MB to mounts (--write-limit).")
        first = len(list(shared.iterdir()))
        assert run_js(kernel, code.replace("NAME", "'b'")).startswith("The code wrote more than")
        assert len(list(shared.iterdir())) < first + 10


def test_core_dumps_are_off(kernel: RealKernel) -> None:
    limits = Path(f"/proc/{kernel.deno().pid}/limits").read_text("utf-8")
    (line,) = [line for line in limits.splitlines() if line.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]
