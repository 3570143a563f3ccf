"""The settings of the kernel that are options of its own: their names and the forms of values."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.limits import (
    LEAST_MEMORY,
    LEAST_MESSAGE,
    LEAST_OPEN_FILES,
    MOST_MESSAGE,
    MOST_WORKERS,
)
from pyodide_kernel.mounts import FORM, parse_mount
from pyodide_kernel.network import FORM as NETWORK_FORM
from pyodide_kernel.network import PUBLIC, read_grant
from pyodide_kernel.policy import read_variable_name


def read_seconds(text: str) -> float:
    """A finite number of seconds, 0 or more. Raises ValueError."""
    seconds = float(text)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError
    return seconds


def read_duration(text: str) -> float:
    """A finite number of seconds above 0. Raises ValueError."""
    seconds = read_seconds(text)
    if seconds == 0:
        raise ValueError
    return seconds


_UNITS: Final = {
    **{"": 1, "b": 1},
    **{"k": 10**3, "m": 10**6, "g": 10**9},
    **{"kb": 10**3, "mb": 10**6, "gb": 10**9},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30},
}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", re.ASCII)


def read_size(text: str) -> int:
    """A number of bytes, such as `100MB`, `1.5 GB`, `64MiB` or `5000`. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError
    try:
        return int(float(match[1]) * _UNITS[match[2].lower()])
    except (KeyError, OverflowError):
        raise ValueError from None


def read_memory(text: str) -> int:
    """A number of bytes in which an interpreter can run. Raises ValueError."""
    size = read_size(text)
    if not LEAST_MEMORY <= size <= 2**60:
        raise ValueError
    return size


def read_message_size(text: str) -> int:
    """A number of bytes that the pipe takes. Raises ValueError."""
    size = read_size(text)
    if not LEAST_MESSAGE <= size <= MOST_MESSAGE:
        raise ValueError
    return size


def read_workers(text: str) -> int:
    """A number of workers. Raises ValueError."""
    if not (text.isascii() and text.isdecimal()) or (number := int(text[:10])) > MOST_WORKERS:
        raise ValueError
    return number


def read_open_files(text: str) -> int:
    """A number of files with which an interpreter can run. Raises ValueError."""
    if not text.isdecimal() or not LEAST_OPEN_FILES <= (number := int(text[:10])) <= 2**20:
        raise ValueError
    return number


def read_mount(text: str) -> str:
    """The text itself. Raises ValueError if it does not have the form of a mount."""
    parse_mount(text)
    return text


def read_folder(text: str) -> str:
    """An absolute path, `~` replaced. Raises ValueError."""
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ValueError
    return str(path)


def read_place(text: str) -> str:
    """The text itself. Raises ValueError if it names nothing of the network."""
    read_grant(text)
    return text


