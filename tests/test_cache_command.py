"""`pyodide-kernel cache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyodide_kernel.__main__ import main
from pyodide_kernel.packages.cache import Cache


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYODIDE_KERNEL_CACHE_DIR", str(tmp_path))
    cache = Cache(tmp_path / "packages")
    cache.prepare()
    cache.keep_page("url", b"x" * 2000)
    return cache.folder


def test_info_says_what_it_holds(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "info"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == str(folder)
    assert [line.split()[:2] for line in lines[1:]] == [
        ["wheels", "0"],
        ["images", "0"],
        ["pages", "1"],
    ]


def test_clear_empties_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"Removed 2.06 kB from {folder}\n"
    assert Cache(folder).page("url") is None


def test_an_option_names_another_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert main(["cache", "info", "--cache-dir", str(other)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(other / "packages")


def test_anything_else_is_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "shrink"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
