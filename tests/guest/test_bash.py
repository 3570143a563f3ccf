"""`!command`, `%%bash` and the programs in Python, with a shell that only does what a test says."""

from __future__ import annotations

import io
import os
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from guest.guest import Guest

from pyodide_kernel.guest.bash import pip_arguments, script_of
from pyodide_kernel.guest.packages import PackageError
from pyodide_kernel.guest.programs import Call, Capture, Ended, Programs, call_of


def printing(code: int = 0, *, interrupted: bool = False) -> Any:
    """A shell that prints a line to each stream and ends."""

    def run(_script: str, write: Any, _program: Any) -> tuple[int, bool]:
        write("stdout", "out\n")
        write("stderr", "err\n")
        return code, interrupted

    return run


# Lines and cells


def test_a_line_runs_where_python_is(guest: Guest, tmp_path: Path) -> None:
    guest.host.bash = printing(3)
    former = Path.cwd()
    os.chdir(tmp_path)
    try:
        outcome = guest.run("!ls -l")
    finally:
        os.chdir(former)
    ((script, place),) = guest.host.scripts
    assert script == "ls -l"
    assert place["cwd"] == place["env"]["PWD"] == str(tmp_path.resolve())
    assert place["env"]["HOME"] == os.environ["HOME"]
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")
    assert guest.run("_exit_code").result == "3"


@pytest.mark.parametrize("code", ["x = !ls\nlist(x)", "!!ls", "%sx ls", "%system ls"])
def test_output_of_both_streams_becomes_a_list(guest: Guest, code: str) -> None:
    guest.host.bash = printing()
    outcome = guest.run(code)
    assert outcome.result == "['out', 'err']"
    assert outcome.stdout == ""


def test_variables_of_python_are_put_in(guest: Guest) -> None:
    guest.run("def f(inner):\n    get_ipython().system('echo $inner {inner + 1}')\nf(5)")
    guest.run("outer = 6\nx = !echo $outer\n!echo $outer $$HOME")
    scripts = [script for script, _ in guest.host.scripts]
    assert scripts == ["echo 5 6", "echo 6", "echo 6 $HOME"]


def test_captured_output_is_captured(guest: Guest) -> None:
    guest.host.bash = printing()
    outcome = guest.run("%%capture taken\n!ls")
    assert outcome.stdout + outcome.stderr == ""
    assert guest.run("taken.stdout, taken.stderr").result == r"('out\n', 'err\n')"


def test_an_interrupt_is_an_interrupt(guest: Guest) -> None:
    guest.host.bash = printing(130, interrupted=True)
    assert guest.run("!sleep 60").error[0] == "KeyboardInterrupt"
    assert guest.run("_exit_code").result == "130"


def test_failing_commands_raise_where_that_is_wanted(guest: Guest) -> None:
    guest.host.bash = printing(2)
    guest.shell.system_raise_on_error = True
    try:
        assert guest.run("!false").error[0] == "CalledProcessError"
        assert guest.run("x = !false").error[0] == "CalledProcessError"
    finally:
        guest.shell.system_raise_on_error = False


def test_aliases_have_the_options_of_this_ls(guest: Guest) -> None:
    guest.run("%ls /tmp\n%ldir x\n%mkdir a b")
    scripts = [script.strip() for script, _ in guest.host.scripts]
    assert scripts == ["ls -F /tmp", "ls -F -l x | grep /$", "mkdir a b"]


def test_a_cell_is_a_script_and_its_failure_an_error(guest: Guest) -> None:
    guest.host.bash = printing(4)
    outcome = guest.run("%%bash\necho a\nfalse")
    assert outcome.error[0] == "CalledProcessError"
    assert "exit status 4" in outcome.error[1]
    assert outcome.stdout == "out\n"
    assert guest.host.scripts[0][0] == "echo a\nfalse\n"


def test_output_of_a_cell_goes_into_variables(guest: Guest) -> None:
    guest.host.bash = printing(4)
    outcome = guest.run("%%sh --out o --err e --no-raise-error\nls")
    assert outcome.types == []
    assert guest.run("o, e").result == r"('out\n', 'err\n')"


def test_other_programs_read_the_cell(guest: Guest) -> None:
    guest.run("%%script sort -r 'a b'\nx\ny")
    guest.run("%%python3\nprint(1)")
    runs = [(script, place["stdin"]) for script, place in guest.host.scripts]
    assert runs == [("sort -r 'a b'", "x\ny\n"), ("python3", "print(1)\n")]


@pytest.mark.parametrize(
    ("arguments", "head"),
    [
        ([], ""),
        (["-e"], "set -e; "),
        (["-eu", "-o", "pipefail"], "set -eu -o pipefail; "),
        (["-s", "a b", "c"], "set -- 'a b' c; "),
        (["-x", "-s"], "set -x; set -- ; "),
    ],
)
def test_options_of_a_cell_are_part_of_its_script(arguments: Sequence[str], head: str) -> None:
    assert script_of(arguments, "ls\n") == f"{head}ls\n"


