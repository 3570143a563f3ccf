"""A program in a pseudo-terminal, and somebody who types and reads."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pexpect
from clients.place import TIMEOUT_S, Place

SIZE: Final = (40, 120)
"""Lines and columns; wide enough that nothing we wait for is wrapped."""

CONTROL_C: Final = "\x03"
CONTROL_D: Final = "\x04"

_SEQUENCE: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # cursor, colours, modes
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles and the like
    r"|[()][0-9A-B]|[=>78cDEHM])"
)


class Terminal:
    """What a program prints, without control sequences, and keys to press."""

    def __init__(self, child: pexpect.spawn) -> None:
        self._child = child
        self._raw = ""
        self._read_to = 0

    def type(self, keys: str) -> None:
        """Press keys."""
        self._child.send(keys)

    def enter(self, *lines: str) -> None:
        """Type lines, each ended with Enter."""
        for line in lines:
            self.type(line + "\r")

    def wait_for(self, pattern: str, *, timeout_s: float = TIMEOUT_S) -> str:
        """Read until something matches; all that was read since the last call, up to there."""
        deadline = time.monotonic() + timeout_s
        while not (match := re.search(pattern, self._unread())):
            self._read(pattern, deadline)
        text = self._unread()[: match.end()]
        self._read_to += match.end()
        return text

    def wait_for_end(self, *, timeout_s: float = TIMEOUT_S) -> int:
        """Read until the program ends; its exit code."""
        try:
            self._child.expect(pexpect.EOF, timeout=timeout_s)
        except pexpect.TIMEOUT:
            raise AssertionError(f"still running; its last words: {self._unread()!r}") from None
        self._child.close()
        return int(self._child.exitstatus or 0)

    def _unread(self) -> str:
        return _SEQUENCE.sub("", self._raw)[self._read_to :]

    def _read(self, pattern: str, deadline: float) -> None:
        try:
            self._raw += self._child.read_nonblocking(4096, max(deadline - time.monotonic(), 0))
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            reason = type(error).__name__
            raise AssertionError(f"{pattern!r}: {reason} after {self._unread()!r}") from None


@contextmanager
def terminal(place: Place, *command: str) -> Iterator[Terminal]:
    """Run a program in a terminal of its own; it is killed if it has not ended in the end."""
    program, *arguments = command
    child = pexpect.spawn(
        program,
        arguments,
        cwd=str(place.work),
        # No answers to cursor position requests, which nobody would give.
        env={**place.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"},
        encoding="utf-8",
        dimensions=SIZE,
        echo=False,
    )
    try:
        yield Terminal(child)
    finally:
        child.close(force=True)
