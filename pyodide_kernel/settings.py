"""The settings of the kernel that are options of its own: their names and the forms of values."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.limits import LEAST_OPEN_FILES, MOST_WORKERS
from pyodide_kernel.mounts import FORM
from pyodide_kernel.network import FORM as NETWORK_FORM
from pyodide_kernel.network import PUBLIC
from pyodide_kernel.policy import read_variable_name
from pyodide_kernel.values import (
    read_duration,
    read_folder,
    read_index,
    read_memory,
    read_message_size,
    read_mount,
    read_name,
    read_open_files,
    read_path,
    read_place,
    read_seconds,
    read_size,
    read_switch,
    read_workers,
)


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
        help="where packages and snapshots of the interpreter are kept, for all kernels "
        "(default: the user's folder for cached files)",
    ),
    Setting(
        option="--package-url",
        trait="PyodideKernel.package_url",
        metavar="DIR_OR_URL",
        read=read_path,
        form="a folder or URL",
        help="folder or URL that has a pyodide-lock.json and its packages "
        "(default: that of Pyodide)",
    ),
    Setting(
        option="--index-url",
        trait="PyodideKernel.index_url",
        metavar="URL",
        read=read_index,
        form="an http or https URL",
        many=True,
        help="package index for %%pip; may be repeated (default: those of pip, else of micropip)",
    ),
    Setting(
        option="--find-links",
        trait="PyodideKernel.find_links",
        metavar="DIR",
        read=read_path,
        form="a folder",
        many=True,
        help="folder with wheels for %%pip; may be repeated",
    ),
    Setting(
        option="--lite-site",
        trait="PyodideKernel.lite_site",
        metavar="DIR",
        read=read_path,
        form="a folder",
        help="folder of a built JupyterLite site, whose packages are those of the kernel",
    ),
    Setting(
        option="--lock",
        trait="PyodideKernel.lock",
        metavar="FILE",
        read=read_path,
        form="a file",
        help="lock file of pyodide-kernel lock: imports load what it names and nothing else",
    ),
    Setting(
        option="--constraints",
        trait="PyodideKernel.constraints",
        metavar="FILE",
        read=read_path,
        form="a file",
        many=True,
        help="file with the versions that are allowed, in pip's form; may be repeated",
    ),
    Setting(
        option="--offline",
        trait="PyodideKernel.offline",
        read=read_switch,
        form="0 or 1",
        switch=True,
        help="download nothing: only what is cached or in folders can be had (default: no)",
    ),
    Setting(
        option="--preload",
        trait="PyodideKernel.preload",
        metavar="NAME,...",
        read=read_name,
        form="a list of names of modules, such as numpy,pandas",
        many=True,
        commas=True,
        help="modules that are imported before the first cell (default: none)",
    ),
    Setting(
        option="--cache-limit",
        trait="PyodideKernel.cache_limit",
        metavar="SIZE",
        read=read_size,
        form="a size, such as 500MB or 5GB",
        help="size from which the packages used longest ago are removed (default: 5GB)",
    ),
)
