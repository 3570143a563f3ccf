"""`pyodide-kernel warm`: makes the snapshot from which kernels start faster."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pyodide_kernel import runtime
from pyodide_kernel.bridge.boot import snapshot_maker
from pyodide_kernel.bridge.confinement import landlock_problem
from pyodide_kernel.bridge.deno import DenoCommand, find_deno
from pyodide_kernel.bridge.preparation import snapshot_store
from pyodide_kernel.bridge.snapshot_store import NoSnapshotError, Snapshot, SnapshotStore
from pyodide_kernel.errors import PyodideKernelError
from pyodide_kernel.folders import cache_folder
from pyodide_kernel.options import OneLineParser, from_environment
from pyodide_kernel.settings import SETTINGS

_TRAIT = "PyodideKernel.cache_dir"
_SETTING = next(setting for setting in SETTINGS if setting.trait == _TRAIT)


def warm(argv: Sequence[str]) -> int:
    """Make a snapshot unless there is a good one. Raises PyodideKernelError if that fails."""
    parser = OneLineParser(
        prog="pyodide-kernel warm",
        allow_abbrev=False,
        description="Make the snapshot of the interpreter from which kernels start faster. "
        "They do so themselves, in the background, when there is none.",
    )
    _SETTING.add_to(parser.add_argument_group("settings"))
    parser.add_argument("--force", action="store_true", help="make one even if there is one")
    options = parser.parse_args(argv)
    given = getattr(options, _TRAIT)
    store, command = _store(_SETTING.from_option(given) if given else "")
    if not options.force and (found := _good(store)):
        sys.stdout.write(f"There is a snapshot already: {_describe(found)}\n")
        return 0
    sys.stdout.write("Making a snapshot of the interpreter; this takes some seconds.\n")
    sys.stdout.flush()
    began = time.monotonic()
    try:
        made = _make(store, command, force=options.force)
    except OSError as error:
        raise PyodideKernelError(
            f"The snapshot can't be kept in {store.folder} ({error.strerror}); "
            f"set {_SETTING.variable} to a folder that you may write to"
        ) from error
    sys.stdout.write(f"Made in {time.monotonic() - began:.1f} s: {_describe(made)}\n")
    return 0


def _make(store: SnapshotStore, command: DenoCommand, *, force: bool) -> Snapshot:
    with store.making(wait=True) as ours:
        if not ours:
            raise PyodideKernelError(
                "Another process is making a snapshot right now; try again in a minute"
            )
        if not force and (found := _good(store)):
            return found
        code = None if landlock_problem() else store.new_code_folder()
        return store.add(asyncio.run(snapshot_maker(command)(code)), code)


def snapshot_state() -> str:
    """Whether kernels that are started in this environment have a snapshot."""
    store, _ = _store("")
    try:
        snapshot = store.find()
    except NoSnapshotError as error:
        return f"{error}; kernels start slower, and make one if they can: pyodide-kernel warm"
    if not snapshot.is_intact():
        raise PyodideKernelError(
            f"{snapshot.path} is damaged; replace it with: pyodide-kernel warm --force"
        )
    return _describe(snapshot)


def chosen_cache() -> Path:
    """The folder for cached files that this environment names."""
    return cache_folder(dict(from_environment(os.environ)).get(_TRAIT, ""))


def _store(folder: str) -> tuple[SnapshotStore, DenoCommand]:
    """Of the given folder, else of the environment's."""
    runtime.check(full=False)
    command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir())
    return snapshot_store(command, cache_folder(folder) if folder else chosen_cache()), command


def _good(store: SnapshotStore) -> Snapshot | None:
    try:
        snapshot = store.find()
    except NoSnapshotError:
        return None
    return snapshot if snapshot.is_intact() else None


def _describe(snapshot: Snapshot) -> str:
    return f"{snapshot.size / 1e6:.0f} MB in {snapshot.path}"
