"""A host for policies: its files are a table."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pyodide_kernel.mounts import Kind, Place
from pyodide_kernel.policy import Surroundings


@dataclass(frozen=True)
class FakeDisk:
    """What is in the table, and all folders above it. Implements `Disk`."""

    kinds: Mapping[str, Kind]
    links: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/home/ann/work"
    unreadable: Sequence[str] = ()

    def real(self, path: str) -> Path:
        found = Path(self.cwd, path.replace("~", "/home/ann"))
        found = Path(os.path.normpath(self.links.get(str(found), str(found))))
        self.kind(found)
        return found

    def kind(self, path: Path) -> Kind:
        if str(path) in self.kinds:
            return self.kinds[str(path)]
        if any(Path(known).is_relative_to(path) for known in self.kinds):
            return "folder"
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    def readable(self, path: Path) -> bool:
        return str(path) not in self.unreadable


KINDS: Mapping[str, Kind] = {
    "/home/ann/work": "folder",
    "/home/ann/work/data": "folder",
    "/home/ann/year=2024": "folder",
    "/home/ann/a,b": "folder",
    "/home/ann/a b": "folder",
    "/home/ann/a_b": "folder",
    "/home/ann/caf\udce9": "folder",
    "/home/ann/table.csv": "file",
    "/home/ann/socket": "other",
    "/home/ann/closed": "folder",
    "/home/ann/env/lib/runtime": "folder",
    "/proc/self": "folder",
    "/dev/shm": "folder",
    "/sys": "folder",
}

DISK = FakeDisk(KINDS, links={"/home/ann/link": "/proc/self"}, unreadable=("/home/ann/closed",))

RUNTIME = Place(name="the kernel's runtime", path=Path("/home/ann/env/lib/runtime"))
KEYS = Place(name="Jupyter's runtime folder", path=Path("/home/ann/.jupyter-run"), secret=True)


def surroundings(
    *,
    disk: FakeDisk = DISK,
    cwd: str | None = "/home/ann/work",
    environ: Mapping[str, str] | None = None,
    landlock_problem: str = "",
    is_root: bool = False,
) -> Surroundings:
    """Ann's machine."""
    return Surroundings(
        disk=disk,
        cwd=Path(cwd) if cwd is not None else None,
        home=Path("/home/ann"),
        places=(RUNTIME, KEYS),
        environ=environ or {},
        landlock_problem=landlock_problem,
        is_root=is_root,
    )
