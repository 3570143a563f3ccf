"""The shell of the sandbox in a real kernel, beside the host's own bash."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_kernel import RealKernel, real_kernel
from shell_scripts import ALIKE, BY_HEART, DIFFERENT, FILES

pytestmark = pytest.mark.deno

SECRET = "PYODIDE_KERNEL_TEST_SECRET"

RUN_ALL = """
import json, os, pathlib, shutil
from pyodide_kernel.guest.programs import Capture

def run_all():
    job = json.loads(pathlib.Path("/mnt/rw/job.json").read_text())
    results = {}
    for number, (name, script) in enumerate(job["scripts"].items()):
        folder = pathlib.Path(f"/tmp/script{number}")
        for file, text in job["files"].items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        os.chdir(folder)
        out, err = Capture(), Capture()
        code = get_ipython().bash.run(script, out, err)
        results[name] = [out.text(), code, err.text()]
        os.chdir("/home/pyodide")
        shutil.rmtree(folder)
    pathlib.Path("/mnt/rw/results.json").write_text(json.dumps(results))

run_all()
"""


@dataclass
class Shell:
    """A kernel with two mounts."""

    kernel: RealKernel
    read_only: Path
    writable: Path

    def run(self, code: str) -> Any:
        """Run a cell that must not fail."""
        cell = self.kernel.run(code)
        assert cell.status == "ok", cell.reply
        return cell

    @property
    def exit_code(self) -> int:
        return int(self.run("_exit_code").result)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    folder = tmp_path_factory.mktemp("shell")
    read_only, writable = folder / "read-only", folder / "writable"
    read_only.mkdir()
    writable.mkdir()
    (read_only / "kept.txt").write_text("kept\n")
    # A busy machine may need long to come to the end of a command.
    options = (
        *("--no-cwd", "--interrupt-grace=60", "--mount", f"{read_only}=/mnt/ro:ro"),
        *("--mount", f"{writable}=/mnt/rw:rw"),
    )
    with real_kernel(folder, *options, env={SECRET: "secret"}) as kernel:
        yield Shell(kernel, read_only, writable)


@pytest.fixture(scope="module")
def results(shell: Shell) -> dict[str, tuple[str, int, str]]:
    """Stdout, exit code and stderr of all scripts."""
    others = {name: script for name, (script, *_) in {**DIFFERENT, **BY_HEART}.items()}
    scripts = {**ALIKE, **others}
    job = {"scripts": scripts, "files": FILES}
    (shell.writable / "job.json").write_text(json.dumps(job))
    shell.run(RUN_ALL)
    found = json.loads((shell.writable / "results.json").read_text())
    return {name: tuple(result) for name, result in found.items()}


def on_host(script: str) -> tuple[str, int]:
    """Stdout and exit code of the host's bash."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("the host has no bash")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in FILES.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        done = subprocess.run(
            [bash, "-c", script],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": folder, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    return done.stdout.decode("utf-8", "replace"), done.returncode


@pytest.mark.parametrize("name", ALIKE)
def test_a_script_does_what_it_does_on_the_host(
    results: dict[str, tuple[str, int, str]], name: str
) -> None:
    assert results[name][:2] == on_host(ALIKE[name]), results[name][2]


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_difference_is_what_is_said_of_it(
    results: dict[str, tuple[str, int, str]], name: str
) -> None:
    script, expected, _reason = DIFFERENT[name]
    assert results[name][:2] == expected
    assert on_host(script) != expected


@pytest.mark.parametrize("name", BY_HEART)
def test_a_program_does_what_is_known_of_it(
    results: dict[str, tuple[str, int, str]], name: str
) -> None:
    assert results[name][:2] == (BY_HEART[name][1], 0), results[name][2]


# Lines of cells


def test_a_line_prints_and_leaves_its_exit_code(shell: Shell) -> None:
    cell = shell.run("!echo out; echo err >&2; exit 3")
    assert (cell.text(), cell.text("stderr")) == ("out\n", "err\n")
    assert shell.exit_code == 3


def test_output_comes_while_a_command_runs(shell: Shell) -> None:
    msg_id = shell.kernel.start("!echo started; sleep 600; echo never")
    shell.kernel.wait_for_output(msg_id, "started")
    shell.kernel.manager.interrupt_kernel()
    assert shell.kernel.finish(msg_id).ename == "KeyboardInterrupt"


def test_a_line_can_be_assigned(shell: Shell) -> None:
    assert shell.run("x = !seq 3; ls none\nx[:3], 'cannot access' in x[3]").result == (
        "(['1', '2', '3'], True)"
    )
    assert shell.exit_code == 2
    assert shell.run("!!echo a").result == "['a']"
    assert shell.run("%sx echo a").result == "['a']"


def test_a_cell_that_awaits_has_a_shell_too(shell: Shell) -> None:
    cell = shell.run("import asyncio\nawait asyncio.sleep(0)\n!echo a; python -c 'print(1)' | cat")
    assert cell.text() == "a\n1\n"


