"""What code installs, and what it says that it needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_notebooks import write_notebook

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.reading.code import parse
from pyodide_kernel.reading.installs import Needs, needs_of, read_requirements
from pyodide_kernel.reading.source import read_source
from pyodide_kernel.reading.uses import calls

BLOCK = '# /// script\n# dependencies = [\n#   "plotly>=6",\n#   "rich",\n# ]\n# ///\n'


def needs(folder: Path, *cells: str) -> Needs:
    source = read_source(write_notebook(folder, *cells))
    parsed = parse(source.units)
    return needs_of(source, parsed, list(calls(parsed.pieces)))


def found(folder: Path, *cells: str) -> list[str]:
    return [need.requirement for need in needs(folder, *cells).found]


@pytest.mark.parametrize(
    "cell",
    [
        "%pip install -q 'a>=1' b",
        "!pip install 'a>=1' b",
        "!python3 -m pip install -U 'a>=1' b --no-deps",
        "pip install 'a>=1' b",
        "import micropip\nawait micropip.install(['a>=1', 'b'])",
        "import piplite as p\nawait p.install(requirements=['a>=1', 'b'])",
        "import pyodide_js\nawait pyodide_js.loadPackage(['a>=1', 'b'])",
        "from micropip import install\nawait install('a>=1')\nawait install('b')",
    ],
)
def test_each_way_to_install_is_seen(tmp_path: Path, cell: str) -> None:
    assert found(tmp_path, cell) == ["a>=1", "b"]


def test_options_go_with_what_they_are_for(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("b<2\n")
    (need,) = needs(tmp_path, "%pip install --no-deps --pre -c c.txt a").found
    assert (need.deps, need.pre, need.constraints) == (False, True, ("b<2",))
    (need,) = needs(tmp_path, "import micropip\nawait micropip.install('a', deps=False)").found
    assert not need.deps


def test_files_are_read_with_what_they_include(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("a  # why\n\nb \\\n  >=1\n-r more/s.txt\n--pre\n")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "s.txt").write_text("c --hash=sha256:00\n")
    got = needs(tmp_path, "%pip install -r r.txt")
    assert [(need.requirement, str(need.place)) for need in got.found] == [
        ("a", "r.txt, line 1"),
        ("b    >=1", "r.txt, line 3"),
        ("c", "s.txt, line 1"),
    ]
    assert [str(place) for place, _ in got.wrong] == ["r.txt, line 6"]
    same = read_requirements(read_source(tmp_path / "r.txt"))
    assert [need.requirement for need in same.found] == ["a", "b    >=1", "c"]


def test_a_file_that_includes_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("-r r.txt\n")
    with pytest.raises(ConfigurationError, match=r"r\.txt includes itself"):
        read_requirements(read_source(tmp_path / "r.txt"))


def test_files_that_are_not_there_or_are_the_kernels_own_are_told_apart(tmp_path: Path) -> None:
    got = needs(tmp_path, "%pip install -r gone.txt", "%pip install -r /mnt/x/r.txt")
    assert [(str(place), "gone.txt can't be read" in text) for place, text in got.wrong] == [
        ("n.ipynb, cell 1, line 1", True)
    ]
    assert [place.cell for place, _ in got.unclear] == [2]


def test_what_only_a_run_tells_is_unclear(tmp_path: Path) -> None:
    cells = "%pip install {name}", "import micropip\nx = 'a'\nawait micropip.install(x)"
    got = needs(tmp_path, *cells)
    assert got.found == []
    assert [place.cell for place, _ in got.unclear] == [1, 2]


def test_what_pip_would_refuse_is_wrong(tmp_path: Path) -> None:
    got = needs(tmp_path, "%pip install --target x a", "%pip frob", "%pip install -e .")
    assert [place.cell for place, _ in got.wrong] == [1, 2, 3]
    assert needs(tmp_path, "%pip list", "%pip uninstall -y a").found == []


def test_a_script_block_declares_requirements(tmp_path: Path) -> None:
    got = needs(tmp_path, "1", f"{BLOCK}import plotly")
    assert [(need.requirement, need.declared) for need in got.found] == [
        ("plotly>=6", True),
        ("rich", True),
    ]
    assert str(got.found[0].place) == "n.ipynb, cell 2, line 1"


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("# /// script\n# dependencies = [\n# ///\n", "not TOML"),
        ("# /// script\n# dependencies = 'a'\n# ///\n", "not a list"),
        (BLOCK + "\n" + BLOCK, "two script blocks"),
    ],
)
def test_a_malformed_block_is_an_error_with_its_cell(tmp_path: Path, block: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as caught:
        needs(tmp_path, block)
    assert str(caught.value).startswith("n.ipynb, cell 1, line 1: ")
