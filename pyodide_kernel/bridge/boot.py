"""A bridge to the real thing: Deno with the bundled runtime, booted with the guest's sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyodide_kernel import runtime
from pyodide_kernel.bridge.bridge import Bridge, Death, Overtime
from pyodide_kernel.bridge.deno import DenoCommand, find_deno, worker_permissions
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.policy import HOME, PackageView, Policy

_PACKAGE: Final = Path(runtime.__file__).parent

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


def deno_bridge(
    *,
    policy: Policy,
    config: BridgeConfig,
    on_message: Callable[[Message], None],
    on_ready: Callable[[Message], None],
    on_death: Callable[[Death], None],
    on_give_up: Callable[[Death], None],
    on_overtime: Callable[[Overtime], None] | None = None,
) -> Bridge:
    """A bridge that launches Deno, not started yet; `config.boot` is filled in.

    Raises DenoNotFoundError or RuntimeDamagedError if it could not start.
    """
    runtime.check(full=False)
    command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir(), policy=policy)
    return Bridge(
        launch=partial(launch, command),
        config=replace(config, boot=boot_content(command)),
        on_message=on_message,
        on_ready=on_ready,
        on_death=on_death,
        on_give_up=on_give_up,
        on_overtime=on_overtime,
    )
