"""What a kernel may touch and use up: one immutable value, from which all else is computed.

Deno's arguments, the worker's permissions and Landlock's lists are made of it in `bridge/deno.py`,
the boot message in `bridge/boot.py`. Pure; `surroundings.py` looks at the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.limits import DEFAULTS, Limits, format_size
from pyodide_kernel.mounts import (
    FORM,
    Disk,
    Mount,
    Place,
    cwd_problem,
    default_guest,
    guest_path,
    parse_mount,
    resolve_mounts,
)
from pyodide_kernel.network import FORM as NETWORK_FORM
from pyodide_kernel.network import Network, read_grant

HOME: Final = "/home/pyodide"
"""The guest's home folder, in memory; its working directory if no folder of the host is."""

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


NO_NETWORK: Final = Network()


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """The settings that a policy is made of; each is the value of the trait of that name."""

    mount: Sequence[str] = ()
    cwd: bool = True
    allow_net: Sequence[str] = ()
    allow_env: Sequence[str] = ()
    memory_limit: int = DEFAULTS.memory_bytes
    open_files: int = DEFAULTS.open_files
    cell_timeout: float = DEFAULTS.cell_timeout_s
    message_limit: int = DEFAULTS.message_bytes
    workers: int = DEFAULTS.workers
    write_limit: int = DEFAULTS.written_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a policy has to know of the host."""

    disk: Disk
    cwd: Path | None
    """Working directory of the kernel, without links; None if there is none any more."""
    home: Path | None
    places: Sequence[Place]
    environ: Mapping[str, str]
    landlock_problem: str
    """Why Landlock can't be used; empty if it can."""
    is_root: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageView:
    """What an interpreter sees of packages."""

    images: Path
    """The folder of their images, which it may read."""
    imports: Mapping[str, str] = field(default_factory=dict)
    """Packages that can be had, by the modules in them."""
    lock: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Their versions and what they need, by name."""
    preload: tuple[str, ...] = ()
    """Modules that are imported before the first cell."""
    constraints: tuple[str, ...] = ()
    """Requirements that say which versions are allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a kernel may touch and use up."""

    mounts: tuple[Mount, ...] = ()
    cwd: str = HOME
    """Working directory of the guest."""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of the host that the guest gets."""
    network: Network = NO_NETWORK
    """What of the network the host fetches for it; it has none itself."""
    limits: Limits = DEFAULTS
    packages: PackageView | None = None
    """Packages that it may load; none if it is None."""
    notices: tuple[str, ...] = ()
    """What the user should know, each a line for the log."""

    @property
    def needs_landlock(self) -> bool:
        """Whether it can be kept only with Landlock.

        Deno checks where a link lies, not where it leads to.
        """
        return bool(self.mounts)

    @property
    def own_folders(self) -> tuple[Path, ...]:
        """Folders of ours, beside the runtime, that it may read: nothing of the user's."""
        return (self.packages.images,) if self.packages is not None else ()

    @property
    def readable(self) -> tuple[Path, ...]:
        """Folders and files of the host that may be read."""
        return tuple(mount.host for mount in self.mounts)

    @property
    def writable(self) -> tuple[Path, ...]:
        """Those of them that may be changed."""
        return tuple(mount.host for mount in self.mounts if mount.writable)

    def shows(self, path: Path) -> bool:
        """Whether a path of the host lies in a mount."""
        return any(path.is_relative_to(host) for host in self.readable)


def read_variable_name(text: str) -> str:
    """The name of an environment variable. Raises ValueError if it is none."""
    if _VARIABLE.fullmatch(name := text.strip()) is None:
        raise ValueError
    return name


