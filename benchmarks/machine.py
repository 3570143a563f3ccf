"""What the numbers depend on: the machine, its load, the versions."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.run import spin_s

PACKAGES = ("pyodide-kernel", "ipykernel", "jupyter_client", "pyzmq", "ipython", "jedi", "deno")


def describe() -> dict[str, Any]:
    """The machine and what is installed."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gb": round(_memory_bytes() / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "packages": dict(_versions(PACKAGES)),
    }


def load() -> dict[str, float]:
    """How busy the machine is: its load average, and the time that a fixed loop takes."""
    spins = sorted(spin_s() for _ in range(9))
    return {
        "load_average": round(os.getloadavg()[0], 2),
        "spin_ms_median": round(spins[4] * 1000, 1),
        "spin_ms_max": round(spins[-1] * 1000, 1),
    }


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for package in packages:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "not installed"


def _commit() -> str:
    """The commit of this checkout; empty outside of one."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
