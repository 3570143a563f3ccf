"""Where the time of a start goes: `python -m benchmarks --profile`.

Starts interpreters as a kernel does, without the kernel around them; the phases are told by the
interpreter itself.
"""

from __future__ import annotations

import queue
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.client import MeasurementError
from pyodide_kernel.bridge.boot import deno_bridge
from pyodide_kernel.bridge.bridge import Death
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.policy import Policy
from pyodide_kernel.warm import chosen_cache

PHASES: Final = {
    "worker": "launcher, Deno, its program, the worker",
    "glue": "Pyodide's JavaScript",
    "module": "WebAssembly compiled and instantiated",
    "memory": "memory read",
    "files": "file systems",
    "verdict": "waiting for the digest",
    "interpreter": "Python finds itself again, or boots",
    "ready": "the session begins",
    "reply": "1+1",
}
_TIMEOUT_S: Final = 120.0
_CELL: Final = {
    "code": "1+1",
    "silent": False,
    "store_history": True,
    "allow_stdin": False,
    "user_expressions": {},
}


def profile(rounds: int) -> str:
    """A table of both ways to start, in milliseconds, medians of `rounds` interleaved starts."""
    ways: dict[str, Path | None] = {"restored": chosen_cache(), "booted": None}
    starts: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, cache in ways.items():
            starts[way].append(_start(cache))
    lines = [f"{'phase':12} {'restored':>9} {'booted':>9}"]
    for phase, meaning in PHASES.items():
        cells = [_median([start.get(phase) for start in starts[way]]) for way in ways]
        lines.append(f"{phase:12} {cells[0]:>9} {cells[1]:>9}  {meaning}")
    totals = [f"{statistics.median(sum(s.values()) for s in starts[way]):.0f}" for way in ways]
    return "\n".join([*lines, f"{'in all':12} {totals[0]:>9} {totals[1]:>9}"])


def _median(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{statistics.median(known):.0f}" if known else "-"


def _start(cache: Path | None) -> dict[str, float]:
    """Milliseconds of each phase of one start."""
    events: queue.Queue[Message | Death] = queue.Queue()
    bridge = deno_bridge(
        policy=Policy(),
        cache=cache,
        config=BridgeConfig(),
        on_message=lambda _: None,
        on_ready=events.put,
        on_death=events.put,
        on_give_up=events.put,
    )
    before = time.time() * 1000
    bridge.start()
    try:
        ready = events.get(timeout=_TIMEOUT_S)
        marks: dict[str, Any] = {"ready": time.time() * 1000}
        _, reply = bridge.request("execute_request", _CELL)
        reply.result(_TIMEOUT_S)
        marks["reply"] = time.time() * 1000
    finally:
        bridge.close()
    if not isinstance(ready, Message) or (cache and "memory" not in ready.content["marks"]):
        raise MeasurementError(f"a start that is not what was to be measured: {ready}")
    marks |= ready.content["marks"]
    phases = {}
    for phase in sorted(marks, key=lambda phase: float(marks[phase])):
        phases[phase] = marks[phase] - before
        before = marks[phase]
    return phases


def warm() -> None:
    """Make the snapshot, if there is none: what is measured is not the first start ever."""
    command = [sys.executable, "-m", "pyodide_kernel", "warm"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
