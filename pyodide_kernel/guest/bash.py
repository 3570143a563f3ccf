"""The shell of `!command`, `%%bash` and their like, as far as Python has to do with it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TextIO

from pyodide_kernel.guest.host import Host
from pyodide_kernel.guest.pip_lines import PIP
from pyodide_kernel.guest.programs import Call, Capture, Ended, Programs

_FOLDERS: Final = "/usr/bin:/bin"
"""Where the commands are said to be, in PATH."""


_QUOTED: Final = re.compile(r"'[^']*'|\"[^\"]*\"")

_SHELLS_OWN: Final = re.compile(r"[|;&`\n]|\$\(|(?:^|\s)[0-9]?[<>]|<<|>>")
"""What makes more of a line than one command."""


class Bash:
    """Runs scripts of bash on the guest's files."""

    def __init__(self, host: Host, programs: Programs) -> None:
        self._host = host
        self._programs = programs

    def run(self, script: str, stdout: TextIO, stderr: TextIO, *, stdin: str = "") -> int:
        """Run a script and return its exit code.

        The streams get what it prints while it runs. Folder and environment are Python's; what the
        script changes of them ends with it. Raises KeyboardInterrupt.
        """
        __tracebackhide__ = True

        def write(name: str, text: str) -> None:
            (stdout if name == "stdout" else stderr).write(text)

        def program(call: Call) -> Ended:
            return self._programs.run(call, stdout, stderr)

        place = {"cwd": _folder(), "env": _environment(), "stdin": stdin}
        code, interrupted = self._host.run_sync(self._host.run_bash(script, place, write, program))
        if interrupted:
            raise KeyboardInterrupt
        return int(code)

    def output(self, script: str) -> tuple[str, int]:
        """Run a script; what it printed, to stdout and stderr in one, and its exit code."""
        __tracebackhide__ = True
        stream = Capture()
        code = self.run(script, stream, stream)
        return stream.text(), code


def pip_arguments(line: str) -> str | None:
    """The arguments of a line that does nothing but run pip; None for another."""
    match = PIP.fullmatch(line)
    if match is None:
        return None
    arguments = match[1] or ""
    return None if _SHELLS_OWN.search(_QUOTED.sub("", arguments)) else arguments


def script_of(arguments: Sequence[str], cell: str) -> str | None:
    """What bash does with a script on stdin under these arguments, as one script.

    None for arguments that more is to be said of.
    """
    words = list(arguments)
    flags = []
    while words and re.fullmatch(r"[-+][aefuvxC]+", words[0]):
        flags.append(words.pop(0))
    if words[:1] == ["-o"] and len(words) > 1:
        flags += words[:2]
        del words[:2]
    if words and words[0] != "-s":
        return None
    # On the first line of the cell, so that lines keep their numbers.
    head = f"set {shlex.join(flags)}; " if flags else ""
    if words:
        head += f"set -- {shlex.join(words[1:])}; "
    return head + cell


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # somebody removed it
        return "/"


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if "\0" not in value}
    path = environment.get("PATH", "")
    if "/usr/bin" not in path.split(":"):
        environment["PATH"] = f"{_FOLDERS}:{path}" if path.strip("/") else _FOLDERS
    environment["PWD"] = _folder()
    return environment