@pytest.mark.parametrize("arguments", [["-c", "ls"], ["file.sh"], ["--posix"], ["-o"]])
def test_other_options_are_for_bash_itself(arguments: Sequence[str]) -> None:
    assert script_of(arguments, "ls\n") is None


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("pip", ""),
        ("pip install a b", "install a b"),
        ("  python -m pip install a", "install a"),
        ("pip3 install 'a>=1' \"b<2;x\"", "install 'a>=1' \"b<2;x\""),
        ("pip install a>=1", "install a>=1"),
        ("pip list | head", None),
        ("pip list > f", None),
        ("pip list 2>f", None),
        ("pip list && ls", None),
        ("pip install $(cat names)", None),
        ("pipx list", None),
        ("python -c pip", None),
    ],
)
def test_a_line_of_pip_alone_is_pips(line: str, arguments: str | None) -> None:
    assert pip_arguments(line) == arguments


# Programs


class World:
    """Programs with the cell's streams."""

    def __init__(self) -> None:
        self.installed: list[Sequence[str]] = []
        self.prepared: list[str] = []
        self.programs = Programs(pip=self.pip, prepare=self.prepared.append)
        self.stdout, self.stderr = Capture(), Capture()

    def pip(self, words: Sequence[str]) -> None:
        if words[-1] == "bad":
            raise PackageError("bad: there is none")
        self.installed.append(words)
        sys.stdout.write("done\n")

    def run(self, *words: str, stdin: bytes = b"", direct: bool = False, **changes: Any) -> Ended:
        name, *args = words
        settings = {"cwd": str(Path.cwd()), "env": dict(os.environ), **changes}
        call = Call(name=name, args=args, stdin=stdin, direct=direct, **settings)
        return self.programs.run(call, self.stdout, self.stderr)


@pytest.fixture
def world() -> World:
    return World()


def test_code_of_the_command_line_runs_in_a_main_of_its_own(world: World) -> None:
    main, argv, path = sys.modules["__main__"], sys.argv, sys.path[:]
    code = "import sys; print(__name__, sys.argv); sys.argv = []; sys.path.clear()"
    ended = world.run("python3", "-c", code, "a", "-c")
    assert ended == Ended(code=0, stdout=b"__main__ ['-c', 'a', '-c']\n")
    assert (sys.modules["__main__"], sys.argv, sys.path) == (main, argv, path)
    assert world.prepared == [code]


def test_a_file_runs_beside_its_modules(world: World, tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("x = 'grüße'")
    (tmp_path / "run.py").write_text("import beside, sys\nprint(beside.x, __file__, sys.argv[1:])")
    ended = world.run("python", "run.py", "a", cwd=str(tmp_path))
    assert ended.stdout.decode() == "grüße run.py ['a']\n"
    (tmp_path / "beside.py").write_text("x = 'changed'  # longer than before")
    assert b"changed" in world.run("python", "run.py", cwd=str(tmp_path)).stdout
    assert "beside" not in sys.modules


def test_a_module_runs_as_main(world: World, tmp_path: Path) -> None:
    (tmp_path / "tool.py").write_text("import sys\nprint(__name__, sys.argv[1:])")
    ended = world.run("python", "-m", "tool", "a", cwd=str(tmp_path))
    assert ended.stdout == b"__main__ ['a']\n"
    missing = world.run("python", "-m", "no_such_tool")
    assert missing == Ended(code=1, stderr=b"python: No module named no_such_tool\n")


def test_a_program_comes_from_stdin(world: World) -> None:
    assert world.run("python", stdin=b"print(5)").stdout == b"5\n"
    assert world.run("python", "-", "x", stdin=b"import sys; print(sys.argv)").stdout == (
        b"['-', 'x']\n"
    )
    nothing = world.run("python")
    assert nothing.code == 2
    assert b"nobody can type here" in nothing.stderr


def test_a_program_reads_stdin(world: World) -> None:
    code = "import sys; print(input('? ') + sys.stdin.readline() + sys.stdin.read())"
    ended = world.run("python", "-c", code, stdin=b"one\ntwo\nthree")
    assert ended.stdout == b"? onetwo\nthree\n"
    assert b"EOFError" in world.run("python", "-c", "input();input()", stdin=b"x\n").stderr


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit", 0),
        ("raise SystemExit(3)", 3),
        ("raise SystemExit(-1)", 255),
        ("raise SystemExit('why')", 1),
        ("1/0", 1),
        ("f(", 1),
        ("raise BaseException", 1),
    ],
)
def test_how_a_program_ends_is_its_exit_code(world: World, code: str, expected: int) -> None:
    ended = world.run("python", "-c", code)
    assert (ended.code, ended.interrupted) == (expected, False)
    assert b"programs.py" not in ended.stderr


def test_an_error_is_shown_as_python_shows_it(world: World) -> None:
    ended = world.run("python", "-c", "def f():\n    1/0\nf()")
    lines = ended.stderr.decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == '  File "<string>", line 3, in <module>'
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_an_interrupt_of_a_program_is_told(world: World) -> None:
    ended = world.run("python", "-c", "raise KeyboardInterrupt")
    assert (ended.code, ended.interrupted) == (130, True)


