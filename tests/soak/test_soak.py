"""The soak in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from soak.run import soak

CELLS = 80


@pytest.mark.deno
@pytest.mark.timeout(300)
def test_random_cells_are_answered_rightly_and_completely(tmp_path: Path) -> None:
    report = soak(tmp_path, CELLS, 7)
    assert sum(report.counts.values()) == CELLS
    assert {"good", "failing", "chatty", "interrupted"} <= set(report.counts)
