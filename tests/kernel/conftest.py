"""Real kernels, one for each module of tests: a start takes a second or two. And web servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distribution import NoDistributionError, real_distribution
from http_libraries import NoLibrariesError, http_libraries
from mounted import World, mounted_world
from real_kernel import RealKernel, real_kernel
from web_server import WebServer, web_server

LIBRARIES = "/mnt/libraries"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKernel]:
    with real_kernel(tmp_path_factory.mktemp("kernel")) as started:
        yield started


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with mounted_world(tmp_path_factory.mktemp("mounts")) as started:
        yield started


@pytest.fixture
def fresh_kernel(tmp_path: Path) -> Iterator[RealKernel]:
    with real_kernel(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with web_server() as running:
        yield running


@pytest.fixture(scope="module")
def other() -> Iterator[WebServer]:
    """A server that no kernel may connect to."""
    with web_server() as running:
        yield running


@pytest.fixture(scope="module")
def online(server: WebServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKernel]:
    """A kernel whose code may connect to the server, by its address and as localhost."""
    option = f"--allow-net={server.place},localhost:{server.port},127.0.0.1:1"
    with real_kernel(tmp_path_factory.mktemp("online"), option, "--no-cwd") as kernel:
        kernel.run("from pyodide.http import pyfetch, open_url\nimport asyncio, js, urllib.request")
        yield kernel


@pytest.fixture(scope="module")
def with_libraries(
    server: WebServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealKernel]:
    """The same, with libraries."""
    try:
        libraries = http_libraries()
    except NoLibrariesError as error:
        pytest.skip(f"no libraries can be downloaded: {error}")
    # A first traceback through many files takes its time on a machine that is busy otherwise.
    options = (
        *(f"--allow-net={server.place}", "--no-cwd", "--interrupt-grace=60"),
        *("--mount", f"{libraries}={LIBRARIES}:ro"),
    )
    with real_kernel(tmp_path_factory.mktemp("libraries"), *options) as kernel:
        kernel.run(f"import sys\nsys.path.append({LIBRARIES!r})\nimport asyncio")
        yield kernel


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKernel]:
    """A kernel as it comes."""
    with real_kernel(tmp_path_factory.mktemp("offline"), "--no-cwd") as kernel:
        kernel.run("from pyodide.http import pyfetch, open_url\nimport js, urllib.request")
        yield kernel


@pytest.fixture(scope="module")
def distribution() -> Path:
    try:
        return real_distribution()
    except NoDistributionError as error:
        pytest.skip(f"no package distribution can be downloaded: {error}")
