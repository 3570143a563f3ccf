"""What is noted of fetches, for the user: hosts, bytes, outcomes."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pyodide_kernel.limits import format_size
from pyodide_kernel.network import show

LOG_LENGTH: Final = 1000
MAX_ROWS: Final = 50


@dataclass(slots=True, kw_only=True)
class FetchRecord:
    """What is noted of one fetch."""

    method: str
    host: str
    port: int
    began: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    status: int | None = None
    outcome: str = "open"
    """`open`, `done`, or the kind of its error."""
    sent_bytes: int = 0
    received_bytes: int = 0

    @property
    def place(self) -> str:
        """Host and port, as users write them."""
        return show(self.host, self.port)

    @property
    def result(self) -> str:
        """The status of an answer that came whole, or what became of the fetch otherwise."""
        return str(self.status) if self.outcome == "done" else self.outcome

    def __str__(self) -> str:
        return (
            f"{self.method} {self.place}: {self.result}, "
            f"{self.sent_bytes:,} bytes sent, {self.received_bytes:,} received"
        )


def new_log() -> deque[FetchRecord]:
    """A log that holds the last `LOG_LENGTH` fetches, whatever code does."""
    return deque(maxlen=LOG_LENGTH)


def summarize(records: Iterable[FetchRecord]) -> list[tuple[str, str]]:
    """A row for each place, the one that was last asked first: its name, and what came of it."""
    places: dict[str, list[FetchRecord]] = {}
    for record in records:
        found = places.pop(record.place, [])
        found.append(record)
        places[record.place] = found
    return [(place, _row(found)) for place, found in reversed(places.items())][:MAX_ROWS]


def _row(records: list[FetchRecord]) -> str:
    results = Counter(record.result for record in records)
    counted = ", ".join(
        result if count == 1 else f"{result} ({count:,} times)" for result, count in results.items()
    )
    sent = format_size(sum(record.sent_bytes for record in records))
    received = format_size(sum(record.received_bytes for record in records))
    last = time.strftime("%H:%M:%S", time.localtime(records[-1].began))
    return f"{counted}; {sent} sent, {received} received; last at {last}"
