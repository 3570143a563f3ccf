"""Paths for a guest with mounts full of links: it reads what lies in them, or gets an OSError."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from mounted import MountedGuest, mounted_guest

from pyodide_kernel.mounts import Mount

PORTION: Final = 20_000
"""Paths in one cell."""

SECRET: Final = "the secret"

_CELL: Final = """
import os, random, json
generator = random.Random({seed})
parts = {parts!r}
starts = ("/mnt/rw", "/mnt/ro", "/mnt", "/mnt/rw/d", "", "/", "//mnt//rw", "/mnt/rw/d/e/..")
def read(path):
    fd = os.open(path, os.O_RDONLY)
    try: return os.read(fd, 100)
    finally: os.close(fd)
def listed(path):
    return os.listdir(path)
def written(path):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.close(fd)
calls = (read, read, listed, os.stat, os.lstat, os.path.realpath, os.readlink, written, os.chmod)
outcomes, found = {{"taken": 0, "refused": 0}}, []
for number in range({count}):
    names = generator.choices(parts, k=generator.randrange(7))
    path = "/".join((generator.choice(starts), *names))
    call = generator.choice(calls)
    try:
        value = call(path, 0o644) if call is os.chmod else call(path)
    except OSError:
        outcomes["refused"] += 1
        continue
    except ValueError as error:
        assert "null" in str(error) or isinstance(error, UnicodeEncodeError), (path, error)
        outcomes["refused"] += 1
        continue
    outcomes["taken"] += 1
    if value == {secret!r} or (call is listed and "secret.txt" in value):
        found.append(path)
print(json.dumps([outcomes, found]))
"""

_PARTS: Final = (
    *(["..", ".", "d", "e", "a", "out", "up", "file", "loop", "self", "inside", "new"] * 4),
    *("secret.txt", "", " ", "é", "\ud800", "\0", "x" * 255, "x" * 256, "a/", "..\\", "%2e%2e"),
    *("proc", "etc", "fifo", "dangling", "absolute", "...", "~", "d/../..", "nowhere"),
)


def fuzz(count: int, seed: int, base: Path) -> dict[str, int]:
    """Try `count` paths in a guest. Raises AssertionError if one of them leads out."""
    mounts = _make_world(base)
    before = _outside(base)
    total = {"taken": 0, "refused": 0}
    with mounted_guest(*mounts) as guest:
        for begin in range(0, count, PORTION):
            outcomes, found = _portion(guest, min(PORTION, count - begin), seed + begin)
            assert not found, f"these lead out (seed {seed + begin}): {found[:5]}"
            for name in total:
                total[name] += outcomes[name]
        assert not guest.deaths, guest.deaths
    assert _outside(base) == before
    return total


def _portion(guest: MountedGuest, count: int, seed: int) -> tuple[dict[str, int], list[str]]:
    code = _CELL.format(seed=seed, count=count, parts=_PARTS, secret=SECRET.encode())
    outcomes, found = json.loads(guest.run(code, timeout_s=600))
    return outcomes, found


def _make_world(base: Path) -> tuple[Mount, Mount]:
    rw, ro, out = (base / name for name in ("rw", "ro", "out"))
    for folder in (rw / "d" / "e", ro / "d", out / "d"):
        folder.mkdir(parents=True)
    (out / "secret.txt").write_text(SECRET)
    for folder in (rw, rw / "d", rw / "d" / "e", ro, ro / "d"):
        (folder / "a").write_text("mine")
        for name, target in (
            ("out", str(out)),
            ("up", "../out"),
            ("file", str(out / "secret.txt")),
            ("loop", "loop"),
            ("self", "/proc/self/root"),
            ("inside", "a"),
            ("dangling", str(out / "made")),
            ("absolute", str(rw / "d")),
            ("nowhere", ".."),
        ):
            (folder / name).symlink_to(target)
    os.mkfifo(rw / "fifo")
    return (
        Mount(host=rw, guest="/mnt/rw", writable=True),
        Mount(host=ro, guest="/mnt/ro", writable=False),
    )


def _outside(base: Path) -> list[tuple[str, int, int]]:
    """What must stay as it is: all but the writable mount. Not the modes: see docs/security.md."""
    places = [*(base / "out").rglob("*"), *(base / "ro").rglob("*")]
    infos = [(str(path), path.lstat()) for path in sorted(places)]
    return [(name, info.st_mtime_ns, info.st_size) for name, info in infos]
