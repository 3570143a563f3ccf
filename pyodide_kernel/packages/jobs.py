"""One question about packages, while it is worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

Report = Callable[[str], None]
"""Told what is being done, as a line for the user."""


class Interrupted(Exception):  # an event, not an error
    """Whoever asked does not wait for the answer any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One question of the guest, while it is worked on."""

    cancelled: threading.Event
    report: Report


class PartOf(threading.Event):
    """Set by itself, or with another: the others of a job that has failed have to stop too."""

    def __init__(self, whole: threading.Event) -> None:
        super().__init__()
        self._whole = whole

    def is_set(self) -> bool:
        """Whether to stop."""
        return super().is_set() or self._whole.is_set()
