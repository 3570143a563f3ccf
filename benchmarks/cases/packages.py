"""The first cell of most notebooks in a fresh kernel: packages are cached, nothing is loaded."""

from __future__ import annotations

import json
import sys
import time
from functools import cache
from pathlib import Path
from typing import Final

import psutil

from benchmarks.case import Case, Metric, Samples, check
from benchmarks.client import Kernel, MeasurementError
from benchmarks.subjects import OURS, Subject

NAMES: Final = ("numpy", "pandas", "matplotlib.pyplot")

WHOLE: Final = "import numpy, pandas, pyplot"
LOADING: Final = "  packages found and mounted"
PARTS: Final = {name: f"  import {name}" for name in NAMES}
CPU: Final = "  CPU time of all threads"
FIRST: Final = "  first figure and table"
FROM_START: Final = "start to these imports done"

_IMPORTS: Final = """
import time
_marks = [time.perf_counter()]
import numpy
_marks.append(time.perf_counter())
import pandas
_marks.append(time.perf_counter())
import matplotlib.pyplot
_marks.append(time.perf_counter())
print([after - before for before, after in zip(_marks, _marks[1:])])
"""

_USE: Final = """
matplotlib.pyplot.plot(numpy.arange(5) ** 2)
pandas.DataFrame({"a": [1, 2, 3]})
"""


@cache
def prepared(name: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Options and variables of a kernel of that kind that has the packages.

    Downloads them at the first use. Raises MeasurementError if they can't be had.
    """
    sys.path.append(str(Path(__file__).parents[2] / "tests"))
    from distribution import NoDistributionError, real_distribution
    from native_packages import native_packages

    try:
        distribution = real_distribution()
        if name != OURS:
            return (), {"PYTHONPATH": str(native_packages(distribution))}
    except NoDistributionError as error:
        raise MeasurementError(f"the packages can't be had: {error}") from error
    return (f"--package-url={distribution}", "--PyodideKernel.compile_packages=False"), {}


def _measure(subject: Subject, quick: bool) -> Samples:
    options, env = prepared(subject.name)
    _fill_caches(subject, options, env)
    since = time.perf_counter()
    with subject.start(*options, env=env) as kernel:
        _import(kernel)
        from_start = time.perf_counter() - since
    with subject.start(*options, env=env) as kernel:
        kernel.wait_for_ready()
        kernel.execute("1+1")
        before = _cpu_s(kernel)
        whole, parts = _import(kernel)
        cpu = _cpu_s(kernel) - before
        exchange = kernel.execute(_USE)
        check(len(list(kernel.outputs(exchange, "display_data"))) == 1, "no figure was shown")
    return {
        WHOLE: [whole],
        LOADING: [whole - sum(parts)],
        **{PARTS[name]: [seconds] for name, seconds in zip(NAMES, parts, strict=True)},
        CPU: [cpu],
        FIRST: [exchange.complete_s],
        FROM_START: [from_start],
    }


def _import(kernel: Kernel) -> tuple[float, list[float]]:
    """How long the cell took, and each import in it."""
    exchange = kernel.execute(_IMPORTS)
    parts = json.loads(kernel.printed(exchange))
    check(len(parts) == len(NAMES), f"{parts} are the times of the imports")
    return exchange.reply_s, parts


def _cpu_s(kernel: Kernel) -> float:
    """What the kernel's process and those below it have used so far."""
    host = psutil.Process(kernel.pid)
    times = (process.cpu_times() for process in (host, *host.children(recursive=True)))
    return sum(float(used.user + used.system) for used in times)


_filled: set[str] = set()


def _fill_caches(subject: Subject, options: tuple[str, ...], env: dict[str, str]) -> None:
    """Have each kind of kernel do once what it keeps: images and bytecode, natively bytecode."""
    if subject.name in _filled:
        return
    with subject.start(*options, env=env) as kernel:
        kernel.wait_for_ready()
        kernel.execute(_IMPORTS + _USE)
    if subject.name == OURS:
        from pyodide_kernel.packages.maker import make_all
        from pyodide_kernel.warm import chosen_cache

        make_all(chosen_cache(), wait=True)
    _filled.add(subject.name)


PACKAGES: Final = Case(
    name="packages",
    metrics=(
        Metric(name=WHOLE, max_value=1.4),
        Metric(name=LOADING),
        *(Metric(name=name) for name in PARTS.values()),
        Metric(name=CPU),
        Metric(name=FIRST),
        Metric(name=FROM_START),
    ),
    measure=_measure,
    rounds=5,
)
