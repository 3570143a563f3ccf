"""Settings of the kernel on the command line, in the environment and in the kernelspec."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from pyodide_kernel import __version__
from pyodide_kernel.errors import ConfigurationError

BAKED: Final = "--baked"
"""Ends the options that `install` wrote into the kernelspec; the environment overrides those."""

Assignment = tuple[str, Any]
"""`Class.trait` and a value, which is text if it is still to be parsed by the trait."""


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
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*")


def read_size(text: str) -> int:
    """A number of bytes, such as `100MB`, `1.5 GB`, `64MiB` or `5000`. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError
    try:
        return int(float(match[1]) * _UNITS[match[2].lower()])
    except KeyError:
        raise ValueError from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A trait of the kernel that users set."""

    option: str
    trait: str
    metavar: str
    read: Callable[[str], Any]
    form: str
    """The accepted form, for error messages."""
    help: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return "PYODIDE_KERNEL_" + self.option.removeprefix("--").replace("-", "_").upper()

    def value(self, text: str, *, source: str) -> Any:
        """Parse; raises ConfigurationError that names the source."""
        try:
            return self.read(text)
        except ValueError:
            raise ConfigurationError(f"{source}: {text!r} is not {self.form}") from None


SETTINGS: Final = (
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
)


def from_environment(environ: Mapping[str, str]) -> list[Assignment]:
    """What the variables say; an empty one counts as unset. Raises ConfigurationError."""
    return [
        (setting.trait, setting.value(environ[setting.variable], source=setting.variable))
        for setting in SETTINGS
        if environ.get(setting.variable)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelOptions:
    """How to run one kernel; settings in the order of rising precedence."""

    connection_file: str | None = None
    config_file: str | None = None
    log_level: str | None = None
    baked: Sequence[Assignment] = ()
    environment: Sequence[Assignment] = ()
    command_line: Sequence[Assignment] = ()


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose errors are ConfigurationErrors instead of usage texts."""

    def error(self, message: str) -> NoReturn:
        """Raise it, with the command that explains more."""
        raise ConfigurationError(f"{message}; see {self.prog} --help")


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the options of all settings, each with its variable in the help."""
    group = parser.add_argument_group(
        "settings", "each also as an environment variable, which the command line overrides"
    )
    for setting in SETTINGS:
        group.add_argument(
            setting.option,
            dest=setting.trait,
            metavar=setting.metavar,
            help=f"{setting.help} [{setting.variable}]",
        )


def from_namespace(namespace: argparse.Namespace) -> list[Assignment]:
    """The settings that were given. Raises ConfigurationError."""
    found = [(setting, getattr(namespace, setting.trait, None)) for setting in SETTINGS]
    return [
        (setting.trait, setting.value(text, source=setting.option))
        for setting, text in found
        if text is not None
    ]


def kernel_parser() -> argparse.ArgumentParser:
    """The parser of the command line that runs a kernel."""
    parser = OneLineParser(
        prog="pyodide-kernel",
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Run a Jupyter kernel whose Python runs in Pyodide.",
        epilog=(
            "other commands, each with a --help of its own:\n"
            "  pyodide-kernel install   add a kernel to Jupyter, with settings of its own\n"
            "  pyodide-kernel doctor    check the installation\n\n"
            "Jupyter's own traits are set as --Class.trait=VALUE."
        ),
    )
    parser.add_argument("--version", action="version", version=f"pyodide-kernel {__version__}")
    parser.add_argument(
        "-f", "--f", dest="connection_file", metavar="FILE", help="connection file, from Jupyter"
    )
    parser.add_argument("--config", metavar="FILE", help="configuration file in Python or JSON")
    parser.add_argument(
        "--log-level", choices=["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"], metavar="LEVEL"
    )
    parser.add_argument(BAKED, action="store_true", help=argparse.SUPPRESS)
    add_settings(parser)
    return parser


def parse_kernel_options(argv: Sequence[str], environ: Mapping[str, str]) -> KernelOptions:
    """Options of a kernel; raises ConfigurationError, and SystemExit for --help and --version."""
    before = argv.index(BAKED) if BAKED in argv else 0
    baked, _ = _parse(argv[:before])
    settings, namespace = _parse(argv[before:])
    if namespace.connection_file is None:
        raise ConfigurationError(
            "-f FILE is missing: Jupyter starts kernels with a connection file; "
            "see pyodide-kernel --help"
        )
    return KernelOptions(
        connection_file=namespace.connection_file,
        config_file=namespace.config,
        log_level=namespace.log_level,
        baked=baked,
        environment=from_environment(environ),
        command_line=settings,
    )


_TRAIT = re.compile(r"--([A-Z]\w*\.\w+)=(.*)", re.DOTALL)


def _parse(argv: Sequence[str]) -> tuple[list[Assignment], argparse.Namespace]:
    traits = [match.groups() for argument in argv if (match := _TRAIT.fullmatch(argument))]
    rest = [argument for argument in argv if not _TRAIT.fullmatch(argument)]
    parser = kernel_parser()
    namespace, unknown = parser.parse_known_args(rest)
    # `jupyter run` hands the names of the files that it runs to the kernel too.
    if namespace.connection_file:
        unknown = [argument for argument in unknown if argument.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    return [*((name, value) for name, value in traits), *from_namespace(namespace)], namespace
