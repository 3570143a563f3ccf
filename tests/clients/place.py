"""Where a client runs: folders of its own, and a look at what it leaves behind."""

# mypy: disallow-untyped-calls=False
# nbformat's functions have no annotations.

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import nbformat
import psutil

import pyodide_kernel

ROOT: Final = Path(__file__).resolve().parents[2]
KERNEL_NAME: Final = "pyodide"
MARK: Final = "PYODIDE_KERNEL_TESTS_PLACE"
"""Environment variable that all processes of a test inherit, except Deno."""

TIMEOUT_S: Final = 60.0
"""For what takes some seconds; a loaded machine is no failure."""

END_TIMEOUT_S: Final = 10.0
"""A process whose client has gone may take a moment to end."""

_FOREIGN: Final = ("JUPYTER", "IPYTHON", "XDG_", "PYODIDE_KERNEL_", "PYTEST_", "PAPERMILL", "JPY_")
"""How variables begin that would lead out of the place, or back into the tests."""

_CACHE: Final = "PYODIDE_KERNEL_CACHE_DIR"
"""Shared by all tests: with a cache of its own, each kernel would make a snapshot."""


def kernelspec_folder() -> Path:
    """The kernelspec as installed; of the checkout if the package is installed editable."""
    if Path(pyodide_kernel.__file__).is_relative_to(ROOT / "pyodide_kernel"):
        return ROOT / "kernelspec"
    return Path(sys.prefix, "share/jupyter/kernels", KERNEL_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A working folder and an environment in which Jupyter knows one kernel, this one."""

    work: Path
    temporary: Path
    """Temporary folder of all processes. Its path is short, since sockets lie in it."""
    runtime: Path
    """Where Jupyter keeps connection files."""
    environ: Mapping[str, str]

    def run(self, *command: str, timeout_s: float = TIMEOUT_S) -> subprocess.CompletedProcess[str]:
        """Run a client in the working folder to its end; a failure is a result too."""
        return subprocess.run(
            command,
            cwd=self.work,
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=timeout_s,
            check=False,
        )

    def without(self, *names: str, **values: str) -> Place:
        """The same place in an environment that lacks variables, or has others."""
        kept = {name: value for name, value in self.environ.items() if name not in names}
        return replace(self, environ=kept | values)

    def write_notebook(
        self, name: str, *sources: str, tags: Mapping[int, list[str]] | None = None
    ) -> Path:
        """A notebook for the kernel with these code cells, in the working folder.

        `tags` are those of cells, by their numbers.
        """
        path = self.work / name
        made = notebook(*sources)
        for number, texts in (tags or {}).items():
            made.cells[number].metadata["tags"] = texts
        nbformat.write(made, path)
        return path

    def read_notebook(self, name: str) -> nbformat.NotebookNode:
        """A notebook in the working folder."""
        read: nbformat.NotebookNode = nbformat.read(self.work / name, as_version=4)
        return read

    def processes(self) -> list[psutil.Process]:
        """All processes that belong here, without this one."""
        others = (process for process in psutil.process_iter() if process.pid != os.getpid())
        return [process for process in others if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.Error):
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            # Deno gets an empty environment, but its arguments name the socket.
            if any(str(self.temporary) in argument for argument in process.cmdline()):
                return True
            return bool(process.environ().get(MARK) == str(self.temporary))
        return False

    def leftovers(self) -> list[str]:
        """What is there that should be gone: processes, and files of the kernel."""
        _, alive = psutil.wait_procs(self.processes(), timeout=END_TIMEOUT_S)
        found = [f"process {process.pid}: {_command(process)}" for process in alive]
        found += [str(path) for path in self.temporary.glob("pyodide-*")]
        found += [str(path) for path in self.runtime.glob("kernel-*")]
        return found

    def kill_all(self) -> None:
        """End what is left, for the sake of the tests that follow."""
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:300]
    except psutil.Error:
        return "?"


@contextlib.contextmanager
def new_place(folder: Path, temporary: Path) -> Iterator[Place]:
    """Folders for one test below `folder`, except the temporary one."""
    work, runtime = folder / "work", folder / "runtime"
    shutil.copytree(kernelspec_folder(), folder / "jupyter" / "kernels" / KERNEL_NAME)
    for path in (work, runtime, folder / "home"):
        path.mkdir()
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == _CACHE or not name.startswith(_FOREIGN)
    }
    environ = kept | {
        MARK: str(temporary),
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
        "HOME": str(folder / "home"),
        "TMPDIR": str(temporary),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_PATH": str(folder / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    place = Place(work=work, temporary=temporary, runtime=runtime, environ=environ)
    try:
        yield place
    finally:
        place.kill_all()


def without_colours(text: str) -> str:
    """Text as a reader sees it, without ANSI's colour sequences."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def notebook(*sources: str) -> nbformat.NotebookNode:
    """A notebook for the kernel with these code cells."""
    made: nbformat.NotebookNode = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={
            "kernelspec": {
                "name": KERNEL_NAME,
                "display_name": "Python (Pyodide)",
                "language": "python",
            }
        },
    )
    return made
