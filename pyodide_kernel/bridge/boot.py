"""A bridge to the real thing: Deno with the bundled runtime."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.bridge.bridge import Bridge, Death, Overtime
from pyodide_kernel.bridge.confinement import landlock_problem
from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.maker import make_snapshot
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.overuse import Overuse
from pyodide_kernel.bridge.plans import Plan, Plans, SamePlan, SnapshotPlans
from pyodide_kernel.bridge.preparation import (
    Preparation,
    boot_content,
    installed_command,
    snapshot_store,
)
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.policy import Policy

MAKER_NICE: Final = 19
"""A snapshot is made while the user works."""


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
    prepared: Preparation | None = None,
) -> Bridge:
    """A bridge that launches Deno, not started yet; `config` gets what the policy says of limits.

    Its interpreters start from a snapshot that is kept in the folder `cache`, if one is given; the
    first one as `prepared` says, if it does.

    Raises DenoNotFoundError or RuntimeDamagedError if it could not start.
    """
    if prepared is None:
        command = installed_command(policy)
    else:
        command = replace(prepared.command, snapshot=None, code=None)
    plans: Plans
    if cache is None:
        plans = SamePlan(Plan(launch=partial(launch, command), boot=boot_content(command)))
    else:
        # Its key is a digest of all sources, which are not to be read twice in a start.
        store = prepared.store if prepared is not None else None
        store = store or snapshot_store(command, cache)
        make = snapshot_maker(command, nice=MAKER_NICE)
        has_landlock = not landlock_problem()
        plans = SnapshotPlans(command, store, make, has_landlock=has_landlock, first=prepared)
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
