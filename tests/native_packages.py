"""The packages of the real distribution for native Python, and a native kernel that has them."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from distribution import LOCK, NoDistributionError
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from real_kernel import RealKernel, kernel_environment, running_kernel

PINNED = ("numpy", "pandas", "matplotlib", "pillow", "sympy", "seaborn", "scikit-learn")
"""What is compared has the version of the distribution."""

FROM_INDEX = ("plotly", "networkx")
"""In whatever version pip chooses for native Python; `version_of` says which."""


def native_packages(distribution: Path) -> Path:
    """A folder with the same versions for this Python; downloaded once.

    Raises NoDistributionError if they can't be had.
    """
    lock = json.loads((distribution / LOCK).read_text("utf-8"))["packages"]
    wanted = [f"{name}=={lock[name]['version']}" for name in PINNED] + list(FROM_INDEX)
    version = ".".join(map(str, sys.version_info[:2]))
    target = distribution.parent / f"native-{version}"
    done = target / "done.json"
    if not done.is_file() or json.loads(done.read_text("utf-8")) != wanted:
        _install(wanted, target)
        done.write_text(json.dumps(wanted), "utf-8")
    return target


def version_of(name: str, packages: Path) -> str:
    """The version of a package in the folder."""
    (found,) = importlib.metadata.distributions(name=name, path=[str(packages)])
    return found.version


def _install(wanted: Sequence[str], target: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary=:all:",
        "--upgrade",
    ]
    done = subprocess.run(
        [*command, "--target", str(target), *wanted], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NoDistributionError(done.stderr.strip()[-300:])


@contextlib.contextmanager
def native_kernel(packages: Path) -> Iterator[RealKernel]:
    """ipykernel of this environment, with the packages on its path."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manager = KernelManager(connection_file=str(folder / "connection.json"))
        manager._kernel_spec = KernelSpec(**get_kernel_dict())
        environ = kernel_environment(folder) | {
            "PYTHONPATH": str(packages),
            "IPYTHONDIR": str(folder / "ipython"),
            "MPLCONFIGDIR": str(folder / "matplotlib"),
        }
        with running_kernel(manager, env=environ, cwd=folder) as kernel:
            yield kernel
