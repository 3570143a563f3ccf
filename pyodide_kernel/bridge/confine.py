"""The launcher: `python -I -S confine.py CONFINEMENT PROGRAM ARGUMENT…` becomes the program.

Runs as a script of its own, before Deno, so that what it sets applies to all of Deno and to nothing
else. CONFINEMENT is JSON: `parent_pid`, `report_fd`; `read`, `write` and `execute`, lists of paths;
`mounts`, pairs of a path without links and whether it may be written; `network`, false for none at
all; `limits`, resource limits by name without `RLIMIT_`; `nice`, how much others go before it;
`required`, layers without which the program is not started, and `needed_by`, what needs them.

It applies, where the system has them and without any privilege:

* no new privileges, and no core dumps;
* an empty network namespace;
* a mount namespace in which all but what may be written is read-only, modes, owners and times
  included, which Landlock does not guard;
* Landlock: files outside the lists can't be opened, whatever link leads to them, TCP can't be used,
  and no process outside the sandbox can be signalled;
* death with the thread of the host that started it. This comes last, since a change of credentials
  would clear it.

Before exec it writes to `report_fd`, as JSON, which layers are active and why others are not. On
other systems than Linux Deno's own permissions are the only layer.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000

# Landlock: include/uapi/linux/landlock.h. The numbers are the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_FS_EXECUTE, _FS_WRITE_FILE, _FS_READ_FILE, _FS_READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_FS_REFER, _FS_TRUNCATE, _FS_IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_FS_FIRST_VERSION = (1 << 13) - 1
_FS_FILE_RIGHTS = _FS_EXECUTE | _FS_WRITE_FILE | _FS_READ_FILE | _FS_TRUNCATE | _FS_IOCTL_DEV
_FS_MAKE_CHAR, _FS_MAKE_SOCK, _FS_MAKE_FIFO, _FS_MAKE_BLOCK, _FS_MAKE_SYM = (
    1 << 6,
    1 << 9,
    1 << 10,
    1 << 11,
    1 << 12,
)
_FS_SPECIAL = _FS_MAKE_CHAR | _FS_MAKE_SOCK | _FS_MAKE_FIFO | _FS_MAKE_BLOCK | _FS_MAKE_SYM
"""What code never makes nor moves in a mount. A link moved to another depth leads elsewhere, and
programs of the host would follow it."""

_NET_TCP = 0b11
_SCOPE_ALL = 0b11


# Mounts: include/uapi/linux/mount.h, Linux 5.12. The numbers are the same on all architectures.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_EMPTY_PATHS = 0x4 | 0x40
_MOUNT_ATTR_RDONLY = 1
_MS_SLAVE = 1 << 19


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _limit(limits: Mapping[str, int]) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(number)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        resource.setrlimit(number, (value, value))


def _unshare(flags: int) -> None:
    """Move into namespaces of its own, and into a user namespace if that is needed for it."""
    libc = _libc()
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(flags) == 0:
        return
    _checked(libc.unshare(_CLONE_NEWUSER | flags), "unshare")
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        descriptor = os.open(f"/proc/self/{name}", os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def _make_read_only(writable: Iterable[str]) -> None:
    """Make all file systems read-only in a mount namespace of its own, but for some paths.

    What the host mounts and unmounts later is seen, so that no disk is kept in use.
    """
    _unshare(_CLONE_NEWNS)
    _set_mounts(propagation=_MS_SLAVE)
    # Copies made before, so that what the host has mounted read-only inside them stays so.
    places = [place for path in writable if (place := _open_mountable(path)) is not None]
    trees = [(place, _copy_mounts(place)) for place in places]
    # A system that denies this is to deny it here, when no harm is done yet: AppArmor can.
    for place in places:
        _attach(_copy_mounts(place), place)
    _set_mounts(attr_set=_MOUNT_ATTR_RDONLY)
    for place, tree in trees:
        _attach(tree, place)
        os.close(place)


def _set_mounts(**attributes: int) -> None:
    change = _MountAttributes(**attributes)
    size = ctypes.c_size_t(ctypes.sizeof(change))
    arguments = (_AT_FDCWD, b"/", _AT_RECURSIVE, ctypes.byref(change), size)
    _checked(_libc().syscall(_MOUNT_SETATTR, *arguments), "mount_setattr")


def _open_mountable(path: str) -> int | None:
    """A descriptor that stands for a path; None if there is nothing.

    Sockets need none: writing to one is no writing to its file system.
    """
    try:
        place = _open_real(path)
    except FileNotFoundError:
        return None
    if stat.S_ISSOCK(os.fstat(place).st_mode):
        os.close(place)
        return None
    return place


def _copy_mounts(place: int) -> int:
    """A copy of what is mounted from a place on, attached nowhere."""
    flags = _OPEN_TREE_CLONE | _AT_EMPTY_PATH | _AT_RECURSIVE | os.O_CLOEXEC
    return _checked(_libc().syscall(_OPEN_TREE, place, b"", flags), "open_tree")


def _attach(tree: int, place: int) -> None:
    arguments = (tree, b"", place, b"", _MOVE_MOUNT_EMPTY_PATHS)
    _checked(_libc().syscall(_MOVE_MOUNT, *arguments), "move_mount")
    os.close(tree)


def _open_real(path: str) -> int:
    """A descriptor that stands for a path, which must not have become a link."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if (found := os.readlink(f"/proc/self/fd/{descriptor}")) != path:  # noqa: PTH115
        os.close(descriptor)
        raise OSError(f"{path} has become a link to {found}")
    return descriptor


