"""The soak itself, and the memory that it watches."""

from __future__ import annotations

import contextlib
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
from cases.stage import ends_completely
from real_kernel import real_kernel

from soak.cells import Soak

WARM_UP: Final = 0.25
"""Part of the cells after which memory has to stay as it is."""

MOST_GROWN: Final = 30 * 2**20
"""Bytes of the host from then on: medians of the first and the last third."""

MOST_DENO: Final = 700 * 2**20
"""Bytes of the Deno process at any time."""


@dataclass
class Report:
    """What came of a soak."""

    counts: dict[str, int]
    host: list[int] = field(default_factory=list)
    """Resident bytes of the host after each cell."""
    deno: list[int] = field(default_factory=list)

    @property
    def grown(self) -> int:
        """Bytes by which the host has grown after the warm-up."""
        flat = self.host[int(len(self.host) * WARM_UP) :]
        third = max(1, len(flat) // 3)
        return int(statistics.median(flat[-third:]) - statistics.median(flat[:third]))


def soak(
    folder: Path, cells: int, seed: int, tell: Callable[[int], None] = lambda number: None
) -> Report:
    """Run so many cells in one kernel. Raises AssertionError with the number of the wrong one."""
    with ends_completely(real_kernel(folder)) as kernel:
        state = Soak(kernel, random.Random(seed))
        report = Report(counts=state.counts)
        host = psutil.Process(kernel.pid)
        for number in range(cells):
            try:
                state.step()
            except BaseException as error:
                error.add_note(f"cell {number} of seed {seed}; so far {state.counts}")
                raise
            report.host.append(host.memory_info().rss)
            with contextlib.suppress(LookupError, psutil.NoSuchProcess):  # between two of them
                report.deno.append(kernel.deno().memory_info().rss)
            tell(number)
    assert report.grown < MOST_GROWN, f"the host has grown by {report.grown:,} bytes"
    assert max(report.deno) < MOST_DENO, f"Deno had {max(report.deno):,} bytes"
    return report
