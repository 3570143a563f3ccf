"""What the operating system lets the Deno process touch, as the launcher takes it (confine.py)."""

from __future__ import annotations

import glob
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.bridge import confine

_LIBRARY_FOLDERS: Final = (
    "/lib/*-linux-gnu",
    "/usr/lib/*-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
)
_LIBRARIES: Final = (
    "libc.so.6",
    "libdl.so.2",
    "libgcc_s.so.1",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
)
"""What the Deno binary is linked against, on every architecture that it is built for."""

_OWN_MAP: Final = "/proc/self/maps"
"""The C library looks there for the extent of the main thread's stack, and Deno gives up without.
The launcher resolves it, so it is Deno's own."""

_LOADERS: Final = ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")


def system_files() -> list[str]:
    """Libraries that the dynamic loader opens for Deno.

    On a system that keeps them elsewhere, the folders in which they may be.
    """
    found = {
        name: path
        for pattern in reversed(_LIBRARY_FOLDERS)
        for folder in glob.glob(pattern)  # noqa: PTH207  # absolute patterns
        for name in _LIBRARIES
        if (path := Path(folder, name)).is_file()
    }
    if "libc.so.6" not in found:
        return ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/nix/store"]
    return [*sorted(map(str, found.values())), "/etc/ld.so.cache"]


def landlock_problem() -> str:
    """Why Landlock can't be used here; empty if it can."""
    if not sys.platform.startswith("linux"):
        return f"it is a part of Linux, and this is {sys.platform}"
    try:
        confine.landlock_version()
    except OSError as error:
        return str(error.strerror)
    return ""


def confinement(
    *,
    deno: Path,
    read: tuple[Path, ...],
    write: tuple[Path, ...],
    parent_pid: int,
    report_fd: int,
    mounts: Sequence[tuple[Path, bool]] = (),
    limits: Mapping[str, int] | None = None,
    nice: int = 0,
    needs_landlock: bool = False,
) -> dict[str, Any]:
    """The launcher's first argument: allow lists of real paths; no network at all.

    `mounts` are paths without links and whether they may be written; they need Landlock.
    """
    return {
        "parent_pid": parent_pid,
        "report_fd": report_fd,
        "read": [_OWN_MAP, *system_files(), *(str(path.resolve()) for path in read)],
        "write": [str(path.resolve()) for path in write],
        "execute": [str(deno.resolve()), *_LOADERS],
        "mounts": [(str(path), writable) for path, writable in mounts],
        "required": ["Landlock"] if mounts or needs_landlock else [],
        "needed_by": "the compiled code needs"
        if needs_landlock and not mounts
        else "the mounts need",
        "network": False,
        "limits": dict(limits or {}),
        "nice": nice,
    }