def landlock_version() -> int:
    """The version of Landlock's interface. Raises OSError if the system has or allows none."""
    return _checked(
        _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _CREATE_RULESET_VERSION),
        "Landlock",
    )


def _landlock(confinement: Mapping[str, Any]) -> int:
    """Restrict this process to the listed paths; the version of Landlock's interface."""
    libc = _libc()
    version = landlock_version()
    rights = _FS_FIRST_VERSION
    for since, right in ((2, _FS_REFER), (3, _FS_TRUNCATE), (5, _FS_IOCTL_DEV)):
        rights |= right if version >= since else 0
    attributes = _RulesetAttributes(
        rights,
        _NET_TCP if version >= 4 and not confinement["network"] else 0,
        _SCOPE_ALL if version >= 6 else 0,
    )
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = _checked(
        libc.syscall(
            _CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0)
        ),
        "Landlock",
    )
    read = _FS_READ_FILE | _FS_READ_DIR
    write = rights & ~(_FS_EXECUTE | _FS_IOCTL_DEV)
    _allow(libc, ruleset, confinement["execute"], read | _FS_EXECUTE)
    _allow(libc, ruleset, confinement["read"], read)
    _allow(libc, ruleset, confinement["write"], write)
    for path, writable in confinement["mounts"]:
        _allow(libc, ruleset, [path], write & ~_FS_SPECIAL if writable else read, real=True)
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0), "Landlock")
    os.close(ruleset)
    return version


def _allow(
    libc: ctypes.CDLL, ruleset: int, paths: Iterable[str], rights: int, *, real: bool = False
) -> None:
    """Allow what there is at the paths; with `real`, none of them may have become a link."""
    for path in paths:
        try:
            descriptor = _open_real(path) if real else os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            # pathlib would double the start-up time.
            folder = os.path.isdir(path)  # noqa: PTH112
            rule = _PathBeneath(rights if folder else rights & _FS_FILE_RIGHTS, descriptor)
            _checked(
                libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0),
                f"Landlock rule for {path}",
            )
        finally:
            os.close(descriptor)


def _die_with_parent(parent_pid: int) -> None:
    _checked(_libc().prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0), "prctl")
    if os.getppid() != parent_pid:
        raise SystemExit("the host has ended")


def confine(confinement: Mapping[str, Any]) -> dict[str, str]:
    """Apply every layer that the system offers; what each came to, `active…` or the reason."""
    layers: dict[str, str] = {}

    def layer(name: str, apply: Callable[[], object]) -> None:
        try:
            result = apply()
            layers[name] = "active" if result is None else f"active, version {result}"
        except (OSError, ValueError, AttributeError) as error:
            layers[name] = getattr(error, "strerror", None) or str(error)

    if sys.platform == "win32":
        return layers
    layer("resource limits", lambda: _limit(confinement["limits"]))
    os.nice(confinement["nice"])
    if not sys.platform.startswith("linux"):
        return layers
    layer(
        "no new privileges",
        lambda: _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl") or None,
    )
    if not confinement["network"]:
        layer("network namespace", lambda: _unshare(_CLONE_NEWNET))
    writable = [*confinement["write"], *(path for path, may in confinement["mounts"] if may)]
    layer("read-only file systems", lambda: _make_read_only(writable))
    layer("Landlock", lambda: _landlock(confinement))
    layer("death with the host", lambda: _die_with_parent(confinement["parent_pid"]))
    return layers


def main(arguments: list[str]) -> None:
    """Confine this process and exec the program. Does not return."""
    confinement = json.loads(arguments[0])
    layers = confine(confinement)
    with os.fdopen(confinement["report_fd"], "w") as report:
        json.dump(layers, report)
    for name in confinement["required"]:
        if not layers.get(name, "not on this system").startswith("active"):
            what = confinement.get("needed_by", "the mounts need")
            raise SystemExit(f"{what} {name}: {layers.get(name, 'not on this system')}")
    os.execve(arguments[1], arguments[1:], dict(os.environ))


if __name__ == "__main__":
    main(sys.argv[1:])
