"""Random operations on files, in the guest and natively: same outcomes, same trees."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from file_operations import PRELUDE, tree
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mounted import World

pytestmark = pytest.mark.deno

NAMES = ("a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a", "link", "way", "way/a", "way/b")
ODD = ("a/", "d/", "d/.", "./b", "d/../a", "way/../a", "d/e/../b", "d//a", "link/", ".")
paths = st.sampled_from(NAMES) | st.sampled_from(NAMES + ODD)
movable = paths.filter(lambda path: path.rstrip("/") not in ("link", "way"))  # links stay
modes = st.sampled_from(("r", "w", "a", "x", "r+", "w+", "a+", "x+"))
flags = st.lists(
    st.sampled_from(("CREAT", "EXCL", "TRUNC", "APPEND", "DIRECTORY", "NOFOLLOW")), max_size=3
)
flags = flags.filter(lambda names: not {"CREAT", "DIRECTORY"} <= set(names))  # kernels differ
access = st.sampled_from(("RDONLY", "WRONLY", "RDWR"))


def expression(template: str, **parts: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(parts).map(lambda values: template.format(**values))


operations = st.one_of(
    expression("use({path!r}, {mode!r})", path=paths, mode=modes),
    expression("opened({path!r}, {bits})", path=paths, bits=st.builds(
        lambda way, others: " | ".join(f"os.O_{name}" for name in (way, *others)), access, flags
    )),
    expression("os.{name}(at({path!r}))", path=paths, name=st.sampled_from(
        ("mkdir", "makedirs", "rmdir", "unlink", "readlink")
    )),
    expression("os.{name}(at({one!r}), at({two!r}))", one=movable, two=paths,
               name=st.sampled_from(("rename", "replace"))),
    expression("sorted(os.listdir(at({path!r})))", path=paths),
    expression("described(os.{name}(at({path!r})))", path=paths,
               name=st.sampled_from(("stat", "lstat"))),
    expression("os.path.{name}(at({path!r}))", path=paths, name=st.sampled_from(
        ("exists", "lexists", "isdir", "isfile", "islink", "realpath", "getsize")
    )),
    expression("os.truncate(at({path!r}), {size})", path=paths, size=st.integers(-1, 9)),
    expression("os.chmod(at({path!r}), 0o{mode})", path=paths,
               mode=st.sampled_from(("600", "644", "755"))),
    expression("os.utime(at({path!r}), (5, {time}))", path=paths, time=st.integers(-9, 2**31)),
    expression("shutil.{name}(at({one!r}), at({two!r})) and None", one=paths, two=paths,
               name=st.sampled_from(("copyfile", "copy2"))),
    expression("shutil.rmtree(at({path!r}))", path=st.sampled_from(NAMES)),
    expression("os.access(at({path!r}), os.F_OK)", path=paths),
)  # fmt: skip

RUN = f"""{PRELUDE}
def use(name, mode):
    with open(at(name), mode) as file:
        if "r" not in mode or "+" in mode:
            file.write("text")
        file.seek(0)
        return file.read() if "+" in mode or mode == "r" else file.tell()

def described(info):
    links = info.st_nlink if stat.S_ISREG(info.st_mode) else 0
    size = info.st_size if not stat.S_ISDIR(info.st_mode) else 0
    return stat.filemode(info.st_mode), size, links, info.st_mtime if info.st_mtime < 1e9 else 0

notes = []
for source in sources:
    attempt(lambda: eval(source))
"""


EXAMPLES = int(os.environ.get("MOUNT_EXAMPLES", "200"))


@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(sources=st.lists(operations, min_size=1, max_size=40))
def test_random_operations_come_out_as_they_do_natively(world: World, sources: list[str]) -> None:
    ours, theirs = Path(tempfile.mkdtemp(dir=world.rw)), Path(tempfile.mkdtemp(dir=world.twin))
    for folder in (ours, theirs):
        (folder / "link").symlink_to("a")
        (folder / "way").symlink_to("d")
    native: dict[str, Any] = {"root": str(theirs), "sources": sources}
    exec(RUN, native)
    code = f"root, sources = {f'/mnt/rw/{ours.name}'!r}, {sources!r}\n{RUN}"
    printed = world.run(f"{code}\nimport json\nprint(json.dumps(notes))")
    together = zip(sources, json.loads(printed), native["notes"], strict=True)
    assert [row for row in together if row[1] != row[2]] == []
    assert tree(ours) == tree(theirs)
