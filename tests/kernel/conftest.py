"""One real kernel for each module of tests: a start takes a second or two."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted import World, mounted_world
from real_kernel import RealKernel, real_kernel


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