def test_other_tasks_go_on_meanwhile(shell: Shell) -> None:
    code = (
        "import asyncio\nticks = []\n"
        "async def tick():\n"
        "    while True:\n"
        "        ticks.append(1)\n"
        "        await asyncio.sleep(0.01)\n"
        "task = asyncio.create_task(tick())\n"
        "await asyncio.sleep(0)\n"
        "!sleep 0.5; for i in 1 2 3; do echo $i; done\n"
        "task.cancel()\nlen(ticks) > 2"
    )
    assert shell.run(code).result == "True"


def test_a_large_file_goes_through(shell: Shell) -> None:
    shell.run("open('/tmp/large', 'wb').write((b'x' * 79 + b'\\n') * 250_000)")
    cell = shell.run("!wc -l < /tmp/large; cp /tmp/large /tmp/c; gzip -c /tmp/c | gunzip | md5sum")
    digest = hashlib.md5((b"x" * 79 + b"\n") * 250_000).hexdigest()
    assert cell.text().split() == ["250000", digest, "-"]
    shell.run("!rm /tmp/large /tmp/c")


def test_python_variables_are_put_in(shell: Shell) -> None:
    cell = shell.run("word, number = 'a b', 20\n!echo $word {number + 1} $$HOME")
    assert cell.text() == "a b 21 /home/pyodide\n"


def test_a_change_of_folder_ends_with_its_line(shell: Shell) -> None:
    assert shell.run("%cd -q /tmp\n!cd /mnt; pwd\n!pwd\n%cd -q").text() == "/mnt\n/tmp\n"


def test_aliases_are_commands(shell: Shell) -> None:
    cell = shell.run("%cd -q /tmp\n%mkdir made\n%cp /mnt/ro/kept.txt made/a\n%ls made\n%cat made/a")
    assert cell.text() == "a\nkept\n"
    assert shell.run("%mv made/a made/b\n%ls made\n%rm -r made\n!ls -d made").text() == "b\n"
    assert "-rw-r--r-- 1 pyodide pyodide 5 " in shell.run("%ll /mnt/ro").text()
    shell.run("%cd -q")


def test_cells_are_scripts(shell: Shell) -> None:
    cell = shell.run("%%bash\nf() {\n  echo $1\n}\nf a\ncat <<E\n  indented\nE")
    assert cell.text() == "a\n  indented\n"
    assert shell.run("%%sh -s x y\necho $2 $#").text() == "y 2\n"
    assert shell.run("%%python\nimport sys\nprint(sys.argv, __name__)").text() == "[''] __main__\n"
    assert shell.run("%%script sort -r\na\nb").text() == "b\na\n"


def test_a_cell_that_fails_says_so(shell: Shell) -> None:
    cell = shell.kernel.run("%%bash -e\necho a\nfalse\necho b")
    assert (cell.ename, cell.text()) == ("CalledProcessError", "a\n")
    cell = shell.run("%%bash --no-raise-error --out o --err e\necho a; echo b >&2; exit 2")
    assert (cell.text(), cell.text("stderr")) == ("", "")
    assert shell.run("(o, e)").result == r"('a\n', 'b\n')"


def test_a_command_that_does_not_exist_is_told_with_those_that_do(shell: Shell) -> None:
    said = shell.run("!git status").text("stderr")
    assert said.startswith("bash: git: command not found\ngit: no program of the host can be run")
    assert " awk base64 " in said
    assert shell.exit_code == 127
    assert "the shell has no network" in shell.run("!curl http://localhost").text("stderr")


def test_a_syntax_error_is_told(shell: Shell) -> None:
    assert "syntax error" in shell.run("!if then").text("stderr")
    assert shell.exit_code == 2


def test_nothing_runs_in_the_background(shell: Shell) -> None:
    assert shell.kernel.run("!sleep 1 &").ename == "OSError"


# Programs in Python


def test_a_program_has_a_main_of_its_own(shell: Shell) -> None:
    shell.run("kept = 1\nimport sys\nbefore = sys.argv, sys.path[:], sys.modules['__main__']")
    cell = shell.run(
        "!python -c 'kept = 2; import sys; sys.argv = sys.path = None; print(__name__)'"
    )
    assert cell.text() == "__main__\n"
    after = "(kept, before == (sys.argv, sys.path, sys.modules['__main__']))"
    assert shell.run(after).result == "(1, True)"


def test_output_of_a_program_comes_while_it_runs(shell: Shell) -> None:
    code = 'import time; print("started", flush=True); time.sleep(600)'
    cell = shell.kernel.run_interrupted(f"!python -c '{code}'; echo never")
    assert cell.ename == "KeyboardInterrupt"
    assert "never" not in cell.text()


def test_a_program_reads_its_modules_anew(shell: Shell) -> None:
    script = "echo 'x = {0}' > /tmp/mine.py; cd /tmp; python -c 'import mine; print(mine.x)'"
    assert [shell.run("!" + script.format(x)).text() for x in (1, 2)] == ["1\n", "2\n"]
    assert shell.run("import sys\n'mine' in sys.modules").result == "False"


def test_a_program_awaits(shell: Shell) -> None:
    code = "import asyncio; asyncio.run(asyncio.sleep(0.01)); print(5)"
    assert shell.run(f"!python -c '{code}' | tr 5 6").text() == "6\n"


