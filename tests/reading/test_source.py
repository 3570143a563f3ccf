"""Notebooks and other files as they are read, and what is wrong with those that are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_notebooks import notebook_text, write_notebook

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.reading.source import Place, read_source


def test_cells_have_their_position_among_all_cells(tmp_path: Path) -> None:
    source = read_source(write_notebook(tmp_path, "a = 1", "## Title", "b\nc"))
    assert [(unit.code, unit.place) for unit in source.units] == [
        ("a = 1", Place("n.ipynb", 1, 1)),
        ("b\nc", Place("n.ipynb", 3, 1)),
    ]
    assert str(source.units[1].at(2)) == "n.ipynb, cell 3, line 2"


def test_a_script_is_one_unit_without_ipythons_syntax(tmp_path: Path) -> None:
    (tmp_path / "s.py").write_text("a = 1\n")
    (unit,) = read_source(tmp_path / "s.py").units
    assert not unit.ipython
    assert str(unit.at(4)) == "s.py, line 4"


def test_the_metadata_may_name_requirements(tmp_path: Path) -> None:
    path = write_notebook(tmp_path, "", pyodide_kernel={"dependencies": ["plotly>=6"]})
    assert read_source(path).declared == ["plotly>=6"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("n.ipynb", "{", "is not a notebook: it is not JSON"),
        ("n.ipynb", "[]", "is not a notebook"),
        ("n.ipynb", "{}", "there is no 'nbformat'"),
        ("n.ipynb", '{"nbformat": 4}', "there is no 'cells'"),
        ("n.ipynb", '{"nbformat": 4, "cells": [{"cell_type": "code"}]}', "there is no 'source'"),
        ("n.ipynb", '{"nbformat": 4, "cells": [5]}', "is not a notebook"),
        ("n.ipynb", '{"nbformat": 3, "worksheets": []}', "jupyter nbconvert --to notebook"),
        ("n.ipynb", "[" * 100_000, "is not a notebook"),
        ("n.ipynb", notebook_text(language_info={"name": "R"}), "is a notebook of r"),
        ("n.ipynb", notebook_text(pyodide_kernel=["a"]), '{"dependencies":'),
        ("n.ipynb", notebook_text(pyodide_kernel={"dependencies": [1]}), '{"dependencies":'),
        ("n.md", "", "neither a notebook"),
    ],
)
def test_what_is_not_what_it_should_be_is_named(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_source(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.py can't be read: No such file"):
        read_source(tmp_path / "gone.py")
    (tmp_path / "x.py").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ConfigurationError, match=r"x\.py is not UTF-8"):
        read_source(tmp_path / "x.py")


def test_a_notebook_without_metadata_is_one_of_python(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "cells": []}))
    assert read_source(path).units == []
