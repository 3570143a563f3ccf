"""What all tests share."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import settings

# A slow machine is no failure; in continuous integration the same examples run every time.
settings.register_profile("tests", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("tests")

# One snapshot for all kernels of all runs: its name says what it was made from. The folder of this
# test alone would mean to make one in each test.
_user = os.getuid() if hasattr(os, "getuid") else "user"
_cache = Path(tempfile.gettempdir(), f"pyodide-kernel-tests-{_user}")
os.environ.setdefault("PYODIDE_KERNEL_CACHE_DIR", str(_cache))
