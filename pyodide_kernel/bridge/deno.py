"""Find Deno; the command line, permissions and environment that it gets."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.errors import DenoNotFoundError, WorkerStartError
from pyodide_kernel.limits import v8_flags
from pyodide_kernel.policy import Policy

MINIMUM_DENO: Final = (2, 9)
_PACKAGE: Final = Path(__file__).parents[1]
MAIN: Final = _PACKAGE / "js" / "main.ts"

_FENCE: Final = Path(__file__).resolve()
"""A file that Deno lets the broker read and Landlock does not; the broker tries (self_check.ts)."""

_INSTALL: Final = "install it with: pip install 'deno>=2.9,<3'"


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoCommand:
    """What to start: the binary, the arguments in front of the socket's path, and the folders."""

    deno: Path
    runtime: Path
    """Folder of the bundled runtime, which broker and worker may read."""

    policy: Policy = field(default_factory=Policy)

    main: Path = MAIN
    """The program; Deno may read its folder too."""

    snapshot: Path | None = None
    """File that the interpreter is restored from, which broker and worker may read."""

    code: Path | None = None
    """Deno's folder for compiled code; None for one that can't exist."""

    makes_code: bool = False
    """Whether Deno may write there. Never where code of the user runs: it would outlive it."""

    nice: int = 0
    """How much others go before it, 0 to 19."""

    @property
    def read(self) -> tuple[Path, ...]:
        """What of our own the worker may read."""
        snapshot = (self.snapshot,) if self.snapshot else ()
        return (self.runtime, *self.policy.own_folders, *snapshot)


def find_deno() -> Path:
    """The Deno binary: of the `deno` package beside this one, else of the PATH.

    Raises DenoNotFoundError if there is none, it can't be executed, or it is too old.
    """
    path = _packaged_deno() or _deno_on_path()
    if path is None:
        raise DenoNotFoundError(f"Deno was not found, neither as a package nor on PATH; {_INSTALL}")
    if not os.access(path, os.X_OK):
        raise DenoNotFoundError(f"Deno at {path} is not an executable file; re{_INSTALL}")
    return path


def _packaged_deno() -> Path | None:
    try:
        import deno
    except ImportError:
        return None
    try:
        path = Path(deno.find_deno_bin())
    except (OSError, RuntimeError) as error:
        raise DenoNotFoundError(f"the deno package has no binary ({error}); re{_INSTALL}") from None
    if version := _packaged_version(Path(deno.__file__).parents[1]):
        _check_version(version, path)
    return path


def _packaged_version(site: Path) -> str:
    """Version of the `deno` package in this folder; empty if nothing tells.

    `importlib.metadata` knows it too, but its import takes a tenth of a kernel's start.
    """
    named = list(site.glob("deno-*.dist-info"))
    if len(named) == 1:
        return named[0].name.removeprefix("deno-").removesuffix(".dist-info")
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version("deno")
    return ""


def _deno_on_path() -> Path | None:
    found = shutil.which("deno")
    if found is None:
        return None
    try:
        output = subprocess.run(
            [found, "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise DenoNotFoundError(f"Deno at {found} does not run ({error}); {_INSTALL}") from None
    words = output.split()
    _check_version(words[1] if len(words) > 1 else "", Path(found))
    return Path(found)


def _check_version(version: str, path: Path) -> None:
    try:
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except ValueError:
        numbers = ()
    if numbers < MINIMUM_DENO:
        needed = ".".join(map(str, MINIMUM_DENO))
        raise DenoNotFoundError(
            f"Deno {version or 'of unknown version'} at {path} is too old, "
            f"{needed} or newer is needed; {_INSTALL}"
        )


def command(config: DenoCommand, socket_path: Path) -> list[str]:
    """Arguments that start Deno with the broker's permissions: allow lists only, no prompt.

    The worker's permissions can only be a part of the broker's, so the mounts are among them.
    Raises WorkerStartError if a path can't be told to Deno.
    """
    policy = config.policy
    fence = [_FENCE] if policy.needs_landlock and not policy.shows(_FENCE) else []
    paths = (config.main.parent, *config.read, socket_path, *fence, *policy.readable)
    for path in paths:
        if "," in str(path):
            # It separates the lists, and Deno 2.9 can't escape it (denoland/deno 32010).
            raise WorkerStartError(
                f"the sandbox can't start from {path}, as there is a comma in the path; "
                "install elsewhere, or set TMPDIR to another folder"
            )
    readable = ",".join(map(str, paths))
    writable = ",".join(map(str, (socket_path, *policy.writable)))
    return [
        str(config.deno),
        "run",
        "--no-prompt",
        "--no-remote",
        "--no-npm",
        "--no-config",
        "--no-lock",
        "--cached-only",
        "--unstable-worker-options",
        f"--v8-flags={','.join(v8_flags(policy.limits))}",
        f"--allow-net=unix:{socket_path}",
        f"--allow-read={readable}",
        f"--allow-write={writable}",
        str(config.main),
        str(socket_path),
        *map(str, fence),
    ]


def shown_command(policy: Policy) -> list[str]:
    """The command line without paths of the host, but for those of mounts."""
    config = DenoCommand(
        deno=Path("deno"), runtime=Path("RUNTIME"), main=Path("PROGRAM/main.ts"), policy=policy
    )
    arguments = command(config, Path("SOCKET"))
    return [argument.replace(str(_FENCE), "FENCE") for argument in arguments]


def worker_permissions(config: DenoCommand) -> dict[str, Any]:
    """Deno permissions of the worker: runtime, packages and mounts, nothing else of the machine.

    But for the program of the shell, which it loads when it is first used.
    """
    policy = config.policy
    shell = sorted(config.main.parent.glob("bash*.ts"))
    return {
        "read": [str(path) for path in (*config.read, *shell, *policy.readable)],
        "write": [str(path) for path in policy.writable] or False,
        "net": False,
        "env": False,
        "run": False,
        "ffi": False,
        "sys": False,
        "import": False,
    }


def environment(code: Path | None = None) -> Mapping[str, str]:
    """Environment of Deno: nothing of the host's; without `code` a folder that can't exist."""
    return {"DENO_DIR": str(code or "/dev/null/none"), "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"}
