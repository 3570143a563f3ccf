from __future__ import annotations

import random
import sys
import tempfile
import uuid
from pathlib import Path

import pytest
from guest.guest import Guest


def test_new_session_has_its_own_random_numbers_and_names(guest: Guest) -> None:
    drawn, names = [], []
    for _ in range(2):
        random.seed(1)  # what a snapshot repeats
        tempfile._get_candidate_names().rng.seed(1)  # type: ignore[attr-defined]  # private
        guest.kernel.begin_session()
        drawn.append(random.random())
        names.append(next(tempfile._get_candidate_names()))  # type: ignore[attr-defined]
    assert drawn[0] != drawn[1]
    assert names[0] != names[1]
    assert uuid._node is None  # type: ignore[attr-defined]


def test_new_session_reseeds_numpy_if_it_is_there(guest: Guest) -> None:
    numpy = pytest.importorskip("numpy")
    drawn = []
    for _ in range(2):
        numpy.random.seed(1)
        guest.kernel.begin_session()
        drawn.append(numpy.random.random())
    assert drawn[0] != drawn[1]


def test_new_session_knows_its_folder_and_home(
    guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    guest.kernel.begin_session()
    assert guest.run("_dh").result == repr([tmp_path])
    assert guest.shell.home_dir == str(tmp_path)


def test_forgotten_cells_leave_nothing(guest: Guest) -> None:
    guest.run("kept = 1\nkept")
    with guest.streams():
        guest.kernel.forget()
    outcome = guest.run("{'kept', '_1'} & set(dir()), len(In), Out, _i, _")
    assert outcome.reply["execution_count"] == 1
    assert outcome.result == "(set(), 2, {}, '', '')"


def test_streams_of_the_interpreter_are_the_guests(guest: Guest) -> None:
    outcome = guest.run("import sys\ntype(sys.stdout).__name__, sys.stdout.name, sys.stderr.name")
    assert outcome.result == "('OutStream', 'stdout', 'stderr')"


def test_guest_imports_nothing_of_the_host() -> None:
    """The import rules, seen from a fresh interpreter."""
    import subprocess

    code = (
        "import sys, pyodide_kernel.guest.kernel\n"
        "bad = {'zmq', 'ipykernel', 'jupyter_client', 'tornado', 'js', 'pyodide'}\n"
        "print(sorted(bad & set(sys.modules)))\n"
        "print([m for m in sys.modules if m.startswith('pyodide_kernel')\n"
        "       and not m.startswith(('pyodide_kernel.guest', 'pyodide_kernel.bridge'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['pyodide_kernel']"]
