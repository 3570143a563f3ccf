"""What Python does with files: snippets that run in the guest and natively, to be compared.

Each snippet runs in a folder of its own, whose path is `root`, with these things in it:

    a.txt      "hello\n"
    b.bin      bytes(range(256))
    empty/     nothing
    full/      one.txt, two.txt, deep/three.txt
    link       to a.txt
    folder     a link to full
    nowhere    a link to nothing
    loop       a link to itself

`show(value)` notes a value, `attempt(function, …)` notes its result or its exception.
"""

from __future__ import annotations

import os
from pathlib import Path

from file_operations.attributes import ATTRIBUTES
from file_operations.contents import CONTENTS
from file_operations.folders import FOLDERS
from file_operations.programs import PROGRAMS

OPERATIONS = CONTENTS | FOLDERS | ATTRIBUTES | PROGRAMS

PRELUDE = r"""
import errno, glob, io, os, pathlib, shutil, stat, sys, tempfile, time
from pathlib import Path

def show(*values):
    notes.extend(repr(value).replace(root, "ROOT") for value in values)

def attempt(function, *arguments, **options):
    try:
        value = function(*arguments, **options)
    except Exception as error:
        name = type(error).__name__
        number = getattr(error, "errno", None)
        notes.append(f"{name} {errno.errorcode.get(number, number)}" if number else name)
    else:
        show(value)

def content(name):
    return Path(root, name).read_bytes()

def opened(name, flags, mode=0o666):
    fd = os.open(at(name), flags, mode)
    os.close(fd)
    return True

def at(*names):
    return os.path.join(root, *names)
"""


def furnish(root: Path) -> None:
    """Puts into a folder what every snippet finds."""
    root.mkdir()
    (root / "a.txt").write_text("hello\n")
    (root / "b.bin").write_bytes(bytes(range(256)))
    (root / "empty").mkdir()
    (root / "full" / "deep").mkdir(parents=True)
    for name in ("one.txt", "two.txt", "deep/three.txt"):
        (root / "full" / name).write_text(name)
    for name, target in (
        ("link", "a.txt"),
        ("folder", "full"),
        ("nowhere", "nothing"),
        ("loop", "loop"),
    ):
        (root / name).symlink_to(target)


def tree(root: Path) -> dict[str, tuple[str, object]]:
    """Everything below a folder: kind and permissions, and content, target or nothing."""
    found: dict[str, tuple[str, object]] = {}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(folder, name)
            key = path.relative_to(root).as_posix()
            if path.is_symlink():
                found[key] = ("link", str(path.readlink()))
            elif path.is_dir():
                found[key] = (oct(path.stat().st_mode), None)
            else:
                found[key] = (oct(path.stat().st_mode), path.read_bytes())
    return found
