"""What the policy has to know of this host."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import jupyter_core
from jupyter_core.paths import jupyter_config_path, jupyter_path, jupyter_runtime_dir

from pyodide_kernel.bridge.confinement import landlock_problem
from pyodide_kernel.folders import user_folder
from pyodide_kernel.mounts import Kind, Place
from pyodide_kernel.policy import Surroundings
from pyodide_kernel.runtime import runtime_dir


class HostDisk:
    """The host's file system. Implements `Disk`."""

    def real(self, path: str) -> Path:
        """The absolute path without links; `~` is the home folder. Raises OSError."""
        try:
            return Path(path).expanduser().resolve(strict=True)
        except RuntimeError as error:  # no home folder, or links in a circle (before Python 3.13)
            raise OSError(str(error)) from error

    def kind(self, path: Path) -> Kind:
        """What there is. Raises OSError."""
        mode = path.stat().st_mode
        return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"

    def readable(self, path: Path) -> bool:
        """Whether this user may read it and, of a folder, enter it."""
        return os.access(path, os.R_OK | (os.X_OK if path.is_dir() else 0))


def look_around(
    *,
    connection_file: Path | None = None,
    history: Path | None = None,
    cache: Path | None = None,
) -> Surroundings:
    """The surroundings of a kernel that is to start in this process."""
    return Surroundings(
        disk=HostDisk(),
        cwd=_cwd(),
        home=_home(),
        places=tuple(_places(connection_file, history, cache or user_folder("cache"))),
        environ=dict(os.environ),
        landlock_problem=landlock_problem(),
        is_root=hasattr(os, "geteuid") and os.geteuid() == 0,
    )


def _cwd() -> Path | None:
    try:
        return Path.cwd().resolve()
    except OSError:  # deleted
        return None


def _home() -> Path | None:
    with contextlib.suppress(RuntimeError):
        home = Path.home()
        return home.resolve() if home.is_absolute() else None
    return None


def _places(connection_file: Path | None, history: Path | None, cache: Path) -> Iterator[Place]:
    """Where writing would change what runs on the host, or reading would show secrets."""

    def place(name: str, path: str | Path, *, secret: bool = False) -> Place:
        return Place(name=name, path=Path(path).resolve(), secret=secret)

    yield place("Jupyter's runtime folder", jupyter_runtime_dir(), secret=True)
    if connection_file is not None:
        yield place("the kernel's connection file", connection_file, secret=True)
    if history is not None and history.is_absolute():
        yield place("the history of your cells", history, secret=True)
    yield place("the kernel's runtime", runtime_dir())
    yield place("the kernel's code", Path(__file__).parent)
    if cache.is_absolute():
        yield place("the kernel's cache", cache)
    for folder in jupyter_path("kernels"):
        yield place("a folder of Jupyter's kernels", folder)
    for folder in jupyter_config_path():
        yield place("Jupyter's configuration", folder)
    yield place("the Python library of this kernel", Path(os.__file__).parent)
    yield place("the packages of this kernel", Path(jupyter_core.__file__).parents[1])
    if sys.executable:
        yield place("the Python of this kernel", sys.executable)
        yield place("the programs of this kernel's Python", Path(sys.executable).parent)
    if deno := shutil.which("deno"):  # the package's is among the programs
        yield place("Deno", deno)
