"""What processes have in memory. Linux only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import psutil

MB: Final = 10**6


class Peaks:
    """The most that each process of a tree has held since this was made."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._before: dict[int, int] = {}
        for process in processes:
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak begins anew
            self._before[process.pid] = process.memory_info().rss

    def growth_mb(self) -> dict[int, float]:
        """By process, what its peak was above what it had at first; of those that live."""
        return {
            pid: (_peak(pid) - before) / MB
            for pid, before in self._before.items()
            if psutil.pid_exists(pid)
        }


def _peak(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", text)
    return int(kilobytes) * 1024
