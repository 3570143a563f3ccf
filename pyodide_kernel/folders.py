"""Where this system keeps a user's files."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

import platformdirs

MEMORY: Final = ":memory:"

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


def history_path(setting: str) -> Path | None:
    """The file that a setting names; without one, in the user's data folder.

    None keeps history in memory. The path is not absolute if the user has no data folder.
    """
    if setting == MEMORY:
        return None
    return Path(setting).absolute() if setting else user_folder("data") / "history.sqlite"
