"""What the guest is booted with, and the bridge over the real thing."""

from __future__ import annotations

import ast
import os
import signal
import sys
from pathlib import Path

import pytest
from bridge.conftest import StartBridge
from bridge.harness import PATIENCE_S, Harness
from fake_deno import Gate
from wired import EXECUTE

from pyodide_kernel import runtime
from pyodide_kernel.bridge.boot import deno_bridge
from pyodide_kernel.bridge.deno import DenoCommand, find_deno, worker_permissions
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.preparation import ENVIRONMENT, boot_content, guest_sources
from pyodide_kernel.bridge.process import DataCallback, DenoProcess, launch
from pyodide_kernel.bridge.protocol import Protocol, Role
from pyodide_kernel.errors import DenoNotFoundError, RuntimeDamagedError
from pyodide_kernel.policy import HOME, Policy

START_S = 60


def test_guest_gets_its_own_sources_the_messages_and_nothing_of_the_host() -> None:
    paths = set(guest_sources())
    guest = {path for path in paths if path.startswith("pyodide_kernel/guest/")}
    assert "pyodide_kernel/guest/entry.py" in guest
    assert paths - guest == {
        "pyodide_kernel/__init__.py",
        "pyodide_kernel/bridge/__init__.py",
        "pyodide_kernel/bridge/messages.py",
    }


def test_sources_of_the_guest_are_python() -> None:
    for path, text in guest_sources().items():
        ast.parse(text, path)


def test_boot_message_may_be_sent() -> None:
    command = DenoCommand(deno=Path("/opt/deno"), runtime=Path("/opt/runtime"))
    content = boot_content(command)
    assert Protocol(Role.HOST).send(Message(msg_type="boot", content=content))
    assert content["worker"] == {"folder": "/opt/runtime"}
    assert content["permissions"] == worker_permissions(command)
    assert content["guest"]["cwd"] == HOME
    assert content["guest"]["memory_limit"] == command.policy.limits.memory_bytes
    assert content["guest"]["env"] == {**ENVIRONMENT, "PWD": HOME}


def test_environment_of_the_guest_is_none_of_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "known to the host only")
    content = boot_content(DenoCommand(deno=Path("/opt/deno"), runtime=Path("/opt/runtime")))
    assert "known to the host only" not in str(content)


def test_bridge_is_not_made_without_deno(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deno", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DenoNotFoundError):
        make_bridge()


def test_bridge_is_not_made_from_a_damaged_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "runtime_dir", lambda: tmp_path)
    with pytest.raises(RuntimeDamagedError):
        make_bridge()


def make_bridge() -> object:
    def ignore(_value: object) -> None:
        pass

    return deno_bridge(
        policy=Policy(),
        config=BridgeConfig(),
        on_message=ignore,
        on_ready=ignore,
        on_death=ignore,
        on_give_up=ignore,
    )


class Launched:
    """The process ids of a bridge's lives; the gate opens with the first."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.pids: list[int | None] = []

    def note(self, process: DenoProcess) -> None:
        self.pids.append(process.pid)
        if not self.gate.is_open:
            self.gate.open()


def start_real(start_bridge: StartBridge, launched: Launched, **config: float) -> Harness:
    """A bridge over the real thing."""
    command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir())

    async def launch_and_tell(on_data: DataCallback) -> DenoProcess:
        process = await launch(command, on_data)
        launched.note(process)
        return process

    return start_bridge(launch=launch_and_tell, boot=boot_content(command), **config)


@pytest.mark.deno
def test_stopped_process_counts_as_hung_and_is_replaced(start_bridge: StartBridge) -> None:
    launched = Launched()
    harness = start_real(start_bridge, launched, hang_timeout_s=3.0)
    harness.wait_ready(START_S)
    (pid,) = launched.pids
    assert pid == harness.bridge.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert "did not answer for 3 s" in harness.next_death().cause
    harness.wait_ready(START_S)
    _, future = harness.bridge.request("execute_request", {**EXECUTE, "user_expressions": {}})
    assert future.result(PATIENCE_S).content["status"] == "ok"


@pytest.mark.deno
def test_close_during_boot_leaves_no_process(start_bridge: StartBridge) -> None:
    launched = Launched()
    harness = start_real(start_bridge, launched)
    _, future = harness.bridge.request("execute_request", EXECUTE)
    launched.gate.wait(PATIENCE_S)
    harness.close()
    assert future.done()
    (pid,) = launched.pids
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
