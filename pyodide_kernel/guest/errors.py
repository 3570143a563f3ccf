"""The guest's errors as `error` messages and error replies."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

from IPython.core.ultratb import AutoFormattedTB

MAX_VALUE_CHARS = 100_000
"""Longest text of an exception in its `error`, about what a notebook can show."""

MAX_TRACEBACK_CHARS = 2_000_000
"""Longest traceback; recursion gives some hundred kB."""


MAX_FRAMES = 200
"""Frames of a traceback that are shown; IPython takes some milliseconds for each of them."""


class Tracebacks(AutoFormattedTB):
    """IPython's formatter, which leaves out the middle of a very long traceback."""

    _left_out = 0

    def get_records(self, etb: TracebackType, context: int, tb_offset: int) -> Any:
        """The records of the frames to be shown."""
        shown, self._left_out = without_middle(etb)
        return super().get_records(shown, context, tb_offset)

    def format_exception_as_a_whole(self, *args: Any, **kwargs: Any) -> list[list[str]]:
        """Lines in groups, one of which says what is left out."""
        self._left_out = 0
        groups: list[list[str]] = super().format_exception_as_a_whole(*args, **kwargs)
        if self._left_out:
            groups[0].insert(1, f"[... {self._left_out:,} frames in the middle are left out ...]\n")
        return groups


def without_middle(trace: TracebackType) -> tuple[TracebackType, int]:
    """A traceback of at most MAX_FRAMES entries, and how many are left out of it."""
    entries = [trace]
    while (following := entries[-1].tb_next) is not None:
        entries.append(following)
    left_out = len(entries) - MAX_FRAMES
    if left_out <= 0:
        return trace, 0
    end = entries[-MAX_FRAMES // 2]
    for entry in reversed(entries[: MAX_FRAMES // 2]):
        end = TracebackType(end, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return end, left_out


def bounded(name: str, value: str, lines: list[str]) -> tuple[str, str, list[str]]:
    """Name, value and traceback of an exception, cut down to what can be sent and shown."""
    value = _cut(value, MAX_VALUE_CHARS)
    if sum(map(len, lines)) > MAX_TRACEBACK_CHARS:
        share = MAX_TRACEBACK_CHARS // max(1, len(lines))
        lines = [_cut(line, max(1000, share)) for line in lines[:1000]]
    return name, value, lines


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2], text[-(limit // 2) :]
    return f"{head} … {len(text) - limit:,} characters left out … {tail}"


def group_lines(group: BaseExceptionGroup[BaseException]) -> list[str]:
    """Traceback of an exception group, without IPython's own frames at its top."""
    trace = group.__traceback__
    while trace is not None and "/IPython/core/" in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(group), group, trace)).splitlines()


def users_part(trace: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames at its end that set `__tracebackhide__ = True`.

    IPython leaves out such frames too, but never the last one, where the kernel's own functions
    (`input`, `time.sleep`, what refuses to start a process) raise for the user.
    """
    frames = []
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    shown = list(frames)
    while shown and shown[-1].tb_frame.f_locals.get("__tracebackhide__") is True:
        shown.pop()
    if len(shown) in (0, len(frames)):
        return frames[0] if frames else None
    end: TracebackType | None = None
    for entry in reversed(shown):
        end = TracebackType(end, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return end


def error_content(name: str, value: str, lines: list[str]) -> dict[str, Any]:
    """Content of an error reply."""
    return {"status": "error", "ename": name, "evalue": value, "traceback": lines}


def of_exception(error: BaseException) -> dict[str, Any]:
    """Content of an error reply for an exception that IPython did not format."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return error_content(*bounded(type(error).__name__, str(error), lines))


def internal(error: BaseException, msg_type: str) -> dict[str, Any]:
    """Content of an error reply for a fault of the kernel's own."""
    content = of_exception(error)
    content["evalue"] = (
        f"internal error of pyodide-kernel while it handled {msg_type}: "
        f"{content['ename']}: {content['evalue']}"
    )
    content["ename"] = "InternalError"
    return content
