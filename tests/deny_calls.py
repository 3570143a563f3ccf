"""Runs a program on a system that denies some system calls, as container runtimes do.

`python deny_calls.py NUMBER,... PROGRAM ARGUMENT...`: each of the calls fails with EPERM.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from typing import Final

UNSHARE: Final = {"x86_64": 272, "aarch64": 97}.get(platform.machine(), 0)
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERROR = 0x7FFF0000, 0x00050000


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("jt", ctypes.c_uint8),
        ("jf", ctypes.c_uint8),
        ("k", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


def deny(calls: list[int]) -> None:
    """Deny system calls to this process and all that it starts."""
    instructions = [_Instruction(_LOAD, 0, 0, 0)]
    for number in calls:
        instructions += [
            _Instruction(_JUMP_IF_EQUAL, 0, 1, number),
            _Instruction(_RETURN, 0, 0, _ERROR | errno.EPERM),
        ]
    instructions.append(_Instruction(_RETURN, 0, 0, _ALLOW))
    array = (_Instruction * len(instructions))(*instructions)
    program = _Program(len(instructions), array)
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program)),
    ):
        if libc.prctl(*arguments) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    deny([int(number) for number in sys.argv[1].split(",")])
    os.execv(sys.argv[2], sys.argv[2:])
