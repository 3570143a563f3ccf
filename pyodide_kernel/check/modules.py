"""Which modules there are in a kernel without installing anything."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from pyodide_kernel.errors import RuntimeDamagedError

INTERPRETER: Final = frozenset({"js", "pyodide", "pyodide_js", "_pyodide", "piplite"})
"""What exists in a kernel beside packages and the standard library."""

BUILT_IN: Final = frozenset(
    {
        *("array", "atexit", "binascii", "builtins", "cmath", "errno", "faulthandler", "fcntl"),
        *("gc", "itertools", "marshal", "math", "mmap", "posix", "pyexpat", "select", "sys"),
        *("termios", "time", "unicodedata", "xxsubtype", "zlib"),
    }
)
"""Modules of Pyodide's interpreter itself; private ones are left out."""

_OLD: Final = "is no longer in Python 3.14"
_UNIX: Final = "needs a Unix system"
_WINDOWS: Final = "needs Windows"
_WINDOW: Final = "needs windows on a screen"
_TERMINAL: Final = "needs a terminal"

GONE: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("tkinter", "turtle", "turtledemo", "idlelib"), (_WINDOW, "ipywidgets")),
    **dict.fromkeys(("curses", "readline"), (_TERMINAL, "ipywidgets or input()")),
    **dict.fromkeys(("pwd", "grp", "spwd", "crypt", "nis", "syslog"), (_UNIX, "")),
    **dict.fromkeys(("msvcrt", "winreg", "winsound", "msilib", "nt"), (_WINDOWS, "")),
    **dict.fromkeys(("aifc", "sunau", "chunk", "sndhdr"), (_OLD, "soundfile")),
    **dict.fromkeys(("asyncore", "asynchat", "smtpd"), (_OLD, "asyncio")),
    **dict.fromkeys(("cgi", "cgitb"), (_OLD, "email.message and urllib.parse")),
    **dict.fromkeys(("uu", "xdrlib", "mailcap", "nntplib", "ossaudiodev", "lib2to3"), (_OLD, "")),
    "resource": ("looks at a process, and WebAssembly has none", "%sandbox"),
    "dbm": ("is not built for WebAssembly", "sqlite3 or shelve's own dict"),
    "venv": ("makes environments for processes", "%pip install"),
    "ensurepip": ("installs pip, which is there already", "%pip install"),
    "distutils": (_OLD, "setuptools"),
    "imghdr": (_OLD, "PIL.Image"),
    "imp": (_OLD, "importlib"),
    "pipes": (_OLD, "shlex.quote"),
    "telnetlib": (_OLD, ""),
    "audioop": (_OLD, "the package audioop-lts"),
}
"""Modules of some Python's standard library that are not there: why, and what to use instead."""


@dataclass(frozen=True)
class Modules:
    """Modules of a runtime."""

    runtime: Path
    """The folder of the bundled runtime."""

    @cached_property
    def standard(self) -> frozenset[str]:
        """Top-level names of the standard library. Raises RuntimeDamagedError."""
        path = self.runtime / "python_stdlib.zip"
        try:
            with zipfile.ZipFile(path) as archive:
                return BUILT_IN | _tops(archive.namelist())
        except (OSError, zipfile.BadZipFile) as error:
            raise RuntimeDamagedError(f"{path} can't be read: {error}") from error

    @cached_property
    def bundled(self) -> frozenset[str]:
        """Top-level names of the packages that the kernel brings. Raises RuntimeDamagedError."""
        path = self.runtime / "site-packages.json"
        try:
            return _tops(json.loads(path.read_text("utf-8"))["files"])
        except (OSError, ValueError, KeyError) as error:
            raise RuntimeDamagedError(f"{path} can't be read: {error}") from error

    def has(self, module: str) -> bool:
        """Whether a top-level module is there."""
        return (
            module in INTERPRETER
            or module in self.standard
            or module in self.bundled
            or (module.startswith("_") and module not in GONE)  # parts of the standard library
        )


def _tops(files: object) -> frozenset[str]:
    assert isinstance(files, list | dict)
    tops = {str(file).partition("/")[0] for file in files}
    return frozenset(
        top.removesuffix(".pyc").removesuffix(".py") for top in tops if ".dist-info" not in top
    )
