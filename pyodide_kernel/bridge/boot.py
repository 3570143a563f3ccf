"""A bridge to the real thing: Deno with the bundled runtime, booted with the guest's sources."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyodide_kernel import runtime
from pyodide_kernel.bridge.bridge import Bridge, Death, Overtime
from pyodide_kernel.bridge.confinement import landlock_problem
from pyodide_kernel.bridge.deno import DenoCommand, find_deno, worker_permissions
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.maker import make_snapshot
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.overuse import Overuse
from pyodide_kernel.bridge.plans import Plan, Plans, SamePlan, SnapshotPlans
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.bridge.snapshot_store import SnapshotStore
from pyodide_kernel.limits import v8_flags
from pyodide_kernel.policy import HOME, PackageView, Policy

_PACKAGE: Final = Path(runtime.__file__).parent

MAKER_NICE: Final = 19
"""A snapshot is made while the user works."""

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


def snapshot_maker(
    command: DenoCommand, *, nice: int = 0
) -> Callable[[Path | None], Coroutine[Any, Any, bytes]]:
    """Makes a snapshot: with the runtime of `command`, but nothing of its policy.

    Deno's compiled code goes into the folder that is given, if one is.
    """

    async def make(code: Path | None) -> bytes:
        maker = replace(command, policy=Policy(), code=code, makes_code=True, nice=nice)
        boot = boot_content(maker) | {"snapshot": {"use": "make"}}
        return await make_snapshot(partial(launch, maker), boot)

    return make


def deno_bridge(
    *,
    policy: Policy,
    config: BridgeConfig,
    cache: Path | None = None,
    on_message: Callable[[Message], None],
    on_ready: Callable[[Message], None],
    on_death: Callable[[Death], None],
    on_give_up: Callable[[Death], None],
    on_overtime: Callable[[Overtime], None] | None = None,
) -> Bridge:
    """A bridge that launches Deno, not started yet; `config` gets what the policy says of limits.

    Its interpreters start from a snapshot that is kept in the folder `cache`, if one is given.

    Raises DenoNotFoundError or RuntimeDamagedError if it could not start.
    """
    runtime.check(full=False)
    command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir(), policy=policy)
    plans: Plans
    if cache is None:
        plans = SamePlan(Plan(launch=partial(launch, command), boot=boot_content(command)))
    else:
        store, make = snapshot_store(command, cache), snapshot_maker(command, nice=MAKER_NICE)
        has_landlock = not landlock_problem()
        plans = SnapshotPlans(command, boot_content, store, make, has_landlock=has_landlock)
    return Bridge(
        plans=plans,
        config=replace(
            config,
            message_limit_bytes=policy.limits.message_bytes,
            overuse=Overuse(policy.limits),
        ),
        on_message=on_message,
        on_ready=on_ready,
        on_death=on_death,
        on_give_up=on_give_up,
        on_overtime=on_overtime,
    )
