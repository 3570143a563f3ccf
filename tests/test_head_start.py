"""An interpreter that starts before ipykernel is imported: used if it is the right one."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from fake_kernel import FakeKernel, fake_bridge
from real_kernel import TIMEOUT_S, real_kernel

from pyodide_kernel import head_start as module
from pyodide_kernel.bridge.bridge import Bridge, Death
from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.preparation import Preparation
from pyodide_kernel.folders import MEMORY
from pyodide_kernel.head_start import HeadStart, begin, head_start
from pyodide_kernel.options import KernelOptions
from pyodide_kernel.packages.config import package_config
from pyodide_kernel.policy import Policy
from pyodide_kernel.runtime import load_manifest
from pyodide_kernel.session import KernelSession

COMMAND = DenoCommand(deno=Path("deno"), runtime=Path("runtime"))
READY = Message(msg_type="ready")
DEATH = Death(cause="It ended.", requested=False, during_start=True)
CALLBACKS = ("on_message", "on_ready", "on_death", "on_give_up", "on_overtime")


class Recorder:
    """Plays the part of a bridge, and notes what becomes of it."""

    def __init__(self, **made_with: Any) -> None:
        self.made_with = made_with
        self.happened: list[str] = []
        made.append(self)

    def start(self) -> None:
        self.happened.append("start")

    def close(self) -> None:
        self.happened.append("close")

    def say(self, callback: str, value: Any) -> None:
        self.made_with[callback](value)


made: list[Recorder] = []


@pytest.fixture(autouse=True)
def _no_deno(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    if not request.node.get_closest_marker("deno"):
        monkeypatch.setattr(module, "deno_bridge", Recorder)
        monkeypatch.setattr(
            module, "prepare_early", lambda policy, cache: Preparation(command=COMMAND)
        )


def options(tmp_path: Path, **values: Any) -> KernelOptions:
    return KernelOptions(
        connection_file=str(tmp_path / "kernel-1.json"),
        command_line=[(f"PyodideKernel.{name}", value) for name, value in values.items()],
    )


@pytest.fixture
def started(tmp_path: Path) -> HeadStart:
    begun = begin(options(tmp_path, cwd=False, cache_dir=str(tmp_path / "cache")))
    assert begun is not None
    return begun


def wanted(**others: Any) -> dict[str, Any]:
    """What a kernel asks for that would make the same bridge, except `others`."""
    internal = (*CALLBACKS, "prepared")
    own = {name: value for name, value in made[0].made_with.items() if name not in internal}
    return {**own, **{name: (lambda _: None) for name in CALLBACKS}, **others}


def bridge_for(started: HeadStart, **others: Any) -> object:
    return started.make_bridge(**wanted(**others))


def test_a_kernel_that_wants_the_same_takes_it(started: HeadStart) -> None:
    assert made[0].happened == ["start"]
    assert bridge_for(started) is made[0]
    assert made[0].happened == ["start"]
    assert len(made) == 1


def test_packages_are_opened_once(tmp_path: Path) -> None:
    links = [str(tmp_path)]
    given = {"cache_dir": str(tmp_path / "cache"), "find_links": links, "offline": True}
    started = begin(options(tmp_path, **given))
    assert started is not None
    config = package_config(given, tmp_path / "cache")
    opened = started.open_packages(config, manifest=load_manifest())
    assert opened.config.find_links == tuple(links)
    assert opened.view is made[0].made_with["policy"].packages
    other = package_config({}, tmp_path / "cache")
    assert started.open_packages(other, manifest=load_manifest()) is not opened


def test_it_imports_nothing_that_can_wait() -> None:
    unwanted = "{'httpx', 'configparser', 'asyncio', 'pyodide_kernel.packages.downloads'}"
    code = f"import sys, pyodide_kernel.head_start; print({unwanted} & {{*sys.modules}})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


@pytest.mark.parametrize(
    "other",
    [
        {"policy": Policy(cwd="/tmp")},
        {"cache": Path("/elsewhere")},
        {"config": BridgeConfig(hang_timeout_s=1)},
    ],
    ids=lambda other: str(next(iter(other))),
)
def test_for_another_kernel_it_ends_and_a_new_one_is_made(
    started: HeadStart, other: dict[str, Any]
) -> None:
    assert bridge_for(started, **other) is made[1]
    assert made[0].happened == ["start", "close"]
    assert made[1].happened == []


def test_it_serves_one_kernel(started: HeadStart) -> None:
    assert bridge_for(started) is made[0]
    assert bridge_for(started) is made[1]


def test_what_it_said_meanwhile_comes_first_and_in_order(started: HeadStart) -> None:
    heard: list[tuple[str, Any]] = []

    def hear(name: str) -> Callable[[Any], None]:
        return lambda value: heard.append((name, value))

    made[0].say("on_death", DEATH)
    made[0].say("on_ready", READY)
    assert heard == []
    started.make_bridge(**wanted(**{name: hear(name) for name in CALLBACKS}))
    assert heard == [("on_death", DEATH), ("on_ready", READY)]
    made[0].say("on_message", READY)
    assert heard[2:] == [("on_message", READY)]


def test_what_was_logged_meanwhile_is_told_where_the_kernel_logs(
    started: HeadStart, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger("pyodide_kernel.bridge.plans").warning("slower: %s", "no snapshot")
    told: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: told.append(record.getMessage()))
    # As the app does when it is configured.
    monkeypatch.setattr(logging.getLogger("pyodide_kernel"), "handlers", [handler])
    started.make_bridge(**wanted())
    assert told[0] == "slower: no snapshot"


def test_a_kernel_hears_of_a_death_before_it_has_its_bridge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def bridge_that_died(**callbacks: Any) -> Bridge:
        callbacks["on_death"](DEATH)
        callbacks["on_ready"](Message(msg_type="ready", content={"execution_count": 1}))
        return fake_bridge(**callbacks)

    kernel = FakeKernel(
        session=KernelSession(key=b"key"), history_file=MEMORY, make_bridge=bridge_that_died
    )
    kernel.close()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize(
    "values",
    [
        {"mount": ["/no/such/folder"]},
        {"cwd": "False"},  # as --PyodideKernel.cwd=False, which traitlets reads
    ],
)
def test_there_is_none_with_options_that_the_kernel_has_to_judge(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    assert begin(options(tmp_path, **values)) is None
    assert made == []


def test_later_options_win(tmp_path: Path) -> None:
    begin(
        KernelOptions(
            connection_file=str(tmp_path / "kernel-1.json"),
            baked=[("PyodideKernel.hang_timeout", 1.0), ("PyodideKernel.cwd", False)],
            environment=[("PyodideKernel.hang_timeout", 2.0)],
            command_line=[("PyodideKernel.hang_timeout", 3.0)],
        )
    )
    assert made[0].made_with["config"] == BridgeConfig(hang_timeout_s=3.0)


def test_it_ends_with_its_block_and_signals_are_as_before(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with head_start(options(tmp_path)):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    assert made[0].happened == ["start", "close"]


@pytest.mark.deno
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--mount", "/usr/share=/mnt/here:ro"],
        ["--interrupt-grace", "3"],
        ["--offline", "--index-url", "https://index.invalid/simple", "--preload", "json"],
    ],
)
def test_a_kernel_takes_over_what_its_options_started(
    tmp_path: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with real_kernel(tmp_path, *arguments, "--log-level", "INFO") as kernel:
        assert kernel.run("6 * 7").result == "42"
    assert "The interpreter was started early" in capfd.readouterr().err


@pytest.fixture
def importing(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A kernel process that never gets farther than to import ipykernel.

    It works where exceptions are lost. It does not sleep: a signal that came just before would not
    wake it.
    """
    package = tmp_path / "ipykernel"
    package.mkdir()
    (package / "__init__.py").write_text(
        "class Deaf:\n"
        "    def __del__(self):\n"
        "        print('imports', flush=True)\n"
        "        while True:\n"
        "            pass\n"
        "Deaf()\n"
        "while True:\n"
        "    pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "pyodide_kernel", "-f", str(tmp_path / "kernel-1.json")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
            "TMPDIR": str(tmp_path),
        },
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.deno
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_signal_during_the_imports_leaves_no_process(
    importing: subprocess.Popen[bytes], name: str
) -> None:
    assert importing.stdout is not None
    assert importing.stdout.readline() == b"imports\n"
    # Another thread starts it, which may take its time.
    end = time.monotonic() + TIMEOUT_S
    while not (children := psutil.Process(importing.pid).children(recursive=True)):
        assert time.monotonic() < end
    importing.send_signal(getattr(signal, name))
    assert importing.wait(TIMEOUT_S) != 0
    _, alive = psutil.wait_procs(children, timeout=TIMEOUT_S)
    assert alive == []


@pytest.mark.parametrize("adopted", [False, True])
def test_a_process_that_nobody_looks_after_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, adopted: bool
) -> None:
    discarded: list[bool] = []
    spawned: Any = SimpleNamespace(adopted=adopted, discard=lambda: discarded.append(True))
    prepared = Preparation(command=COMMAND, spawned=spawned)
    monkeypatch.setattr(module, "prepare_early", lambda policy, cache: prepared)
    with head_start(options(tmp_path)):
        assert discarded == []
    assert discarded == ([] if adopted else [True])


def test_a_bridge_that_is_made_instead_ends_with_the_block_too(tmp_path: Path) -> None:
    with head_start(options(tmp_path)) as begun:
        assert begun is not None
        bridge_for(begun, cache=Path("/elsewhere"))
    assert made[1].happened == ["close"]