def test_environment_and_folder_are_lent(world: World, tmp_path: Path) -> None:
    former, folder = dict(os.environ), Path.cwd()
    code = (
        "import os; print(dict(os.environ), os.getcwd()); os.environ['LEFT'] = '1'; os.chdir('/')"
    )
    ended = world.run("python", "-c", code, env={"ONLY": "1"}, cwd=str(tmp_path))
    assert ended.stdout.decode().startswith(f"{{'ONLY': '1'}} {tmp_path.resolve()}")
    assert (dict(os.environ), Path.cwd()) == (former, folder)


def test_what_nobody_takes_goes_to_the_cell_at_once(world: World) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.stdout.close()"
    assert world.run("python", "-c", code, direct=True) == Ended(code=0)
    assert (world.stdout.text(), world.stderr.text()) == ("out\n", "err\n")


def test_bytes_stay_bytes(world: World) -> None:
    code = "import sys; sys.stdout.buffer.write(bytes(range(256)))"
    assert world.run("python", "-c", code).stdout == bytes(range(256))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-c"], "Argument expected for the -c option"),
        (["-Z"], "unknown option -Z"),
        (["--what"], "unknown option --what"),
        (["none.py"], "can't open file"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_told(
    world: World, words: list[str], reason: str
) -> None:
    ended = world.run("python", *words)
    assert ended.code == 2
    assert reason in ended.stderr.decode()


def test_options_without_an_effect_are_taken(world: World) -> None:
    words = ["-u", "-B", "-W", "error", "-Xdev", "-Ic", "print(1)"]
    assert world.run("python", *words).stdout == b"1\n"
    assert world.run("python", "-V").stdout.startswith(b"Python 3.")


def test_pip_is_called_with_its_words(world: World) -> None:
    assert world.run("pip", "install", "a b").stdout == b"done\n"
    assert world.run("python", "-m", "pip", "list").code == 0
    assert world.installed == [["install", "a b"], ["list"]]
    failed = world.run("pip3", "install", "bad")
    assert failed == Ended(code=1, stderr=b"ERROR: bad: there is none\n")


def test_calls_are_what_the_shell_says() -> None:
    content = {"name": "tar", "args": ["a"], "cwd": "/x", "env": {"A": "b"}, "direct": False}
    assert call_of(content, b"in") == Call(
        name="tar", args=["a"], cwd="/x", env={"A": "b"}, stdin=b"in"
    )


# tar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d" / "deep").mkdir(parents=True)
    (tmp_path / "d" / "a.txt").write_text("a\n")
    (tmp_path / "d" / "deep" / "b.log").write_text("b\n")
    (tmp_path / "out").mkdir()
    return tmp_path


@pytest.mark.parametrize("how", ["", "z", "j", "J"])
def test_tar_packs_and_unpacks(world: World, folder: Path, how: str) -> None:
    cwd = str(folder)
    assert world.run("tar", f"c{how}f", "x.tar", "d", cwd=cwd) == Ended(code=0)
    listed = world.run("tar", "tf", "x.tar", cwd=cwd).stdout.decode().split()
    assert sorted(listed) == ["d/", "d/a.txt", "d/deep/", "d/deep/b.log"]
    assert world.run("tar", "-x", "-f", "x.tar", "-C", "out", cwd=cwd).code == 0
    assert (folder / "out" / "d" / "deep" / "b.log").read_text() == "b\n"


def test_tar_through_pipes(world: World, folder: Path) -> None:
    packed = world.run("tar", "czf", "-", "-C", "d", "--exclude", "*.log", ".", cwd=str(folder))
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        assert archive.getnames() == [".", "./a.txt", "./deep"]
    ended = world.run("tar", "xzO", "./a.txt", stdin=packed.stdout, cwd=str(folder))
    assert ended.stdout == b"a\n"


def test_tar_takes_folders_off(world: World, folder: Path) -> None:
    cwd = str(folder)
    world.run("tar", "cf", "x.tar", "d", cwd=cwd)
    ended = world.run("tar", "xvf", "x.tar", "--strip-components=1", "-C", "out", cwd=cwd)
    assert "d/a.txt\n" in ended.stdout.decode()
    assert (folder / "out" / "a.txt").read_text() == "a\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["xf", "none.tar"], "none.tar: Cannot open: No such file or directory"),
        (["cf", "x.tar"], "empty archive"),
        (["cf", "x.tar", "none"], "none: Cannot stat"),
        (["f", "x.tar"], "one of -c, -x and -t is needed"),
        (["xf", "d/a.txt"], "tar: "),
        (["cf"], "option f needs a value"),
        (["-c", "--what", "d"], "unknown option --what"),
        (["xf", "d"], "Is a directory"),
    ],
)
def test_tar_says_what_is_wrong(world: World, folder: Path, words: list[str], reason: str) -> None:
    ended = world.run("tar", *words, cwd=str(folder))
    assert ended.code == 2
    assert reason in ended.stderr.decode()


def test_tar_writes_nothing_outside(world: World, folder: Path) -> None:
    with tarfile.open(folder / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped"))
    assert world.run("tar", "xf", "../x.tar", cwd=str(folder / "out")).code == 2
    assert not (folder / "escaped").exists()
