"""`pyodide-kernel lock`: what is refused before anything is resolved."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_notebooks import write_notebook
from wheels import lock_bytes, make_distribution

from pyodide_kernel.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gone.ipynb", "-o", "lock.json"], "gone.ipynb can't be read"),
        (["n.ipynb"], "-o/--output"),
        (["n.ipynb", "-o", "gone/lock.json"], "--output: gone/lock.json is no file"),
        (["n.ipynb", "-o", "."], "--output: . is no file"),
        (["n.ipynb", "-o", "x", "--lock", "y"], "unrecognized arguments: --lock"),
        (["n.ipynb", "-o", "x", "--package-url", "gone"], "--package-url: "),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, "import demo")
    assert main(["lock", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "can't be read"),
        (b"{", "is not JSON"),
        (lock_bytes(abi="1999_0"), "has packages for the ABI 1999_0"),
    ],
)
def test_a_lock_file_that_can_not_be_used_is_one_line(
    content: bytes | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lock.json"
    if content is not None:
        path.write_bytes(content)
    made = make_distribution(tmp_path / "d")
    options = [f"--package-url={made}", f"--cache-dir={tmp_path / 'cache'}"]
    code = main(["check", str(write_notebook(tmp_path, "1")), f"--lock={path}", *options])
    assert code == 2
    assert said in capsys.readouterr().err
