"""Folders and files of the host that the code may see: how they are written, what is refused.

Pure, but for the questions that a `Disk` answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Literal, Protocol

from pyodide_kernel.errors import ConfigurationError

FORM: Final = "PATH[=/mnt/NAME][:ro|:rw]"

_SYSTEM_FOLDERS: Final = tuple(map(Path, ("/proc", "/sys", "/dev")))
_GUEST: Final = re.compile(r"/mnt/([^/:\x00-\x1f\x7f]+)/?")
"""No colon, so that a mistyped mode is none of the name."""

_MODES: Final = {":ro": False, ":rw": True}

Kind = Literal["folder", "file", "other"]


class Disk(Protocol):
    """What has to be asked about the host's files."""

    def real(self, path: str) -> Path:
        """The absolute path without links; `~` is the home folder. Raises OSError."""

    def kind(self, path: Path) -> Kind:
        """What there is. Raises OSError."""

    def readable(self, path: Path) -> bool:
        """Whether this user may read it and, of a folder, enter it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file or folder of the host that the kernel depends on."""

    name: str
    path: Path
    secret: bool = False
    """Whether code must not even read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRequest:
    """A mount as the user wrote it."""

    text: str
    path: str
    guest: str
    """Where it is to be seen; empty for the default name."""
    writable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder or file of the host, seen under /mnt/."""

    host: Path
    """Absolute and without links."""
    guest: str
    writable: bool
    file: bool = False

    def boot_value(self) -> dict[str, Any]:
        """For the boot message."""
        return {
            "host": str(self.host),
            "guest": self.guest,
            "writable": self.writable,
            "file": self.file,
        }


def parse_mount(text: str) -> MountRequest:
    """Read one `--mount`. Raises ValueError if it does not have the form."""
    rest, mode = (text[:-3], text[-3:]) if text[-3:] in _MODES else (text, ":rw")
    path, separator, guest = rest.rpartition("=")
    if not (separator and guest.startswith("/")):  # year=2024 is a path
        path, guest = rest, ""
    if not path or "\0" in path or (guest and not _is_guest_path(guest)):
        raise ValueError
    return MountRequest(text=text, path=path, guest=guest.rstrip("/"), writable=_MODES[mode])


def _is_guest_path(text: str) -> bool:
    match = _GUEST.fullmatch(text)
    return match is not None and match[1] not in (".", "..") and _is_unicode(text)


def default_guest(host: Path) -> str:
    """Where a folder is seen if the user gives no name for it."""
    return "/mnt/" + re.sub(r"[^A-Za-z0-9_-]", "_", str(host))


def resolve_mounts(
    requests: Iterable[MountRequest], *, disk: Disk, places: Sequence[Place]
) -> tuple[Mount, ...]:
    """The mounts asked for. Raises ConfigurationError with the reason for the first refused one."""
    mounts = tuple(_resolve(request, disk, places) for request in requests)
    for one, other in combinations(mounts, 2):
        if overlap(one.host, other.host):
            raise ConfigurationError(
                f"--mount: {one.host} and {other.host} overlap; mount only one of them, "
                "or two folders of which neither lies in the other"
            )
        if one.guest == other.guest:
            raise ConfigurationError(
                f"--mount: {one.host} and {other.host} would both be {one.guest}; "
                "name one of them with PATH=/mnt/NAME"
            )
    return mounts


def _resolve(request: MountRequest, disk: Disk, places: Sequence[Place]) -> Mount:
    def refuse(reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"--mount: {request.text!r} can't be mounted: {reason} (the form is {FORM})"
        )

    try:
        host = disk.real(request.path)
        kind = disk.kind(host)
    except OSError as error:
        raise refuse(f"{request.path!r}: {error.strerror or error}") from error
    problem = path_problem(host) or (
        f"{host} is neither a file nor a folder" if kind == "other" else ""
    )
    if not problem and not disk.readable(host):
        problem = f"{host} can't be read"
    problem = problem or next(
        (found for place in places if (found := _conflict(host, request.writable, place))), ""
    )
    if problem:
        raise refuse(problem)
    return Mount(
        host=host,
        guest=request.guest or default_guest(host),
        writable=request.writable,
        file=kind == "file",
    )


def path_problem(path: Path) -> str:
    """Why no mount can be at this place, whatever there is; empty if one can."""
    if path == Path(path.anchor):
        return "it is the whole file system"
    if system := [folder for folder in _SYSTEM_FOLDERS if path.is_relative_to(folder)]:
        return f"it belongs to {system[0]}, which is the system's"
    if not _is_unicode(str(path)):
        return "its name is not Unicode"
    if "," in str(path):  # neither ,, nor an URL nor quotes, tried with 2.9.8
        return "there is a comma in its path, with which Deno can't be told of it"
    return ""


def _conflict(host: Path, writable: bool, place: Place) -> str:
    if not (writable or place.secret) or not overlap(host, place.path):
        return ""
    relation = "lies in" if host.is_relative_to(place.path) else "holds"
    where = f"it {relation} {place.name}, {place.path}"
    if place.secret:
        return f"{where}, which code must not read"
    return f"{where}, and would be writable; mount it with :ro, or a folder beside that"


def cwd_problem(
    cwd: Path, *, disk: Disk, home: Path | None, places: Iterable[Place], mounts: Iterable[Mount]
) -> str:
    """Why the working directory is better not mounted; empty if it may be."""
    if problem := path_problem(cwd):
        return problem
    if not disk.readable(cwd):
        return "it can't be read"
    if home is not None and home.is_relative_to(cwd):
        return "it is your home folder" if cwd == home else "it holds your home folder"
    for place in places:
        if place.path.is_relative_to(cwd) or (place.secret and overlap(cwd, place.path)):
            return f"it holds {place.name}, {place.path}"
    for mount in mounts:
        if overlap(cwd, mount.host):
            return f"it holds the mount {mount.host}"
        if default_guest(cwd) == mount.guest:
            return f"{mount.host} has its name, {mount.guest}"
    return ""


def guest_path(host: Path, mounts: Iterable[Mount]) -> str | None:
    """Where code sees a folder of the host, or None if it does not."""
    for mount in mounts:
        if not mount.file and host.is_relative_to(mount.host):
            return "/".join((mount.guest, *host.relative_to(mount.host).parts))
    return None


def overlap(one: Path, other: Path) -> bool:
    """Whether one lies in the other, or they are the same."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
