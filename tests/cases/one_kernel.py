"""Runs one cell in a kernel of its own, and prints what it printed: `one_kernel.py FOLDER CODE`."""

from __future__ import annotations

import sys
from pathlib import Path

from real_kernel import real_kernel

from cases.stage import ends_completely

if __name__ == "__main__":
    with ends_completely(real_kernel(Path(sys.argv[1]))) as kernel:
        sys.stdout.write(kernel.run(sys.argv[2]).text())
