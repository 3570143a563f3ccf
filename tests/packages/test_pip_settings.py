"""The indexes that pip is configured with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pyodide_kernel.packages.pip_settings import indexes_of_pip

MAIN = "https://index.invalid/simple"
EXTRA = "https://extra.invalid/simple"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without pip's files, and no other of the machine's."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    return tmp_path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pip.conf"


def found(file: Path, **variables: str) -> list[str]:
    return indexes_of_pip({"PIP_CONFIG_FILE": str(file), **variables})


def test_a_file_names_the_main_index_and_others(file: Path) -> None:
    file.write_text(f"[global]\nindex-url = {MAIN}\nextra-index-url =\n    {EXTRA}\n")
    assert found(file) == [MAIN, EXTRA]


def test_the_section_of_install_wins(file: Path) -> None:
    file.write_text(f"[install]\nindex-url = {EXTRA}\n[global]\nindex-url = {MAIN}\n")
    assert found(file) == [EXTRA]


def test_variables_win(file: Path) -> None:
    file.write_text(f"[global]\nindex-url = {MAIN}\n")
    assert found(file, PIP_INDEX_URL=EXTRA) == [EXTRA]


@pytest.mark.parametrize("url", ["file:///srv/wheels", "/srv/wheels"])
def test_a_folder_is_no_index(file: Path, url: str) -> None:
    file.write_text(f"[global]\nindex-url = {url}\nextra-index-url = {EXTRA}\n")
    assert found(file) == []


@pytest.mark.parametrize("text", ["[global\nindex-url", "\x00", ""])
def test_a_file_that_is_none_of_pips_says_nothing(file: Path, text: str) -> None:
    file.write_text(text)
    assert found(file) == []


def test_no_file_at_all_may_be_asked_for() -> None:
    assert indexes_of_pip({"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": MAIN}) == [MAIN]
