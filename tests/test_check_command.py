"""`pyodide-kernel check`, from the command line to its exit code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from made_notebooks import write_notebook
from wheels import Server, make_distribution, running_server, wheel_bytes

from pyodide_kernel.__main__ import main


@pytest.fixture
def server() -> Iterator[Server]:
    with running_server() as started:
        pure = wheel_bytes("pure", "1", {"pure.py": ""}, requires=("demo",))
        started.list_wheel("pure", "1", pure)
        started.list_wheel("other", "1", wheel_bytes("other", "1", {"surprise.py": ""}))
        started.list("native", {"filename": "native-1-cp314-cp314-win_amd64.whl", "url": "x"})
        yield started


Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Check:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    demo = wheel_bytes("demo", "1", {"demo.py": ""})
    distribution = make_distribution(tmp_path / "packages", demo=("1", demo, ()))
    options = [
        *("--package-url", str(distribution), "--index-url", f"{server.url}/simple"),
        *("--cache-dir", str(tmp_path / "cache")),
    ]

    def run(path: Path, *more: str) -> tuple[int, list[str]]:
        code = main(["check", str(path), *options, *more])
        said = capsys.readouterr()
        return code, (said.out or said.err).splitlines()

    return run


def test_a_notebook_that_will_run_says_so(check: Check, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import json\n")
    path = write_notebook(
        tmp_path,
        "import json, demo, helper, IPython, js, micropip, _thread",
        "%pip install -q pure\nimport pure",
        "try:\n    import cupy\nexcept ImportError:\n    cupy = None",
    )
    assert check(path) == (0, ["Nothing was found that will fail"])


def test_what_will_fail_is_named_with_its_cell_its_reason_and_what_to_use(
    check: Check, tmp_path: Path
) -> None:
    (tmp_path / "helper.py").write_text("import os\n\ndef f():\n    os.system('ls')\n")
    path = write_notebook(
        tmp_path,
        "## Title",
        "import helper\nimport subprocess\nsubprocess.run(['ls'])",
        "!git status\n%pip install native",
        "import torch, pure, tkinter, nowhere",
        "import urllib.request as u\nu.urlopen('http://a.example')",
    )
    code, lines = check(path)
    assert code == 1
    assert lines[-1] == "9 things will fail"
    expected = [
        ("fails  helper.py, line 4: os.system starts a process", "pathlib"),
        ("fails  n.ipynb, cell 2, line 3: subprocess.run starts a process", "pathlib"),
        ("fails  n.ipynb, cell 3, line 1: !git status runs git, which", "%pip"),
        ("fails  n.ipynb, cell 3, line 2: native has no wheel that runs", "pure-Python"),
        ("fails  n.ipynb, cell 4, line 1: nowhere is neither", "no package index has a project"),
        ("fails  n.ipynb, cell 4, line 1: pure is neither", "%pip install pure."),
        ("fails  n.ipynb, cell 4, line 1: tkinter needs windows", "Use ipywidgets."),
        ("fails  n.ipynb, cell 4, line 1: torch has no build", "Nearest alternative: scikit"),
        ("fails  n.ipynb, cell 5, line 2: urllib.request.urlopen needs the network", "--allow-net"),
    ]
    assert len(lines) == len(expected) + 1
    for (begins, holds), line in zip(expected, sorted(lines[:-1]), strict=True):
        assert line.startswith(begins)
        assert holds in line


def test_the_network_that_is_granted_counts(check: Check, tmp_path: Path) -> None:
    path = write_notebook(tmp_path, "import urllib.request\nurllib.request.urlopen('http://a.b')")
    assert check(path)[0] == 1
    assert check(path, "--allow-net")[0] == 0
    assert check(path, "--allow-net=a.b")[0] == 0
    assert check(path, "--allow-net=c.d")[0] == 1


def test_offline_no_index_is_asked_and_what_is_not_known_is_a_note(
    check: Check, tmp_path: Path, server: Server
) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("demo\npure\n")
    code, lines = check(path, "--offline")
    assert code == 0
    assert lines[0].startswith("note   requirements.txt, line 2: whether pure can be had")
    assert lines[1:] == ["Nothing was found that will fail, 1 note"]
    assert server.asked == []
    assert check(path)[1] == ["Nothing was found that will fail"]
    assert check(path, "--offline")[1] == ["Nothing was found that will fail"]


def test_modules_whose_name_only_a_wheel_knows_are_notes(check: Check, tmp_path: Path) -> None:
    code, lines = check(write_notebook(tmp_path, "%pip install other\nimport surprise"))
    assert code == 0
    assert "whether an installed package has the module surprise is not known" in lines[0]
    code, lines = check(write_notebook(tmp_path, "%pip install {x}\nimport surprise"))
    assert (code, len(lines)) == (0, 3)


def test_requirements_that_are_only_named_are_looked_at_and_do_not_install(
    check: Check, tmp_path: Path
) -> None:
    block = '# /// script\n# dependencies = ["pure", "native"]\n# ///\nimport pure'
    code, lines = check(write_notebook(tmp_path, block))
    assert code == 1
    assert "native has no wheel" in lines[0]
    assert lines[1].startswith("note   n.ipynb, cell 1, line 4: pure is only named")
    path = write_notebook(tmp_path, "import demo", pyodide_kernel={"dependencies": ["native"]})
    assert check(path)[1][0].startswith("fails  n.ipynb, metadata: native has no wheel")


def test_modules_that_the_notebook_writes_are_there(check: Check, tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path, "%%writefile -a greet.py\nx = 1", "%%file box/part.py\n", "import greet, box.part"
    )
    assert check(path)[0] == 0


def test_magics_that_import_are_looked_at(check: Check, tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path, "%load_ext autoreload", "%load_ext nowhere", "%matplotlib --list"
    )
    assert [line[:29] for line in check(path)[1][:-1]] == ["fails  n.ipynb, cell 2, line "]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gone.ipynb", None, "gone.ipynb can't be read: No such file or directory"),
        ("n.ipynb", "{}", "n.ipynb is not a notebook"),
        ("s.py", "a = 1\nb c\n", "s.py, line 2: "),
        ("s.md", "", "is neither a notebook"),
    ],
)
def test_what_can_not_be_read_is_one_line_and_another_exit_code(
    check: Check, tmp_path: Path, name: str, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    code, lines = check(tmp_path / name)
    assert code == 2
    (line,) = lines
    assert said in line


def test_a_syntax_error_is_named_with_its_cell(check: Check, tmp_path: Path) -> None:
    code, (line,) = check(write_notebook(tmp_path, "a = 1", "## b", "%time a\nb = = 2"))
    assert code == 2
    assert "n.ipynb, cell 3, line 2: invalid syntax" in line


def test_a_distribution_that_is_not_there_is_bad_input(check: Check, tmp_path: Path) -> None:
    code, (line,) = check(write_notebook(tmp_path, "1"), "--package-url", str(tmp_path / "gone"))
    assert code == 2
    assert "--package-url" in line


def test_constraints_count(check: Check, tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_text("demo<1\n")
    code, lines = check(
        write_notebook(tmp_path, "import demo"), "--constraints", f"{tmp_path}/c.txt"
    )
    assert code == 1
    assert "demo 1, but only demo<1 is allowed" in lines[0]
    path = write_notebook(tmp_path, "%pip install demo")
    assert (
        "no package index has a project 'demo'"
        in check(path, "--constraints", f"{tmp_path}/c.txt")[1][0]
    )
    assert check(path, "--constraints", f"{tmp_path}/gone.txt")[0] == 2
