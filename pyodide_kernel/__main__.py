"""The command line: run a kernel, install one, make it start fast, look for what is wrong.

Only what a command needs is imported, and only then.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from pyodide_kernel import __version__
from pyodide_kernel.errors import ConfigurationError, PyodideKernelError

USAGE_ERROR = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return report_errors(lambda: _command(arguments))


def report_errors(run: Callable[[], int]) -> int:
    """Its exit code; or that of an error that we know, which becomes one line on stderr."""
    try:
        return run()
    except PyodideKernelError as error:
        return _report(error)
    except RuntimeError:  # what Jupyter and pathlib raise then
        if problem := _home_problem():
            return _report(ConfigurationError(problem))
        raise


def _report(error: PyodideKernelError) -> int:
    text = " ".join(str(error).split())
    sys.stderr.write(f"pyodide-kernel: {text}\n")
    return USAGE_ERROR if isinstance(error, ConfigurationError) else 1


def _home_problem() -> str:
    """Why there is no home folder; empty if there is one."""
    if os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117  # pathlib may not be imported
        return ""
    return (
        "There is no home folder, in which Jupyter keeps its files: HOME is not set, and the "
        "system does not know this user; set HOME to a folder that you may write to"
    )


def _command(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command == "--version":  # asked for often, by scripts: no parser needed
        sys.stdout.write(f"pyodide-kernel {__version__}\n")
        return 0
    if command == "install":
        from pyodide_kernel.install import install

        return install(arguments[1:])
    if command == "doctor":
        from pyodide_kernel.doctor import doctor

        return doctor(arguments[1:])
    if command == "warm":
        from pyodide_kernel.warm import warm

        return warm(arguments[1:])
    if command == "cache":
        from pyodide_kernel.cache_command import cache

        return cache(arguments[1:])
    if command == "lock":
        from pyodide_kernel.lock_command import lock

        return lock(arguments[1:])
    if command == "check":
        from pyodide_kernel.check_command import check

        return check(arguments[1:])
    return run_kernel(arguments)


def run_kernel(arguments: list[str]) -> int:
    """Run a kernel until it is shut down."""
    from pyodide_kernel.options import parse_kernel_options

    options = parse_kernel_options(arguments, os.environ)

    from pyodide_kernel.head_start import head_start

    with head_start(options) as begun:
        from pyodide_kernel.app import run

        return run(options, **(begun.kernel_traits() if begun else {}))


if __name__ == "__main__":
    sys.exit(main())
