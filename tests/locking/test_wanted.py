"""What a lock file has to hold, and what can't be locked."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_notebooks import write_notebook

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.locking.wanted import Wanted, wanted_by
from pyodide_kernel.reading.source import read_source

AVAILABLE = {"numpy": "numpy", "yaml": "pyyaml"}


def wanted(folder: Path, *cells: str) -> Wanted:
    return wanted_by([read_source(write_notebook(folder, *cells))], AVAILABLE)


def test_imports_installs_and_what_is_declared_count(tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import yaml\n")
    found = wanted(
        tmp_path,
        '# /// script\n# dependencies = ["rich"]\n# ///\nimport json, helper',
        "try:\n    import numpy.linalg\nexcept ImportError:\n    pass",
        "%pip install plotly",
    )
    assert [need.requirement for need in found.needs] == ["rich", "plotly"]
    assert {name: str(place) for name, place in found.imported.items()} == {
        "numpy": "n.ipynb, cell 2, line 2",
        "pyyaml": "helper.py, line 1",
    }


def test_several_files_count_together(tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("rich\n")
    (tmp_path / "s.py").write_text("import numpy\n")
    sources = [read_source(tmp_path / name) for name in ("r.txt", "s.py")]
    found = wanted_by(sources, AVAILABLE)
    assert [need.requirement for need in found.needs] == ["rich"]
    assert list(found.imported) == ["numpy"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%pip install {name}", "known only when it runs"),
        ("%pip install -e .", "cell 1, line 1: -e ."),
        ("%pip install /mnt/x/x-1-py3-none-any.whl", "--find-links"),
        ("%pip install https://a.example/x-1-py3-none-any.whl", "--find-links"),
    ],
)
def test_what_can_not_be_locked_is_named_with_its_cell(
    tmp_path: Path, cell: str, said: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"n\.ipynb, cell 1, line 1: ") as caught:
        wanted(tmp_path, cell)
    assert said in str(caught.value)
