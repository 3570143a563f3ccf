"""`pyodide-kernel warm`, as someone types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyodide_kernel.__main__ import main


@pytest.mark.deno
def test_a_good_snapshot_is_kept(snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "--cache-dir", str(snapshot)]) == 0
    assert capsys.readouterr().out.startswith("There is a snapshot already: ")


def test_a_folder_that_cannot_be_written_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "--cache-dir", "/dev/null/cache"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "/dev/null/cache" in told
    assert "PYODIDE_KERNEL_CACHE_DIR" in told


def test_a_relative_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warm", "--cache-dir", "cache"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "'cache' is not the absolute path of a folder" in told
