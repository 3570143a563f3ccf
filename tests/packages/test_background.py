"""The process that makes bytecode ends when nobody needs it any more."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pyodide_kernel.packages import background
from pyodide_kernel.packages.background import Background

TIMEOUT_S = 60.0

ENDLESS = """
import os, sys, threading
from pathlib import Path
from pyodide_kernel.packages.maker import end_with_stdin

end_with_stdin()
Path(sys.argv[1], "pid").write_text(str(os.getpid()))  # a named pipe
threading.Event().wait()
"""

OWNER = """
import logging, sys, threading
from pathlib import Path
from pyodide_kernel.packages import background

background.MAKER = "endless"
made = background.Background(Path(sys.argv[1]), log=logging.getLogger())
made.start()
threading.Event().wait()
"""


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], psutil.Process]:
    """Waits for a process that would work forever, in the place of the real one."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    os.mkfifo(tmp_path / "pid")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    monkeypatch.setattr(background, "MAKER", "endless")
    return lambda: psutil.Process(int((tmp_path / "pid").read_text()))


def has_ended(process: psutil.Process) -> bool:
    gone, _ = psutil.wait_procs([process], timeout=TIMEOUT_S)
    return process in gone


def test_it_ends_when_it_is_closed(tmp_path: Path, begun: Callable[[], psutil.Process]) -> None:
    made = Background(tmp_path, log=logging.getLogger())
    made.start()
    process = begun()
    made.start()  # there is one at work
    assert psutil.Process().children() == [process]
    made.close()
    assert has_ended(process)
    made.start()  # closed for good
    assert psutil.Process().children() == []


def test_it_ends_with_its_kernel_however_that_ends(
    tmp_path: Path, begun: Callable[[], psutil.Process]
) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)])
    process = begun()
    owner.kill()
    owner.wait()
    assert has_ended(process)
