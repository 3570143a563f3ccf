"""`pyodide-kernel lock`: writes down which packages a notebook needs, each with its digest."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.bridge.boot import deno_bridge
from pyodide_kernel.bridge.bridge import Bridge
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import ConfigurationError, PackageError
from pyodide_kernel.folders import cache_folder
from pyodide_kernel.limits import format_size
from pyodide_kernel.locking.entries import Wheel, lock_entries, read_wheel
from pyodide_kernel.locking.guest_session import GuestSession
from pyodide_kernel.locking.wanted import Wanted, wanted_by
from pyodide_kernel.options import OneLineParser
from pyodide_kernel.package_options import add_package_settings, packages_of, setting_values
from pyodide_kernel.packages.jobs import Job
from pyodide_kernel.packages.lockfile import LockedPackage
from pyodide_kernel.packages.markers import marker_environment
from pyodide_kernel.packages.opening import Packages
from pyodide_kernel.policy import Policy
from pyodide_kernel.reading.source import read_source

log = logging.getLogger(__name__)

_INFO: Final = ("arch", "platform", "python", "abi_version")


def lock(argv: Sequence[str]) -> int:
    """Write a lock file. Raises ConfigurationError and PackageError."""
    parser = OneLineParser(
        prog="pyodide-kernel lock",
        allow_abbrev=False,
        description="Write a pyodide-lock.json of all packages that a notebook imports, installs "
        "or says that it needs. With --lock a kernel loads these and no others.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a notebook, a script or a requirements file"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="what to write")
    parser.add_argument(
        "--download", action="store_true", help="put the packages beside it, for use offline"
    )
    add_package_settings(parser, without=("lock",))
    options = parser.parse_args(argv)
    logging.getLogger(__package__).addHandler(logging.NullHandler())  # what fails is said below
    values = {**setting_values(options, os.environ), "lock": ""}
    output = Path(options.output)
    if output.is_dir() or not output.absolute().parent.is_dir():
        raise ConfigurationError(f"--output: {output} is no file in a folder that is there")
    sources = [read_source(Path(name)) for name in options.files]
    packages = packages_of(values)
    try:
        wanted = wanted_by(sources, packages.distribution.lock.imports())
        entries = _resolve(packages, wanted, cache_folder(values.get("cache_dir", "")))
        if options.download:
            _download(packages, entries, output.absolute().parent)
        write_lock(output, packages.runtime, entries)
    finally:
        packages.close()
    sys.stdout.write(f"{output}: {len(entries)} packages\n")
    return 0


def _job() -> Job:
    return Job(cancelled=threading.Event(), report=_tell)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")


def _resolve(packages: Packages, wanted: Wanted, cache: Path) -> dict[str, dict[str, Any]]:
    """Entries by name. Raises PackageError."""
    constraints = tuple(text for need in wanted.needs for text in need.constraints)
    make = _bridge_maker(packages, cache, constraints)
    with GuestSession(make, packages.store, tell=_tell) as session:
        for (pre, deps), texts in _groups(wanted).items():
            session.install(texts, pre=pre, deps=deps)
        session.load(sorted(wanted.imported))
        loaded = session.loaded()
    _tell("")
    return _entries(packages, wanted, loaded)


def _bridge_maker(
    packages: Packages, cache: Path, constraints: tuple[str, ...]
) -> Callable[[Callable[[Message], None]], Bridge]:
    view = packages.view
    if view is None:
        raise PackageError(packages.problem)
    policy = Policy(packages=replace(view, constraints=(*view.constraints, *constraints)))

    def make(on_message: Callable[[Message], None]) -> Bridge:
        return deno_bridge(
            policy=policy,
            cache=cache,
            config=BridgeConfig(),
            on_message=on_message,
            on_ready=lambda _message: None,
            on_death=lambda death: log.warning("%s", death.cause),
            on_give_up=lambda death: log.error("%s", death.cause),
        )

    return make


def _groups(wanted: Wanted) -> dict[tuple[bool, bool], list[str]]:
    """Requirements by their options: --pre, and with what they need."""
    groups: dict[tuple[bool, bool], list[str]] = {}
    for need in wanted.needs:
        group = groups.setdefault((need.pre, need.deps), [])
        if need.requirement not in group:
            group.append(need.requirement)
    return groups


def _entries(
    packages: Packages, wanted: Wanted, loaded: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    by_digest = {
        package.sha256: package for package in packages.distribution.lock.packages.values()
    }
    locked: list[LockedPackage] = []
    wheels: list[Wheel] = []
    for name, folders in loaded.items():
        digest = Path(folders[0]).name
        if (package := by_digest.get(digest)) is not None:
            locked.append(package)
            continue
        try:
            file_name = packages.store.file_name(digest)
        except KeyError:
            raise PackageError(f"the interpreter claims a {name} that it was not given") from None
        version = file_name.split("-")[1]
        image = packages.cache.images / digest
        wheels.append(
            read_wheel(image, name=name, version=version, file_name=file_name, sha256=digest)
        )
    requirements = [need.requirement for need in wanted.needs]
    environment = marker_environment(packages.manifest.python)
    return lock_entries(wheels, locked, requirements, environment)


def _download(packages: Packages, entries: Mapping[str, Mapping[str, Any]], folder: Path) -> None:
    size = 0
    for entry in entries.values():
        target = folder / entry["file_name"]
        archive = packages.store.archive(entry["sha256"], _job())
        if not (target.exists() and archive.samefile(target)):
            _place(archive, target)
        size += target.stat().st_size
    _tell("")
    sys.stdout.write(f"{folder}: {len(entries)} archives, {format_size(size)}\n")


def _place(archive: Path, target: Path) -> None:
    """Copy a file so that it is there whole or not at all. Raises ConfigurationError."""
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".lock-") as scratch:
            new = Path(scratch) / target.name
            shutil.copyfile(archive, new)
            new.replace(target)
    except OSError as error:
        raise ConfigurationError(f"{target} can't be written: {error.strerror}") from error


def write_lock(output: Path, runtime: Path, entries: Mapping[str, Mapping[str, Any]]) -> None:
    """Write entries in the form of the lock file that Pyodide brings. Raises ConfigurationError."""
    own = json.loads((runtime / "pyodide" / "pyodide-lock.json").read_text("utf-8"))["info"]
    info = {name: own[name] for name in _INFO if name in own}
    text = json.dumps({"info": info, "packages": entries}, indent=1, sort_keys=True)
    try:
        with tempfile.TemporaryDirectory(dir=output.absolute().parent, prefix=".lock-") as scratch:
            new = Path(scratch) / "lock"
            new.write_text(f"{text}\n", "utf-8")
            new.replace(output)
    except OSError as error:
        raise ConfigurationError(f"{output} can't be written: {error.strerror}") from error
