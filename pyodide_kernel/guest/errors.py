"""The guest's errors as `error` messages and error replies."""

from __future__ import annotations

import traceback
from types import TracebackType
from typing import Any

MAX_VALUE_CHARS = 100_000
"""Longest text of an exception in its `error`, about what a notebook can show."""

MAX_TRACEBACK_CHARS = 2_000_000
"""Longest traceback; recursion gives some hundred kB."""


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