def test_a_program_fails_with_a_traceback(shell: Shell) -> None:
    cell = shell.run("!printf 'def f():\\n  1/0\\nf()\\n' > /tmp/e.py\n!python /tmp/e.py")
    places = [line for line in cell.text("stderr").splitlines() if line.startswith("  File")]
    assert places == [
        '  File "/tmp/e.py", line 3, in <module>',
        '  File "/tmp/e.py", line 2, in f',
    ]
    assert "pyodide_kernel" not in cell.text("stderr")
    assert shell.exit_code == 1


def test_a_program_asks_the_front_end(shell: Shell) -> None:
    kernel = shell.kernel
    msg_id = kernel.start("!python -c 'print(input(\"name? \") * 2)'", allow_stdin=True)
    assert kernel.client.get_stdin_msg(timeout=60)["content"]["prompt"] == "name? "
    kernel.client.input("ada")
    assert kernel.finish(msg_id).text() == "adaada\n"


def test_pip_is_the_guests(shell: Shell) -> None:
    assert "ipython" in shell.run("!pip list | grep -i '^ipython '").text()
    assert "Name: ipython" in shell.run("!python -m pip show ipython").text()
    assert "is not installed" in shell.run("!pip show none 2>&1 | cat").text()


# Interrupts

ENDLESS = {
    "a loop": "while true; do :; done",
    "a loop of commands": "while true; do echo x > /dev/null; done",
    "a loop in a pipe": "while true; do echo x; sleep 0.01; done | cat",
    "a sleep": "sleep 600",
    "a sleep in a function": "f() { sleep 600; }; f",
    "arithmetic": "for ((;;)); do ((i++)); done",
    "a program": "python -c 'while True: pass'",
    "a program in a pipe": "echo x | python -c 'import time; time.sleep(600)' | cat",
    "a program that awaits": "python -c 'import asyncio; asyncio.run(asyncio.sleep(600))'",
    "a loop of programs": "while true; do python -c 'pass'; done",
    "a condition": "until false; do true; done",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_an_interrupt_ends_a_command(shell: Shell, name: str) -> None:
    shell.run("kept = 41")
    cell = shell.kernel.run_interrupted(f"%%bash\necho started\n{ENDLESS[name]}")
    assert (cell.status, cell.ename) == ("error", "KeyboardInterrupt")
    assert shell.run("kept + 1").result == "42"
    assert shell.run("!echo on").text() == "on\n"


def test_an_interrupted_line_has_an_exit_code(shell: Shell) -> None:
    cell = shell.kernel.run_interrupted("!echo started; sleep 600")
    assert cell.ename == "KeyboardInterrupt"
    assert shell.exit_code == 130


# The fence


def test_what_is_written_to_a_mount_is_on_the_host(shell: Shell) -> None:
    shell.run("!echo a > /mnt/rw/f; mkdir /mnt/rw/d; cp /mnt/ro/kept.txt /mnt/rw/d; rm /mnt/rw/f")
    assert (shell.writable / "d" / "kept.txt").read_text() == "kept\n"
    assert not (shell.writable / "f").exists()
    (shell.writable / "from-host").write_text("text\n")
    assert shell.run("!cat /mnt/rw/from-host").text() == "text\n"


@pytest.mark.parametrize(
    "command",
    [
        *("echo a > /mnt/ro/new", "echo a >> /mnt/ro/kept.txt", "touch /mnt/ro/new"),
        *("rm /mnt/ro/kept.txt", "mv /mnt/ro/kept.txt /tmp", "mkdir /mnt/ro/new"),
        *("cp /mnt/ro/kept.txt /mnt/ro/new", "chmod 777 /mnt/ro/kept.txt", "ln -s a /mnt/ro/new"),
        "sed -i s/kept/gone/ /mnt/ro/kept.txt",
    ],
)
def test_a_read_only_mount_stays_as_it_is(shell: Shell, command: str) -> None:
    said = shell.run(f"!{command}").text("stderr")
    assert "Read-only file system" in said
    assert shell.exit_code != 0
    assert [path.name for path in shell.read_only.iterdir()] == ["kept.txt"]
    assert (shell.read_only / "kept.txt").read_text() == "kept\n"


def test_nothing_of_the_host_is_seen(shell: Shell) -> None:
    cell = shell.run("!env; set; cat /etc/passwd; ls /; ls ~; ls /mnt; find / -name kept.txt; id")
    said = cell.text() + cell.text("stderr")
    assert SECRET not in said
    assert "cat: /etc/passwd: No such file or directory" in said
    assert str(shell.writable) not in said
    assert os.environ["PATH"] not in said


def test_the_environment_is_pythons(shell: Shell) -> None:
    shell.run("import os\nos.environ['SHOWN'] = 'a b'")
    assert shell.run("!echo $SHOWN; SHOWN=c; export SHOWN").text() == "a b\n"
    assert shell.run("os.environ.pop('SHOWN')").result == "'a b'"
    assert shell.run("!printenv SHOWN || echo none").text() == "none\n"
