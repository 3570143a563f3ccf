"""The launcher: `python -I -S confine.py CONFINEMENT PROGRAM ARGUMENT…` becomes the program.

Runs as a script of its own, before Deno, so that what it sets applies to all of Deno and to nothing
else. CONFINEMENT is JSON: `parent_pid`, `report_fd`; `read`, `write` and `execute`, lists of paths;
`mounts`, pairs of a path without links and whether it may be written; `network`, false for none at
all; `limits`, resource limits by name without `RLIMIT_`; `nice`, how much others go before it;
`required`, layers without which the program is not started, and `needed_by`, what needs them.

It applies, where the system has them and without any privilege:

* no new privileges, and no core dumps;
* an empty network namespace;
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
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
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


def _leave_network() -> None:
    """Move into a network namespace of its own, in a user namespace if that needs one."""
    libc = _libc()
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return
    _checked(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET), "unshare")
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
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if real and (found := os.readlink(f"/proc/self/fd/{descriptor}")) != path:  # noqa: PTH115
                raise OSError(f"{path} has become a link to {found}")
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
            layers[name] = str(error)

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
        layer("network namespace", _leave_network)
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
