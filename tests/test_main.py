"""The command line as users start it, without an interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import pyodide_kernel
from pyodide_kernel.settings import SETTINGS

TIMEOUT_S = 30


def command(
    *arguments: str, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyodide_kernel", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env={**os.environ, **(environ or {})},
    )


def test_version_is_printed_without_importing_anything_heavy() -> None:
    code = (
        "import sys; from pyodide_kernel.__main__ import main\n"
        "main(['--version'])\n"
        "heavy = {'zmq', 'ipykernel', 'IPython', 'jupyter_client', 'traitlets', 'asyncio'}\n"
        "heavy.add('argparse')\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
    )
    assert done.stdout == f"pyodide-kernel {pyodide_kernel.__version__}\n"


def test_help_lists_commands_and_settings() -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in ("install", "doctor", *(setting.option for setting in SETTINGS)):
        assert name in done.stdout


@pytest.mark.parametrize("name", ["install", "doctor"])
def test_every_command_has_its_own_help(name: str) -> None:
    done = command(name, "--help")
    assert done.returncode == 0
    assert f"pyodide-kernel {name}" in done.stdout


def _connection_files(tmp_path: Path) -> dict[str, Path]:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"shell_port": "x"}')
    return {"broken": broken, "wrong": wrong, "folder": tmp_path, "nowhere": Path("/dev/null/x")}


@pytest.mark.parametrize("kind", ["broken", "wrong", "folder", "nowhere"])
def test_a_bad_connection_file_costs_one_line_and_exit_code_2(tmp_path: Path, kind: str) -> None:
    path = _connection_files(tmp_path)[kind]
    done = command("-f", str(path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert str(path) in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--no-such-option", "-f", "x"], "--no-such-option"),
        ([], "-f FILE"),
        (["-f", "{file}", "--NoSuch.trait=1"], "NoSuch.trait"),
        (["-f", "{file}", "--PyodideKernel.no_such=1"], "no_such"),
        (["-f", "{file}", "--PyodideKernel.interrupt_grace=x"], "interrupt_grace"),
        (["-f", "{file}", "--PyodideKernel.interrupt_grace=-1"], "interrupt_grace"),
        (["-f", "{file}", "--PyodideKernelApp.transport=udp"], "transport"),
        (["-f", "{file}", "--log-level", "LOUD"], "--log-level"),
        (["-f", "{file}", "--config", "/no/such/file.py"], "/no/such/file.py"),
    ],
)
def test_bad_options_cost_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], named: str
) -> None:
    file = str(tmp_path / "kernel.json")
    done = command(*(argument.replace("{file}", file) for argument in arguments))
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr


def test_a_failing_configuration_file_costs_one_line_and_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "settings.py"
    config.write_text("1/0")
    done = command("-f", str(tmp_path / "k.json"), "--config", str(config))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "settings" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_a_bad_variable_costs_one_line_and_exit_code_2(tmp_path: Path) -> None:
    environ = {"PYODIDE_KERNEL_INTERRUPT_GRACE": "soon"}
    done = command("-f", str(tmp_path / "k.json"), environ=environ)
    assert done.returncode == 2
    assert "PYODIDE_KERNEL_INTERRUPT_GRACE" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def homeless(tmp_path: Path) -> Mapping[str, str]:
    """Variables for a user without HOME, whom the system does not know."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, pwd\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"
        "for name in list(os.environ):\n"
        "    if name.startswith(('JUPYTER', 'XDG_', 'HOME')): del os.environ[name]\n"
    )
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}


@pytest.mark.skipif(sys.platform == "win32", reason="homes are found in other ways there")
@pytest.mark.parametrize(
    "arguments", [["doctor"], ["install", "--user"], ["-f", "/tmp/kernel-none.json"]]
)
def test_without_a_home_one_line_names_it_and_the_remedy(
    homeless: Mapping[str, str], arguments: list[str]
) -> None:
    done = command(*arguments, environ=homeless)
    assert done.returncode == 2
    told = done.stderr.splitlines()[-1]
    assert "no home folder" in told
    assert "set HOME to a folder" in told
    assert "Traceback" not in done.stdout + done.stderr
