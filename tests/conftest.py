"""What all tests share."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings

from pyodide_kernel.warm import warm

# A slow machine is no failure; in continuous integration the same examples run every time.
settings.register_profile("tests", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("tests")

# One snapshot for all kernels of all runs in this checkout: its name says what it was made from. In
# a folder of its own, each test would mean to make one.
_user = os.getuid() if hasattr(os, "getuid") else "user"
_checkout = hashlib.sha256(str(Path(__file__).parents[1]).encode()).hexdigest()[:8]
_cache = Path(tempfile.gettempdir(), f"pyodide-kernel-tests-{_user}-{_checkout}")
os.environ.setdefault("PYODIDE_KERNEL_CACHE_DIR", str(_cache))


@pytest.fixture(scope="session")
def snapshot() -> Path:
    """The folder with a snapshot, which is made if there is none."""
    folder = os.environ["PYODIDE_KERNEL_CACHE_DIR"]
    assert warm(["--cache-dir", folder]) == 0
    return Path(folder)


@pytest.fixture(autouse=True)
def _snapshot_first(request: pytest.FixtureRequest) -> None:
    """No kernel makes a snapshot beside a test, unless the test is about that."""
    if request.node.get_closest_marker("deno"):
        request.getfixturevalue("snapshot")
