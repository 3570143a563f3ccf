from __future__ import annotations

import logging
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bridge.harness import Harness
from fake_deno import FakeLaunch, Script
from web_server import WebServer, web_server

from pyodide_kernel.bridge.deno import DenoCommand, find_deno
from pyodide_kernel.bridge.life import Launch

StartBridge = Callable[..., Harness]


@pytest.fixture
def start_bridge(caplog: pytest.LogCaptureFixture) -> Iterator[StartBridge]:
    """Starts a bridge over scripts, or over a `launch` of the test's own; closes it at the end."""
    harnesses: list[Harness] = []
    threads = set(threading.enumerate())

    def start(*scripts: Script, launch: Launch | None = None, **config: Any) -> Harness:
        harness = Harness(launch or FakeLaunch(*scripts), **config)
        harnesses.append(harness)
        harness.bridge.start()
        return harness

    yield start
    for harness in harnesses:
        harness.close()
    assert set(threading.enumerate()) <= threads
    complaints = [record for record in caplog.get_records("call") if record.name == "asyncio"]
    assert [record for record in complaints if record.levelno >= logging.ERROR] == []


@pytest.fixture
def config(tmp_path: Path) -> DenoCommand:
    """Starts the real Deno and the broker."""
    return DenoCommand(deno=find_deno(), runtime=tmp_path)


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that stands in for /tmp."""
    folder = tmp_path / "t"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without proxies and certificates of the machine's."""
    for name in list(os.environ):
        if name.lower().endswith(("_proxy", "_ca_bundle")) or name.startswith("SSL_CERT_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running
