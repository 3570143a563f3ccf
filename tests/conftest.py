"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import settings

# A slow machine is no failure; in continuous integration the same examples run every time.
settings.register_profile("tests", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("tests")
