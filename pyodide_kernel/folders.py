"""Where this system keeps a user's files."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import platformdirs

_FIND: Final = {"cache": platformdirs.user_cache_dir, "data": platformdirs.user_data_dir}


def cache_folder(chosen: str = "") -> Path:
    """The folder for cached files: the chosen one, else that of `user_folder`."""
    return Path(chosen).expanduser() if chosen else user_folder("cache")


def user_folder(kind: Literal["cache", "data"]) -> Path:
    """Our folder for cached files or for data; not absolute if the user has no home folder."""
    try:
        return Path(_FIND[kind]("pyodide-kernel", appauthor=False))
    except RuntimeError:  # no HOME, and a user whom the system does not know
        return Path("~", "pyodide-kernel")