def make_policy(grants: Grants, surroundings: Surroundings) -> Policy:
    """Check everything once. Raises ConfigurationError with option, value and reason."""
    mounts = _explicit_mounts(grants, surroundings)
    notices = []
    if surroundings.is_root and (writable := [mount for mount in mounts if mount.writable]):
        notices.append(
            "Running as root: code may change "
            + " and ".join(str(mount.host) for mount in writable)
            + " whoever owns it"
        )
    host = surroundings.cwd
    cwd = guest_path(host, mounts) if host is not None else None
    if cwd is None and grants.cwd:
        if problem := _cwd_problem(mounts, surroundings):
            notices.append(
                f"The working directory {host or ''} is not mounted: {problem}. "
                "--mount PATH shows code a folder, --no-cwd silences this"
            )
        elif host is not None:
            cwd = default_guest(host)
            mounts += (Mount(host=host, guest=cwd, writable=False),)
    return Policy(
        mounts=mounts,
        cwd=cwd or HOME,
        env=_variables(grants.allow_env, surroundings.environ),
        network=_network(grants.allow_net),
        limits=Limits(
            memory_bytes=grants.memory_limit,
            open_files=grants.open_files,
            cell_timeout_s=grants.cell_timeout,
            message_bytes=grants.message_limit,
            workers=grants.workers,
            written_bytes=grants.write_limit,
        ),
        notices=tuple(notices),
    )


def _explicit_mounts(grants: Grants, surroundings: Surroundings) -> tuple[Mount, ...]:
    requests = []
    for text in grants.mount:
        try:
            requests.append(parse_mount(text))
        except ValueError:
            raise ConfigurationError(f"--mount: {text!r} is not {FORM}") from None
    if requests and surroundings.landlock_problem:
        raise ConfigurationError(
            f"--mount: {requests[0].text!r} can't be mounted: only Landlock keeps code from "
            "following links out of it, and that is not to be had here: "
            f"{surroundings.landlock_problem}"
        )
    return resolve_mounts(requests, disk=surroundings.disk, places=surroundings.places)


def _cwd_problem(mounts: Sequence[Mount], surroundings: Surroundings) -> str:
    if surroundings.cwd is None:
        return "it does not exist any more"
    if surroundings.landlock_problem:
        return f"Landlock is not to be had ({surroundings.landlock_problem})"
    return cwd_problem(
        surroundings.cwd,
        disk=surroundings.disk,
        home=surroundings.home,
        places=surroundings.places,
        mounts=mounts,
    )


def _variables(names: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    for name in names:
        try:
            read_variable_name(name)
        except ValueError:
            raise ConfigurationError(
                f"--allow-env: {name!r} is not the name of an environment variable"
            ) from None
    return {name: environ[name] for name in names if name in environ}


def _network(texts: Sequence[str]) -> Network:
    places = []
    for text in texts:
        try:
            places.append(read_grant(text))
        except ValueError:
            raise ConfigurationError(f"--allow-net: {text!r} is not {NETWORK_FORM}") from None
    named = tuple(dict.fromkeys(place for place in places if place is not None))
    return Network(public=None in places, places=named)


def explain(policy: Policy) -> list[str]:
    """The policy in sentences, one a line."""
    limits = policy.limits
    time = f"{limits.cell_timeout_s:g} s" if limits.cell_timeout_s else "no limit"
    written = format_size(limits.written_bytes) if limits.written_bytes else "no limit"
    return [
        *(map(_explain_mount, policy.mounts) if policy.mounts else ["files of the host: none"]),
        f"working directory: {policy.cwd}",
        f"network: {_explain_network(policy.network)}",
        f"variables of the host: {', '.join(policy.env) or 'none'}",
        f"memory: {format_size(limits.memory_bytes)}",
        f"open files: {limits.open_files}",
        f"workers of its own: {limits.workers}",
        f"time for a cell: {time}",
        f"one message: {format_size(limits.message_bytes)}",
        *([f"written to mounts: {written}"] if policy.writable else []),
    ]


def _explain_mount(mount: Mount) -> str:
    if not mount.writable:
        return f"{mount.guest}: {mount.host}, read-only"
    return (
        f"{mount.guest}: {mount.host}, may be changed; "
        "notebooks, modules and hooks written there may later run on the host"
    )


def _explain_network(network: Network) -> str:
    if not network.granted:
        return "none"
    public = ["all public addresses"] if network.public else []
    return f"{', '.join([*public, *map(str, network.places)])}; http and https only"
