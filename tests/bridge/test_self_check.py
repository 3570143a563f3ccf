"""Fences that are open on purpose: no code is run behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bridge.conftest import StartBridge
from bridge.real_deno import Received, end, run

from pyodide_kernel import runtime
from pyodide_kernel.bridge import spawn as spawn_module
from pyodide_kernel.bridge.confinement import confinement, landlock_problem
from pyodide_kernel.bridge.deno import DenoCommand, command, find_deno
from pyodide_kernel.bridge.preparation import boot_content
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.errors import WorkerStartError
from pyodide_kernel.mounts import Mount
from pyodide_kernel.policy import Policy

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(bool(landlock_problem()), reason="mounts need Landlock"),
]


@pytest.fixture
def mounting(config: DenoCommand, tmp_path: Path) -> DenoCommand:
    """A command with a mount."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    mount = Mount(host=folder.resolve(), guest="/mnt/x", writable=True)
    return replace(config, policy=Policy(mounts=(mount,)))


def test_process_with_mounts_starts_behind_landlock(mounting: DenoCommand) -> None:
    async def test() -> None:
        process = await launch(mounting, Received())
        assert process.layers["Landlock"].startswith("active")
        await end(process)

    run(test())


def change_confinement(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    def changed(**arguments: Any) -> Mapping[str, Any]:
        return {**confinement(**arguments), **changes}

    monkeypatch.setattr(spawn_module, "confinement", changed)


async def fails(config: DenoCommand, reason: str) -> None:
    with pytest.raises(WorkerStartError) as caught:
        await launch(config, Received())
    assert reason in str(caught.value)


def test_process_with_mounts_does_not_start_if_landlock_lets_everything_be_read(
    mounting: DenoCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_confinement(monkeypatch, read=["/"])
    run(fails(mounting, "The self-check failed: Landlock let"))


def test_process_with_mounts_does_not_start_if_landlock_cannot_be_applied(
    mounting: DenoCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_confinement(monkeypatch, read=["/dev/null/nowhere"])
    run(fails(mounting, "the mounts need Landlock: Not a directory"))


def test_no_code_is_run_if_deno_lets_everything_be_read(
    start_bridge: StartBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_command(config: DenoCommand, socket_path: Path) -> list[str]:
        arguments = command(config, socket_path)
        return ["--allow-read" if "--allow-read=" in part else part for part in arguments]

    monkeypatch.setattr(spawn_module, "command", open_command)
    change_confinement(monkeypatch, read=["/"])
    started = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir())
    boot = boot_content(started)
    boot["permissions"]["read"] = True
    harness = start_bridge(launch=partial(launch, started), boot=boot)
    death = harness.next_death()
    assert "The self-check failed: reading / was not refused" in death.cause
    assert death.during_start
