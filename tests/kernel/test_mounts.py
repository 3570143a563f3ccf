"""Folders of the host in the guest, against the real file system."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_operations import OPERATIONS, PRELUDE, furnish, tree
from mounted import Mount, MountedGuest, mounted_guest

pytestmark = pytest.mark.deno


class World:
    """A guest, and the folders of the host that it sees and doesn't see."""

    def __init__(self, guest: MountedGuest, base: Path) -> None:
        self.guest = guest
        self.rw = base / "rw"
        self.ro = base / "ro"
        self.outside = base / "outside"
        self.twin = base / "twin"

    def run(self, code: str, **options: Any) -> str:
        return self.guest.run(code, **options)

    def value(self, code: str, **options: Any) -> Any:
        """The value of the last line of some code, which has to be an expression."""
        *lines, last = code.strip().splitlines()
        text = "\n".join(["import json, os, shutil", "from pathlib import Path", *lines])
        return json.loads(self.run(f"{text}\nprint(json.dumps({last}))", **options))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    base = tmp_path_factory.mktemp("mounts")
    for name in ("rw", "ro", "outside", "twin"):
        (base / name).mkdir()
    (base / "single.txt").write_text("single")
    mounts = [
        Mount(host=base / "rw", name="rw"),
        Mount(host=base / "ro", name="ro", writable=False),
        Mount(host=base / "single.txt", name="single.txt"),
    ]
    with mounted_guest(*mounts) as guest:
        guest.run("alive = True")
        world = World(guest, base)
        yield world
        assert not guest.deaths
        assert world.value("alive")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_python_does_comes_out_as_it_does_natively(world: World, name: str) -> None:
    ours, theirs = world.rw / name, world.twin / name
    furnish(ours)
    furnish(theirs)
    code = f"{PRELUDE}\nnotes = []\n{OPERATIONS[name]}\n"
    native: dict[str, Any] = {"root": str(theirs)}
    exec(compile(code, name, "exec"), native)
    printed = world.run(
        f"root = {f'/mnt/rw/{name}'!r}\n{code}\nimport json\nprint(json.dumps(notes))"
    )
    assert json.loads(printed) == native["notes"]
    assert tree(ours) == tree(theirs)
