"""Files of the host: in a mounted folder here, in the same folder natively."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.subjects import Subject

BULK: Final = 2.0
"""Bulk data moves at least half as fast as natively."""

STAT_S: Final = 30e-6

MODULES: Final = 200

_WRITE: Final = """
block = bytes(range(256)) * 4096
with open(folder + "/written", "wb", buffering=0) as file:
    for _ in range({megabytes}):
        file.write(block)
import os
os.path.getsize(folder + "/written")
"""

_READ: Final = """
total = 0
with open(folder + "/bulk", "rb", buffering=0) as file:
    while block := file.read(1 << 20):
        total += len(block)
total
"""

_STAT: Final = """
import os
path = folder + "/bulk"
sum(os.stat(path).st_size > 0 for _ in range({count}))
"""

_WALK: Final = """
import os
sum(len(files) for _, _, files in os.walk(folder + "/tree"))
"""

_IMPORT: Final = """
import importlib, sys
for name in [name for name in sys.modules if name.partition(".")[0] == "large"]:
    del sys.modules[name]
if folder not in sys.path:
    sys.path.insert(0, folder)
importlib.invalidate_caches()
import large
large.total
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A cell that works with files, and what it says if it is right."""

    code: str
    full: int
    """How much it does."""
    quick: int
    prepare: Callable[[Path, int], None]
    metric: Metric
    expected: Callable[[int], int]
    divided: bool = False
    """Whether the metric is the time of one of many."""
    before: str = ""
    """A cell that is not measured."""


def _nothing(folder: Path, size: int) -> None:
    """Leave the folder as it is."""


def _bulk(folder: Path, megabytes: int) -> None:
    block = bytes(range(256)) * 4096
    with (folder / "bulk").open("wb") as file:
        for _ in range(megabytes):
            file.write(block)


def _one_file(folder: Path, size: int) -> None:
    (folder / "bulk").write_bytes(b"x")


def _tree(folder: Path, files: int) -> None:
    """Folders of a hundred files each."""
    for number in range(files // 100):
        place = folder / "tree" / f"{number // 100}" / f"{number % 100}"
        place.mkdir(parents=True)
        for name in range(100):
            (place / f"{name}.txt").touch()


def _package(folder: Path, modules: int) -> None:
    """A package that imports all its modules, some kB of code each."""
    package = folder / "large"
    package.mkdir()
    functions = "\n".join(f"def f{number}(x):\n    return x + {number}\n" for number in range(40))
    for number in range(modules):
        (package / f"m{number}.py").write_text(f"{functions}\nvalue = 1\n")
    lines = [f"from large.m{number} import value as v{number}" for number in range(modules)]
    total = " + ".join(f"v{number}" for number in range(modules))
    (package / "__init__.py").write_text("\n".join([*lines, f"total = {total}", ""]))


def _measure(job: _Job, subject: Subject, quick: bool) -> Samples:
    size = job.quick if quick else job.full
    marker = subject.files / f"prepared {job.metric.name}".replace(":", "")
    if not marker.exists():
        job.prepare(subject.files, size)
        marker.touch()
    kernel = subject.with_files
    kernel.execute(f"folder = {subject.files_seen!r}\n{job.before}")
    exchange = kernel.execute(job.code.format(megabytes=size, count=size))
    result = kernel.result(exchange)
    expected = job.expected(size)
    check(result == str(expected), f"the result is {result}, not {expected}")
    return {job.metric.name: [exchange.reply_s / (size if job.divided else 1)]}


_JOBS: Final = {
    "write": _Job(
        code=_WRITE,
        full=1000,
        quick=100,
        prepare=_nothing,
        metric=Metric(name="mount: write 1 GB", max_ratio=BULK),
        expected=lambda megabytes: megabytes << 20,
    ),
    "read": _Job(
        code=_READ,
        full=1000,
        quick=100,
        prepare=_bulk,
        metric=Metric(name="mount: read 1 GB", max_ratio=BULK),
        expected=lambda megabytes: megabytes << 20,
    ),
    "stat": _Job(
        code=_STAT,
        full=10_000,
        quick=10_000,
        prepare=_one_file,
        metric=Metric(name="mount: one stat of 10k", max_value=STAT_S),
        expected=lambda count: count,
        divided=True,
    ),
    "walk": _Job(
        code=_WALK,
        full=100_000,
        quick=10_000,
        prepare=_tree,
        metric=Metric(name="mount: walk 100k files"),
        expected=lambda files: files,
    ),
    "import": _Job(
        code=_IMPORT,
        full=MODULES,
        quick=MODULES,
        prepare=_package,
        metric=Metric(name=f"mount: import {MODULES} modules"),
        expected=lambda modules: modules,
        before=_IMPORT,  # so that the bytecode is there
    ),
}

MOUNTS: Final = tuple(
    Case(name=f"mount-{name}", metrics=(job.metric,), measure=partial(_measure, job), rounds=3)
    for name, job in _JOBS.items()
)
