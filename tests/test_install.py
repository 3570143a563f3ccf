from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel.__main__ import main


def installed(prefix: Path, name: str = "pyodide") -> dict[str, Any]:
    folder = prefix / "share" / "jupyter" / "kernels" / name
    spec: dict[str, Any] = json.loads((folder / "kernel.json").read_text("utf-8"))
    return spec


def test_install_writes_a_kernelspec_with_logos(tmp_path: Path) -> None:
    assert main(["install", "--prefix", str(tmp_path)]) == 0
    spec = installed(tmp_path)
    assert spec["argv"] == [sys.executable, "-m", "pyodide_kernel", "-f", "{connection_file}"]
    assert spec["display_name"] == "Python (Pyodide)"
    assert spec["interrupt_mode"] == "message"
    assert spec["metadata"]["supported_encryption"] == ["curve"]
    logos = {path.name for path in (tmp_path / "share/jupyter/kernels/pyodide").iterdir()}
    assert logos == {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"}


def test_the_kernelspec_of_the_wheel_says_the_same(tmp_path: Path) -> None:
    source = Path(__file__).parents[1] / "kernelspec" / "kernel.json"
    wheel = json.loads(source.read_text("utf-8"))
    assert main(["install", "--prefix", str(tmp_path)]) == 0
    spec = installed(tmp_path)
    assert spec["argv"][1:] == wheel["argv"][1:]
    assert {**spec, "argv": []} == {**wheel, "argv": []}


def test_settings_are_baked_into_the_arguments(tmp_path: Path) -> None:
    arguments = ["--name", "quick", "--interrupt-grace", "2", "--output-limit", "1GB"]
    assert main(["install", "--prefix", str(tmp_path), *arguments]) == 0
    spec = installed(tmp_path, "quick")
    assert spec["argv"][3:] == [
        "--interrupt-grace=2",
        "--output-limit=1GB",
        "--baked",
        "-f",
        "{connection_file}",
    ]
    assert spec["display_name"] == "Python (Pyodide) [quick]"


def test_names_can_be_chosen(tmp_path: Path) -> None:
    arguments = ["--name", "mine", "--display-name", "My Python"]
    assert main(["install", "--prefix", str(tmp_path), *arguments]) == 0
    assert installed(tmp_path, "mine")["display_name"] == "My Python"


def test_for_a_user_it_goes_to_the_users_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert main(["install", "--user"]) == 0
    assert (tmp_path / "kernels" / "pyodide" / "kernel.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--interrupt-grace", "soon"], "--interrupt-grace"),
        (["--name", "two words"], "--name"),
        (["--user", "--sys-prefix"], "--sys-prefix"),
        (["--prefix", "/dev/null"], "/dev/null"),
        (["--memory"], "--memory"),
    ],
)
def test_errors_are_one_line_and_exit_code_2(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = [] if "--prefix" in arguments or "--user" in arguments else ["--prefix", "/dev/null/x"]
    assert main(["install", *place, *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert named in captured.err
    assert captured.out == ""
