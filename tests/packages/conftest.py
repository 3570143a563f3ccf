"""A cache, a server and the way from one to the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wheels import Server, running_server

from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.downloads import Downloads
from pyodide_kernel.packages.jobs import Job
from pyodide_kernel.packages.origins import origin


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    made = Cache(tmp_path / "cache")
    made.prepare()
    return made


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with running_server() as started:
        yield started


MakeDownloads = Callable[..., Downloads]


@pytest.fixture
def make_downloads(server: Server) -> Iterator[MakeDownloads]:
    made: list[Downloads] = []

    def make(**options: object) -> Downloads:
        defaults = {"origins": [origin(server.url)], "back_off_s": (0.0, 0.0)}
        made.append(Downloads(**(defaults | options)))  # type: ignore[arg-type]  # by name
        return made[-1]

    yield make
    for downloads in made:
        downloads.close()


@pytest.fixture
def downloads(make_downloads: MakeDownloads) -> Downloads:
    return make_downloads()


@pytest.fixture
def job() -> Job:
    return Job(cancelled=threading.Event(), report=lambda _: None)
