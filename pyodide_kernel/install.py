"""`pyodide-kernel install`: a kernelspec for Jupyter, with settings of its own if wanted."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.options import BAKED, OneLineParser, add_settings, from_namespace
from pyodide_kernel.settings import SETTINGS

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpecManager

NAME: Final = "pyodide"
DISPLAY_NAME: Final = "Python (Pyodide)"
LOGOS: Final = ("logo-32x32.png", "logo-64x64.png", "logo-svg.svg")


def install(argv: Sequence[str]) -> int:
    """Run the command; the exit code. Raises ConfigurationError."""
    parser = _parser()
    options = parser.parse_args(argv)
    from_namespace(options)  # a malformed setting is found now, not when the kernel starts
    baked = [
        argument
        for setting in SETTINGS
        if (given := getattr(options, setting.trait)) is not None
        for argument in setting.arguments(given)
    ]
    spec = kernelspec(display_name=options.display_name or _display_name(options.name), baked=baked)
    folder = _install(spec, options)
    sys.stdout.write(f"Installed kernelspec {options.name} in {folder}\n")
    return 0


def kernelspec(*, display_name: str, baked: Sequence[str] = ()) -> dict[str, Any]:
    """The content of `kernel.json`; `baked` are options of the kernel."""
    options = [*baked, BAKED] if baked else []
    return {
        "argv": [sys.executable, "-m", "pyodide_kernel", *options, "-f", "{connection_file}"],
        "display_name": display_name,
        "language": "python",
        "interrupt_mode": "message",
        "metadata": {"debugger": False, "supported_encryption": ["curve"]},
    }


def kernelspec_manager() -> KernelSpecManager:
    """Jupyter's own, without the kernels of IPython's folder, which it would create or miss."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_core.paths import jupyter_path

    return KernelSpecManager(kernel_dirs=jupyter_path("kernels"))


def logo_files() -> list[Path]:
    """The logos: of the installed package, else of the source tree."""
    installed = Path(sys.prefix, "share", "jupyter", "kernels", NAME)
    source = Path(__file__).resolve().parents[1] / "kernelspec"
    for folder in (_recorded_folder(), installed, source):
        if folder and all((folder / name).is_file() for name in LOGOS):
            return [folder / name for name in LOGOS]
    return []


def _recorded_folder() -> Path | None:
    """The kernelspec folder that pip recorded, wherever it put the package's data."""
    try:
        files = metadata.files("pyodide-kernel") or []
    except metadata.PackageNotFoundError:
        return None
    found = [file for file in files if file.name == LOGOS[0]]
    return Path(str(found[0].locate())).resolve().parent if found else None


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="pyodide-kernel install",
        allow_abbrev=False,
        description="Add a kernel to Jupyter. Settings given here are kept in its kernelspec.",
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for this user (default)")
    place.add_argument("--sys-prefix", action="store_true", help=f"into {sys.prefix}")
    place.add_argument("--prefix", metavar="DIR", help="into DIR/share/jupyter/kernels")
    parser.add_argument("--name", default=NAME, help=f"name of the kernel (default: {NAME})")
    parser.add_argument(
        "--display-name", metavar="TEXT", help=f"what menus show (default: {DISPLAY_NAME})"
    )
    add_settings(parser)
    return parser


def _display_name(name: str) -> str:
    return DISPLAY_NAME if name == NAME else f"{DISPLAY_NAME} [{name}]"


def _install(spec: dict[str, Any], options: argparse.Namespace) -> str:
    prefix = sys.prefix if options.sys_prefix else options.prefix
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), spec)
        try:
            return kernelspec_manager().install_kernel_spec(
                folder, kernel_name=options.name, user=prefix is None, prefix=prefix
            )
        except ValueError as error:  # the name
            raise ConfigurationError(f"--name: {error}") from error
        except OSError as error:
            place = error.filename or prefix or "the user's Jupyter folder"
            raise ConfigurationError(
                f"Can't write to {place}: {error.strerror}; choose another place "
                "with --prefix DIR or --sys-prefix"
            ) from error


def _write(folder: Path, spec: dict[str, Any]) -> None:
    (folder / "kernel.json").write_text(json.dumps(spec, indent=1) + "\n", "utf-8")
    for logo in logo_files():
        shutil.copyfile(logo, folder / logo.name)
    folder.chmod(0o755)
