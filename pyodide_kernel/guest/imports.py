"""What code imports, and on whose behalf an import runs."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final

PACKAGES: Final = "/lib/packages"
"""Where loaded packages are."""

LIBRARIES: Final = "/lib/libraries"
"""Where libraries are that several of them share; the dynamic linker is told of it."""

_NOT_THE_USERS: Final = (
    f"{Path(os.__file__).parent}/",
    f"{PACKAGES}/",
    f"{Path(__file__).parents[2]}/",
    "<frozen ",
)
"""Files that are not the user's: standard library, packages, and this one."""


def imported_modules(code: str) -> list[str]:
    """Top-level names of the modules that Python code imports, anywhere in it; none if it has a
    syntax error, which running it will show."""
    if "import" not in code:
        return []
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return list(dict.fromkeys(_names(tree)))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def is_for_user(frame: FrameType | None) -> bool:
    """Whether what is imported is needed by the user's code.

    True if the user's own code imports it, or calls a library that does. A library that is itself
    being imported only looks whether it is there: pandas does so for a dozen packages.
    """
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith(_NOT_THE_USERS):
            return True
        if code.co_name == "<module>":
            return False
        frame = frame.f_back
    return False
