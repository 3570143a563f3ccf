"""The app around the kernel: settings, sockets, the files it writes and those it does not."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq
from kernel_process import FAKE_KERNEL, TIMEOUT_S, kernel_process
from traitlets.config import Config

from pyodide_kernel.app import PyodideKernelApp
from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.options import parse_kernel_options

MEMORY = "--PyodideKernel.history_file=:memory:"


def configured(*argv: str, environ: dict[str, str] | None = None) -> Config:
    make_app: Any = PyodideKernelApp
    app = make_app()
    app.configure(parse_kernel_options([*argv, "-f", "unused.json"], environ or {}))
    config: Config = app.config
    return config


def test_the_command_line_beats_the_environment_that_the_kernelspec_that_the_file(
    tmp_path: Path,
) -> None:
    file = tmp_path / "settings.py"
    file.write_text(
        "c.PyodideKernel.interrupt_grace = 1\n"
        "c.PyodideKernel.hang_timeout = 2\n"
        "c.PyodideKernel.output_limit = 3\n"
        "c.Session.username = 'from the file'\n"
    )
    argv = ["--hang-timeout=20", "--output-limit=30", "--interrupt-grace=10", "--baked"]
    argv += ["--config", str(file), "--output-limit=3000"]
    environ = {
        "PYODIDE_KERNEL_OUTPUT_LIMIT": "300",
        "PYODIDE_KERNEL_HANG_TIMEOUT": "200",
    }
    config = configured(*argv, environ=environ)
    settings = config.PyodideKernel
    assert settings.output_limit == 3000
    assert settings.hang_timeout == 200
    assert settings.interrupt_grace == 10
    assert config.Session.username == "from the file"


def test_the_configuration_file_lies_with_those_of_jupyter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "pyodide_kernel_config.json").write_text(
        json.dumps({"PyodideKernel": {"output_limit": 7}})
    )
    assert configured().PyodideKernel.output_limit == 7


def test_traits_of_ipykernel_can_be_set() -> None:
    assert configured("--Session.username=me").Session.username == "me"
    with pytest.raises(ConfigurationError, match=r"ZMQInteractiveShell.x"):
        configured("--ZMQInteractiveShell.x=1")


def test_the_process_listens_on_its_five_ports_only() -> None:
    with kernel_process(MEMORY) as kernel:
        info = json.loads(Path(kernel.manager.connection_file).read_text("utf-8"))
        expected = {port for name, port in info.items() if name.endswith("_port")}
        connections = psutil.Process(kernel.pid).net_connections("all")
        listening = {found.laddr.port for found in connections if found.status == "LISTEN"}
        assert listening == expected


def test_what_the_process_prints_stays_off_iopub() -> None:
    with kernel_process(MEMORY) as kernel:
        outcome = kernel.run("import sys; sys.stderr.write('host'); sys.stdout.write('host')")
        assert outcome.outputs() == []


def test_no_file_is_written_but_the_history(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environ = {"HOME": str(home), "TMPDIR": str(home), "IPYTHONDIR": str(home / "ipython")}
    environ |= {"XDG_DATA_HOME": str(home / "data"), "XDG_CACHE_HOME": str(home / "cache")}
    with kernel_process(environ=environ) as kernel:
        kernel.run("pass")
    written = [path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()]
    assert written == ["data/pyodide-kernel/history.sqlite"]


@pytest.mark.parametrize("home", [None, "/dev/null/nowhere"])
def test_a_kernel_without_a_usable_home_works(home: str | None) -> None:
    environ = {"XDG_DATA_HOME": "/dev/null/nowhere"}
    if home is not None:
        environ["HOME"] = home
    with kernel_process(environ=environ) as kernel:
        assert kernel.run("print(1)").text == "1\n"


def start(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FAKE_KERNEL), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        cwd=cwd,
        env=os.environ | environ,
    )


def test_a_port_in_use_costs_one_line_that_names_the_file(tmp_path: Path) -> None:
    with kernel_process(MEMORY) as kernel:
        done = start("-f", kernel.manager.connection_file, MEMORY, cwd=tmp_path)
    assert done.returncode == 2
    *_, line = done.stderr.splitlines()
    assert kernel.manager.connection_file in line
    assert "Address already in use" in line
    assert "Traceback" not in done.stderr


def test_a_connection_file_that_does_not_exist_is_written_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    command = [sys.executable, str(FAKE_KERNEL), "-f", str(path), MEMORY]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        process.stderr.readline()  # the warning about TCP comes when the sockets are made
        info = _wait_for(path)
        assert all(info[f"{name}_port"] > 0 for name in ("shell", "iopub", "hb"))
        process.terminate()
        process.wait(TIMEOUT_S)
        assert process.stderr.read() == ""
    assert not path.exists()


def _wait_for(path: Path) -> dict[str, Any]:
    """The content of a file that another process is about to write."""
    import time

    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            time.sleep(0.01)
        else:
            return content
    raise TimeoutError(str(path))


def _threads_that_take(number: signal.Signals, pid: int) -> list[int]:
    """Threads of a process, but for its main one, that do not block a signal."""
    found = []
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        thread, blocked = int(lines["Pid"]), int(lines["SigBlk"], 16)
        if thread != pid and not blocked >> (number - 1) & 1:
            found.append(thread)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="a signal can be given to one thread on Linux")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_another_thread_receives_ends_an_idle_kernel(number: signal.Signals) -> None:
    """As does one that comes just before the main thread goes to sleep: neither wakes it."""
    with kernel_process() as kernel:
        kernel.run("pass")
        thread = _threads_that_take(number, kernel.pid)[0]
        assert ctypes.CDLL(None).tgkill(kernel.pid, thread, number) == 0
        assert kernel.wait() == -number


def test_a_client_that_comes_in_the_middle_is_welcomed_first() -> None:
    """JEP 65; the messages of a cell are under way while the clients subscribe."""
    with kernel_process() as kernel, zmq.Context() as context:
        url = kernel.client._make_url("iopub")
        cell = kernel.execute(
            "import asyncio\nfor n in range(3000):\n    print(n)\n    await asyncio.sleep(0)"
        )
        clients = []
        for _ in range(30):
            client = context.socket(zmq.SUB)
            client.setsockopt(zmq.LINGER, 0)
            client.setsockopt(zmq.SUBSCRIBE, b"")
            client.connect(url)
            clients.append(client)
        firsts = []
        for client in clients:
            parts = client.recv_multipart()
            firsts.append(json.loads(parts[parts.index(b"<IDS|MSG>") + 2])["msg_type"])
            client.close()
        kernel.outcome(cell)
    assert firsts == ["iopub_welcome"] * 30


def test_no_client_is_overheard_beside_the_messages_of_a_cell() -> None:
    """A subscription that comes while a message is sent gives no other sign of itself."""
    with kernel_process() as kernel, zmq.Context() as context:
        url = kernel.client._make_url("iopub")
        code = "import asyncio\nfor n in range(40):\n    print(n)\n    await asyncio.sleep(0)"
        for _ in range(60):
            cell = kernel.execute(code)
            clients = [context.socket(zmq.SUB) for _ in range(8)]
            for client in clients:
                client.setsockopt(zmq.SUBSCRIBE, b"")
                client.connect(url)
            kernel.outcome(cell)
            for client in clients:
                assert client.poll(int(TIMEOUT_S * 1000))
                client.close(linger=0)
