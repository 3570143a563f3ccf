"""The forms of values that settings have, each from the text of one value."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

from pyodide_kernel.limits import (
    LEAST_MEMORY,
    LEAST_MESSAGE,
    LEAST_OPEN_FILES,
    MOST_MESSAGE,
    MOST_WORKERS,
)
from pyodide_kernel.mounts import parse_mount
from pyodide_kernel.network import read_grant
from pyodide_kernel.packages.lockfile import is_project_name


def read_seconds(text: str) -> float:
    """A finite number of seconds, 0 or more. Raises ValueError."""
    seconds = float(text)
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError
    return seconds


def read_duration(text: str) -> float:
    """A finite number of seconds above 0. Raises ValueError."""
    seconds = read_seconds(text)
    if seconds == 0:
        raise ValueError
    return seconds


_UNITS: Final = {
    **{"": 1, "b": 1},
    **{"k": 10**3, "m": 10**6, "g": 10**9},
    **{"kb": 10**3, "mb": 10**6, "gb": 10**9},
    **{"kib": 2**10, "mib": 2**20, "gib": 2**30},
}
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", re.ASCII)


def read_size(text: str) -> int:
    """A number of bytes, such as `100MB`, `1.5 GB`, `64MiB` or `5000`. Raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError
    try:
        return int(float(match[1]) * _UNITS[match[2].lower()])
    except (KeyError, OverflowError):
        raise ValueError from None


def read_memory(text: str) -> int:
    """A number of bytes in which an interpreter can run. Raises ValueError."""
    size = read_size(text)
    if not LEAST_MEMORY <= size <= 2**60:
        raise ValueError
    return size


def read_message_size(text: str) -> int:
    """A number of bytes that the pipe takes. Raises ValueError."""
    size = read_size(text)
    if not LEAST_MESSAGE <= size <= MOST_MESSAGE:
        raise ValueError
    return size


def read_workers(text: str) -> int:
    """A number of workers. Raises ValueError."""
    if not (text.isascii() and text.isdecimal()) or (number := int(text[:10])) > MOST_WORKERS:
        raise ValueError
    return number


def read_open_files(text: str) -> int:
    """A number of files with which an interpreter can run. Raises ValueError."""
    if not text.isdecimal() or not LEAST_OPEN_FILES <= (number := int(text[:10])) <= 2**20:
        raise ValueError
    return number


def read_mount(text: str) -> str:
    """The text itself. Raises ValueError if it does not have the form of a mount."""
    parse_mount(text)
    return text


def read_folder(text: str) -> str:
    """An absolute path, `~` replaced. Raises ValueError."""
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise ValueError
    return str(path)


def read_index(text: str) -> str:
    """The URL of a package index. Raises ValueError."""
    if not text.startswith(("http://", "https://")) or any(map(str.isspace, text)):
        raise ValueError
    return text


def read_name(text: str) -> str:
    """The name of a module or package. Raises ValueError."""
    if not is_project_name(name := text.strip()):
        raise ValueError
    return name


def read_path(text: str) -> str:
    """A path, or a URL. Raises ValueError if it is empty."""
    if not text.strip():
        raise ValueError
    return text


def read_place(text: str) -> str:
    """The text itself. Raises ValueError if it names nothing of the network."""
    read_grant(text)
    return text


def read_switch(text: str) -> bool:
    """0 or 1. Raises ValueError."""
    if text not in ("0", "1"):
        raise ValueError
    return text == "1"
