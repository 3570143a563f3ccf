"""What an interpreter is made of, and how it is to be started; needs no event loop."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pyodide_kernel import runtime
from pyodide_kernel.bridge.confinement import landlock_problem
from pyodide_kernel.bridge.deno import DenoCommand, find_deno, worker_permissions
from pyodide_kernel.bridge.snapshot_store import NoSnapshotError, Snapshot, SnapshotStore
from pyodide_kernel.bridge.spawn import Spawned, spawn
from pyodide_kernel.errors import WorkerStartError
from pyodide_kernel.limits import v8_flags
from pyodide_kernel.policy import HOME, PackageView, Policy

_PACKAGE: Final = Path(runtime.__file__).parent

FORMAT: Final = 1
"""Of the files of a snapshot; a change of it makes the former ones unusable."""

ENVIRONMENT: Final = {
    "HOME": HOME,
    "USER": "pyodide",
    "LOGNAME": "pyodide",
    "LANG": "C.UTF-8",
    "PATH": "/",
}
"""Variables of the guest that are not of the host."""


def guest_sources() -> dict[str, str]:
    """Texts of the modules that the guest imports of this package, by path."""
    files = [
        _PACKAGE / "__init__.py",
        _PACKAGE / "bridge" / "__init__.py",
        _PACKAGE / "bridge" / "messages.py",
        *sorted((_PACKAGE / "guest").glob("*.py")),
    ]
    root = _PACKAGE.parent
    return {path.relative_to(root).as_posix(): path.read_text("utf-8") for path in files}


def boot_content(config: DenoCommand) -> dict[str, Any]:
    """Content of the `boot` message: where the runtime is, what the worker may, what it runs."""
    policy = config.policy
    return {
        "worker": {"folder": str(config.runtime)},
        "permissions": worker_permissions(config),
        "guest": {
            "sources": guest_sources(),
            "env": {**ENVIRONMENT, "PWD": policy.cwd, **policy.env},
            "cwd": policy.cwd,
            "memory_limit": policy.limits.memory_bytes,
            "message_limit": policy.limits.message_bytes,
            "write_limit": policy.limits.written_bytes,
            "mounts": [mount.boot_value() for mount in policy.mounts],
            "argv": [],
            **_packages(policy.packages),
        },
    }


def _packages(view: PackageView | None) -> dict[str, Any]:
    if view is None:
        return {}
    return {
        "packages": {
            "imports": dict(view.imports),
            "lock": dict(view.lock),
            "preload": list(view.preload),
            "constraints": list(view.constraints),
        }
    }


def snapshot_key(command: DenoCommand) -> str:
    """A digest of all that a snapshot is made from.

    The limit of memory is not among it: a snapshot can be restored under any.
    """
    binary = command.deno.stat()
    flags = [flag for flag in v8_flags(command.policy.limits) if "stack" in flag]
    program = {path.name: path.read_text("utf-8") for path in command.main.parent.iterdir()}
    parts = [
        FORMAT,
        runtime.load_manifest(command.runtime).digest(),
        guest_sources(),
        program,
        # Compiled code is found by the path of what it was compiled from.
        [str(command.main), str(command.runtime)],
        [str(command.deno), binary.st_size, binary.st_mtime_ns],
        flags,
        ENVIRONMENT,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def snapshot_store(command: DenoCommand, cache: Path) -> SnapshotStore:
    """Where snapshots for this runtime and program are kept in the folder of cached files."""
    return SnapshotStore(cache / "snapshots", snapshot_key(command))


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How one interpreter is to be started."""

    command: DenoCommand
    snapshot: Snapshot | None = None
    """What it is restored from, if there is anything."""

    problem: str = ""
    """Why there is none."""

    store: SnapshotStore | None = None
    """Where it was looked for."""

    spawned: Spawned | None = None
    """Its process, if that runs already."""

    def boot_content(self) -> Mapping[str, Any]:
        """Content of its `boot` message."""
        content = boot_content(self.command)
        if self.snapshot is None:
            return content
        return content | {"snapshot": {"use": "restore", "path": str(self.snapshot.path)}}

    def discard(self) -> None:
        """End its process, if there is one that nobody has adopted."""
        if self.spawned is not None and not self.spawned.adopted:
            self.spawned.discard()


def prepare(command: DenoCommand, store: SnapshotStore, *, has_landlock: bool) -> Preparation:
    """Restore what the store has, or boot. Only Landlock keeps compiled code as it is."""
    try:
        snapshot = store.find()
    except NoSnapshotError as error:
        return Preparation(command=command, problem=str(error), store=store)
    code = snapshot.code if has_landlock else None
    restoring = replace(command, snapshot=snapshot.path, code=code)
    return Preparation(command=restoring, snapshot=snapshot, store=store)


def installed_command(policy: Policy) -> DenoCommand:
    """Deno and the runtime that are installed. Raises DenoNotFoundError or RuntimeDamagedError."""
    runtime.check(full=False)
    return DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir(), policy=policy)


def prepare_early(policy: Policy, cache: Path) -> Preparation:
    """Prepare an interpreter as `deno_bridge` does for its first one, and start its process.

    Raises DenoNotFoundError or RuntimeDamagedError.
    """
    command = installed_command(policy)
    store = snapshot_store(command, cache)
    prepared = prepare(command, store, has_landlock=not landlock_problem())
    with contextlib.suppress(WorkerStartError):  # who starts it again is told
        return replace(prepared, spawned=spawn(prepared.command))
    return prepared
