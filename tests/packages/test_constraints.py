"""Constraints: read from files, held against what a distribution has."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.packages.constraints import problem_of, read_constraints
from pyodide_kernel.packages.lockfile import LockedPackage


def package(name: str, version: str) -> LockedPackage:
    return LockedPackage(
        name=name,
        version=version,
        file_name="x.whl",
        sha256="0" * 64,
        imports=(),
        depends=(),
        kind="package",
    )


def test_files_are_read_with_what_they_include(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Num_Py<2 # old\n-c b.txt\n-r b.txt\n")
    (tmp_path / "b.txt").write_text("\npandas==2.0; python_version > '3'\n")
    found = read_constraints([str(tmp_path / "a.txt")])
    assert [(one.name, one.where.rpartition("/")[2]) for one in found] == [
        ("num-py", "a.txt, line 1"),
        ("pandas", "b.txt, line 2"),
        ("pandas", "b.txt, line 2"),
    ]
    assert found[0].text == "Num_Py<2"


@pytest.mark.parametrize(
    "text", ["a b", "-e .", "--pre", "a @ https://x.example/a.whl", "a[b]<1", "-r itself.txt"]
)
def test_what_is_no_constraint_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "itself.txt"
    path.write_text(f"fine<2\n{text}\n")
    with pytest.raises(ConfigurationError, match=r"--constraints: .*itself\.txt"):
        read_constraints([str(path)])


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone can't be read \(No such file"):
        read_constraints([str(tmp_path / "gone")])
    (tmp_path / "x").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="is not UTF-8"):
        read_constraints([str(tmp_path / "x")])


def test_what_is_not_allowed_says_by_which_line(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("numpy<2\n")
    constraints = read_constraints([str(tmp_path / "c")])
    problem = problem_of(package("NumPy", "2.3"), constraints)
    assert "NumPy 2.3" in problem
    assert f"numpy<2 is allowed ({tmp_path / 'c'}, line 1)" in problem
    assert problem_of(package("numpy", "1.9rc1"), constraints) == ""
    assert problem_of(package("pandas", "3"), constraints) == ""
