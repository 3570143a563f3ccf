"""Settings of the kernel on the command line, in the environment and in the kernelspec."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from pyodide_kernel import __version__
from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.settings import SETTINGS

BAKED: Final = "--baked"
"""Ends the options that `install` wrote into the kernelspec; the environment overrides those."""

Assignment = tuple[str, Any]
"""`Class.trait` and a value, which is text if it is still to be parsed by the trait."""


def from_environment(environ: Mapping[str, str]) -> list[Assignment]:
    """What the variables say; an empty one counts as unset. Raises ConfigurationError."""
    return [
        (setting.trait, setting.from_variable(environ[setting.variable]))
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
        setting.add_to(group)


def from_namespace(namespace: argparse.Namespace) -> list[Assignment]:
    """The settings that were given. Raises ConfigurationError."""
    found = [(setting, getattr(namespace, setting.trait, None)) for setting in SETTINGS]
    return [
        (setting.trait, setting.from_option(given)) for setting, given in found if given is not None
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
            "  pyodide-kernel warm      make the snapshot from which kernels start faster\n"
            "  pyodide-kernel check     say what of a notebook will not work\n"
            "  pyodide-kernel lock      write down which packages a notebook needs, with digests\n"
            "  pyodide-kernel cache     show or empty the cache of packages\n"
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