def read_switch(text: str) -> bool:
    """0 or 1. Raises ValueError."""
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A trait of the kernel that users set."""

    option: str
    trait: str
    metavar: str = ""
    read: Callable[[str], Any]
    """From the text of one value; raises ValueError."""
    form: str
    """The accepted form, for error messages."""
    help: str
    many: bool = False
    """Whether the trait is a list: of values with commas between them in the environment, and of
    those of all options on a command line."""
    commas: bool = False
    """Whether there may be commas between the values of one option too."""
    switch: bool = False
    """Whether the option has no value, but an opposite, which begins with `--no-`."""
    bare: str | None = None
    """What the option stands for without a value, if it may."""

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "PYODIDE_KERNEL_" + self.option.removeprefix("--").replace("-", "_").upper()

    def add_to(self, group: argparse._ArgumentGroup) -> None:
        """Add the option to a command line."""
        text = f"{self.help} [{self.variable}]"
        if self.switch:
            group.add_argument(
                self.option, dest=self.trait, help=text, action=argparse.BooleanOptionalAction
            )
        else:
            action = "append" if self.many else "store"
            group.add_argument(
                self.option,
                dest=self.trait,
                metavar=self.metavar,
                help=text,
                action=action,
                nargs=None if self.bare is None else "?",
                const=self.bare,
            )

    def from_variable(self, text: str) -> Any:
        """The value that the variable stands for. Raises ConfigurationError."""
        if not self.many:
            return self._value(text, self.variable)
        return [self._value(part.strip(), self.variable) for part in text.split(",")]

    def from_option(self, given: Any) -> Any:
        """The value that the options stand for. Raises ConfigurationError."""
        if self.switch:
            return given
        if not self.many:
            return self._value(given, self.option)
        parts = [part for text in given for part in (text.split(",") if self.commas else [text])]
        return [self._value(part, self.option) for part in parts]

    def arguments(self, given: Any) -> Sequence[str]:
        """The options again, as a command line has them."""
        if self.switch:
            return [self.option if given else self.option.replace("--", "--no-", 1)]
        return [f"{self.option}={text}" for text in (given if self.many else [given])]

    def _value(self, text: str, source: str) -> Any:
        try:
            return self.read(text)
        except ValueError:
            raise ConfigurationError(f"{source}: {text!r} is not {self.form}") from None


SETTINGS: Final = (
    Setting(
        option="--mount",
        trait="PyodideKernel.mount",
        metavar="PATH",
        read=read_mount,
        form=FORM,
        many=True,
        help=f"a folder or file that the code may change, or with :ro read; {FORM}; "
        "may be repeated",
    ),
    Setting(
        option="--cwd",
        trait="PyodideKernel.cwd",
        read=read_switch,
        form="0 or 1",
        switch=True,
        help="show the working directory to the code, for reading only (default: yes)",
    ),
    Setting(
        option="--allow-net",
        trait="PyodideKernel.allow_net",
        metavar="HOST[:PORT],...",
        read=read_place,
        form=NETWORK_FORM,
        help="places that the code may fetch from by http and https, public ones and those that "
        "are named; without a value, or *: all public ones (default: none)",
        many=True,
        commas=True,
        bare=PUBLIC,
    ),
    Setting(
        option="--allow-env",
        trait="PyodideKernel.allow_env",
        metavar="NAME,...",
        read=read_variable_name,
        form="a list of names of environment variables, such as LANG,TZ",
        many=True,
        commas=True,
        help="environment variables that the code gets (default: none)",
    ),
    Setting(
        option="--memory-limit",
        trait="PyodideKernel.memory_limit",
        metavar="SIZE",
        read=read_memory,
        form="a size of at least 128MB, such as 500MB or 4GB",
        help="memory that the code may use (default: 4GB)",
    ),
    Setting(
        option="--open-files",
        trait="PyodideKernel.open_files",
        metavar="NUMBER",
        read=read_open_files,
        form=f"a number from {LEAST_OPEN_FILES} to {2**20}",
        help="files that the interpreter may have open, its own included (default: 1024)",
    ),
    Setting(
        option="--workers",
        trait="PyodideKernel.workers",
        metavar="NUMBER",
        read=read_workers,
        form=f"a number from 0 to {MOST_WORKERS}",
        help="workers of JavaScript that the code may have at once (default: 4)",
    ),
    Setting(
        option="--write-limit",
        trait="PyodideKernel.write_limit",
        metavar="SIZE",
        read=read_size,
        form="a size, such as 100MB or 1GB",
        help="bytes that the code may write to mounts; 0: any (default: 0)",
    ),
    Setting(
        option="--cell-timeout",
        trait="PyodideKernel.cell_timeout",
        metavar="SECONDS",
        read=read_seconds,
        form="a number of seconds, such as 60 or 0.5",
        help="time after which a cell is interrupted; 0: never (default: 0)",
    ),
    Setting(
        option="--idle-timeout",
        trait="PyodideKernel.idle_timeout",
        metavar="SECONDS",
        read=read_seconds,
        form="a number of seconds, such as 3600",
        help="time without work after which the interpreter is ended, until the next cell; "
        "0: never (default: 0)",
    ),
    Setting(
        option="--interrupt-grace",
        trait="PyodideKernel.interrupt_grace",
        metavar="SECONDS",
        read=read_seconds,
        form="a number of seconds, such as 10 or 0.5",
        help="time from an interrupt until code that does not react loses its interpreter; "
        "0: never (default: 10)",
    ),
    Setting(
        option="--hang-timeout",
        trait="PyodideKernel.hang_timeout",
        metavar="SECONDS",
        read=read_duration,
        form="a number of seconds above 0, such as 15 or 0.5",
        help="time without a sign of life until the sandbox counts as hung (default: 15)",
    ),
    Setting(
        option="--output-limit",
        trait="PyodideKernel.output_limit",
        metavar="SIZE",
        read=read_size,
        form="a size, such as 100MB or 1GB",
        help="output that one cell may send; the rest is dropped (default: 100MB)",
    ),
    Setting(
        option="--message-limit",
        trait="PyodideKernel.message_limit",
        metavar="SIZE",
        read=read_message_size,
        form="a size from 1MB to 256MiB",
        help="size of one message, such as a displayed picture (default: 256MiB)",
    ),
    Setting(
        option="--safe-outputs",
        trait="PyodideKernel.safe_outputs",
        read=read_switch,
        form="0 or 1",
        switch=True,
        help="take out of outputs what acts: scripts, widgets, terminal sequences (default: no)",
    ),
    Setting(
        option="--cache-dir",
        trait="PyodideKernel.cache_dir",
        metavar="DIR",
        read=read_folder,
        form="the absolute path of a folder",
        help="where snapshots of the interpreter are kept, from which kernels start faster "
        "(default: the user's folder for cached files)",
    ),
)
