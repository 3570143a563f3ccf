"""How the next interpreter starts: restored from a snapshot if there is a good one, else booted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from pyodide_kernel.bridge import code_folder
from pyodide_kernel.bridge.deno import DenoCommand
from pyodide_kernel.bridge.life import Launch
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.preparation import Preparation, prepare
from pyodide_kernel.bridge.process import connect, launch
from pyodide_kernel.bridge.snapshot_store import NoSnapshotError, Snapshot, SnapshotStore
from pyodide_kernel.errors import PyodideKernelError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How one interpreter starts."""

    launch: Launch
    boot: Mapping[str, Any] = field(default_factory=dict)
    """Content of the `boot` message."""

    verdict: asyncio.Future[bool] | None = None
    """Whether the snapshot in `boot` may be run, if there is one."""


class Plans(Protocol):
    """Plans for one interpreter after the other. Belongs to the thread of the bridge's loop."""

    def next(self) -> Plan:
        """How to start now."""

    def note_ready(self, message: Message) -> None:
        """The interpreter that was planned last is ready."""

    async def afterwards(self) -> None:
        """What can wait until an interpreter is ready; may be cancelled."""


class SamePlan:
    """Every interpreter starts alike."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def next(self) -> Plan:
        """The plan."""
        return self._plan

    def note_ready(self, message: Message) -> None:
        """Nothing to learn."""

    async def afterwards(self) -> None:
        """Nothing to do."""


_SLOWER: Final = "The interpreter is booted without a snapshot, which takes longer: %s"


class SnapshotPlans:
    """Restores the snapshot of a store; makes one in the background if there is none.

    `make` makes it, and compiled code in the given folder, which only Landlock keeps as it is.
    Whatever is wrong with a snapshot, interpreters start all the same.
    """

    def __init__(
        self,
        command: DenoCommand,
        store: SnapshotStore,
        make: Callable[[Path | None], Awaitable[bytes]],
        *,
        has_landlock: bool,
        first: Preparation | None = None,
    ) -> None:
        """`first` is how the first interpreter starts, maybe in a process that runs already."""
        self._command = command
        self._store = store
        self._make = make
        self._has_landlock = has_landlock
        self._first = first
        self._offered: Snapshot | None = None
        self._wanted = False

    def next(self) -> Plan:
        """Restore what the store has, or boot; a reason not to restore is logged."""
        prepared, self._first = self._first, None
        if prepared is None:
            prepared = prepare(self._command, self._store, has_landlock=self._has_landlock)
        self._offered = snapshot = prepared.snapshot
        start = partial(launch, prepared.command)
        if prepared.spawned is not None:
            start = partial(connect, prepared.spawned)
        boot = prepared.boot_content()
        if snapshot is None:
            log.warning(_SLOWER, prepared.problem)
            self._wanted = self._store.writable()
            return Plan(launch=start, boot=boot)
        loop = asyncio.get_running_loop()
        verdict = loop.run_in_executor(None, snapshot.is_intact)
        return Plan(launch=start, boot=boot, verdict=verdict)

    def note_ready(self, message: Message) -> None:
        """Learn whether the snapshot could be used; if not, it is not used again."""
        if self._offered is None or not (problem := message.content.get("problem")):
            return
        log.warning(_SLOWER, f"{self._offered.path} can't be used ({str(problem)[:200]})")
        self._store.discard()
        self._wanted = self._store.writable()

    async def afterwards(self) -> None:
        """Make a snapshot if one is wanted and nobody else is making one."""
        if not self._wanted:
            return
        self._wanted = False
        try:
            with self._store.making() as ours:
                if ours and not self._is_there():
                    code = self._store.new_code_folder() if self._has_landlock else None
                    data = await self._made(code)
                    await asyncio.to_thread(self._store.add, data, code)
        except (PyodideKernelError, OSError) as error:
            log.warning("No snapshot of the interpreter could be made: %s", error)

    async def _made(self, code: Path | None) -> bytes:
        """A new snapshot; nothing is left of `code` if none comes of it."""
        try:
            return await self._make(code)
        except BaseException:
            if code is not None:
                await asyncio.to_thread(code_folder.remove, code)
            raise

    def _is_there(self) -> bool:
        with contextlib.suppress(NoSnapshotError):
            self._store.find()
            return True
        return False
