"""What `%sandbox` shows: what code may touch, what holds it, and what it has used so far."""

from __future__ import annotations

import contextlib
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

import psutil

from pyodide_kernel import __version__
from pyodide_kernel.bridge.bridge import Bridge
from pyodide_kernel.bridge.deno import shown_command
from pyodide_kernel.limits import format_size
from pyodide_kernel.policy import Policy, explain
from pyodide_kernel.runtime import Manifest

Rows = list[tuple[str, str]]

PROVEN: Final = "active, tried before any code ran"
"""The worker tries to read and to connect (self_check.ts); without Deno's refusal nothing runs."""


@dataclass(slots=True, kw_only=True)
class Use:
    """What a kernel has used so far. Written by whoever knows, read by the report."""

    requests: int = 0
    cells: int = 0
    interpreters: int = 0
    ready_at: float = 0.0
    """When the present interpreter was ready, on the monotonic clock."""


class SandboxReport:
    """Answers the guest's question what it may. For the bridge's thread.

    Everything in it comes from the host, so nothing that the guest does can change what it says of
    the policy; but what is shown is drawn by the guest, which may draw anything else instead.
    """

    def __init__(
        self,
        *,
        policy: Policy,
        bridge: Bridge,
        manifest: Manifest,
        use: Use,
        settings: Mapping[str, str],
        sent_bytes: Callable[[], int],
        requests: Callable[[], Rows] = list,
    ) -> None:
        """`requests` gives what code had fetched, a row each."""
        self._policy = policy
        self._bridge = bridge
        self._manifest = manifest
        self._use = use
        self._settings = settings
        self._sent_bytes = sent_bytes
        self._requests = requests

    def answer(self, question_id: str) -> None:
        """Send the report as the answer to a question."""
        self._bridge.reply(question_id, {"status": "ok", "sections": self.sections()})

    def sections(self) -> list[dict[str, Any]]:
        """Titles, each with rows of a name and a text."""
        sections = {
            "May": allowed(self._policy) + list(self._settings.items()),
            "Used so far": self._used(),
            "Fetched": self._requests(),
            "Layers": layers(self._bridge.layers()),
            "Versions": self._versions(),
            "Deno": [("command", shlex.join(shown_command(self._policy)))],
        }
        return [{"title": title, "rows": rows} for title, rows in sections.items() if rows]

    def _used(self) -> Rows:
        use = self._use
        running = f", this one for {time.monotonic() - use.ready_at:.0f} s" if use.ready_at else ""
        return [
            ("memory", _memory(self._bridge.pid())),
            ("output", format_size(self._sent_bytes())),
            ("cells", str(use.cells)),
            ("requests", str(use.requests)),
            ("interpreters", f"{use.interpreters}{running}"),
        ]

    def _versions(self) -> Rows:
        return [
            ("pyodide-kernel", __version__),
            ("Deno", _deno_version()),
            ("Pyodide", self._manifest.pyodide),
            ("Python", self._manifest.python),
        ]


def allowed(policy: Policy) -> Rows:
    """What a policy allows."""
    return [(name, text) for name, _, text in (line.partition(": ") for line in explain(policy))]


def layers(system: Mapping[str, str]) -> Rows:
    """Deno's layer, and those of the system: active, or why not."""
    return [("permissions of Deno", PROVEN), *system.items()]


def _memory(pid: int | None) -> str:
    if pid is not None:
        with contextlib.suppress(psutil.Error):
            return (
                f"{format_size(psutil.Process(pid).memory_info().rss)}, the interpreter's included"
            )
    return "not known"


def _deno_version() -> str:
    try:
        return metadata.version("deno")
    except metadata.PackageNotFoundError:
        return "not known, it comes from PATH"
