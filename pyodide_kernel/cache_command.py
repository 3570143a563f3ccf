"""`pyodide-kernel cache`: what the cache of packages holds, and how to empty it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pyodide_kernel.folders import cache_folder
from pyodide_kernel.limits import format_size
from pyodide_kernel.options import OneLineParser
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.config import package_cache

_MEANINGS = {
    "wheels": "wheels as they were downloaded",
    "images": "unpacked packages and their bytecode",
    "pages": "what indexes and distributions list",
}


def cache(arguments: Sequence[str]) -> int:
    """Run the command; the exit code. Raises ConfigurationError, PackageError."""
    parser = OneLineParser(
        prog="pyodide-kernel cache",
        allow_abbrev=False,
        description="Show or empty the cache of packages, which all kernels share.",
    )
    parser.add_argument("action", choices=["info", "clear"], help="show what it holds, or empty it")
    parser.add_argument("--cache-dir", metavar="DIR", help="the folder [PYODIDE_KERNEL_CACHE_DIR]")
    options = parser.parse_args(list(arguments))
    setting = options.cache_dir or os.environ.get("PYODIDE_KERNEL_CACHE_DIR", "")
    kept = Cache(package_cache(cache_folder(setting)))
    if options.action == "clear":
        kept.prepare()
        sys.stdout.write(f"Removed {format_size(kept.clear())} from {kept.folder}\n")
        return 0
    sys.stdout.write(f"{kept.folder}\n")
    for usage in kept.usage():
        sys.stdout.write(
            f"{usage.part:8}{usage.entries:6} {format_size(usage.bytes):>10}  "
            f"{_MEANINGS[usage.part]}\n"
        )
    return 0
