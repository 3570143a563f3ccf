"""The process that makes bytecode for packages, as a kernel starts and ends it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

MAKER: Final = "pyodide_kernel.packages.maker"


class Background:
    """One process at a time that works on a cache. Safe in many threads.

    It ends when there is nothing left to do, and with this process, however that ends: it listens
    for the end of its stdin, whose other end is here and nowhere else.
    """

    def __init__(self, cache: Path, *, log: logging.Logger) -> None:
        self._cache = cache
        self._log = log
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def start(self) -> None:
        """Start it, unless it is at work, and don't wait for it."""
        with self._lock:
            if self._closed or (self._process is not None and self._process.poll() is None):
                return
            self._let_go()
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", MAKER, str(self._cache)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                self._log.warning("No bytecode is made for packages: %s", error)

    def close(self) -> None:
        """Have it end at once; it does so in its own time."""
        with self._lock:
            self._closed = True
            self._let_go()

    def _let_go(self) -> None:
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        threading.Thread(target=self._process.wait, name="maker", daemon=True).start()
        self._process = None
