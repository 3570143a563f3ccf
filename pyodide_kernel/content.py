"""Contents of Jupyter messages: what clients ask, what the guest answers. Pure.

Both are checked here. A malformed request raises ValueError, whose text goes to the client; an
answer of the guest is cut down to the members and types that the messaging spec names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

Content = Mapping[str, Any]

MAX_PROMPT_NUMBER: Final = 2**53
"""What JavaScript clients and SQLite take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecuteRequest:
    """An execute_request with the spec's defaults filled in."""

    code: str
    silent: bool
    store_history: bool
    allow_stdin: bool
    stop_on_error: bool
    user_expressions: dict[str, Any]

    def for_guest(self) -> dict[str, Any]:
        """The content that travels to the guest; stopping on errors is the host's business."""
        return {
            "code": self.code,
            "silent": self.silent,
            "store_history": self.store_history,
            "allow_stdin": self.allow_stdin,
            "user_expressions": self.user_expressions,
        }


def read_execute_request(content: Content) -> ExecuteRequest:
    """Raises ValueError if there is no code."""
    silent = bool(content.get("silent", False))
    return ExecuteRequest(
        code=_code(content),
        silent=silent,
        store_history=bool(content.get("store_history", True)) and not silent,
        allow_stdin=bool(content.get("allow_stdin", False)),
        stop_on_error=bool(content.get("stop_on_error", True)),
        user_expressions=_dict(content.get("user_expressions")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryQuery:
    """A history_request with the spec's defaults filled in."""

    access: str
    raw: bool
    output: bool
    session: int
    start: int
    stop: int | None
    n: int | None
    pattern: str
    unique: bool


def read_history_request(content: Content) -> HistoryQuery:
    """Raises ValueError if the kind of access is none of the spec's."""
    access = content.get("hist_access_type")
    if access not in ("tail", "range", "search"):
        raise ValueError(f"hist_access_type must be tail, range or search, not {access!r}")
    pattern = content.get("pattern")
    return HistoryQuery(
        access=access,
        raw=bool(content.get("raw", True)),
        output=bool(content.get("output", False)),
        session=_int(content.get("session"), 0),
        start=_int(content.get("start"), 1),
        stop=_optional_int(content.get("stop")),
        n=_optional_int(content.get("n")),
        pattern=pattern if isinstance(pattern, str) and pattern else "*",
        unique=bool(content.get("unique", False)),
    )


def execute_reply(content: Content, *, execution_count: int) -> dict[str, Any]:
    """An execute_reply in the form of the spec; `execution_count` stands in for a senseless one."""
    status = content.get("status")
    count = prompt_number(content.get("execution_count"))
    reply: dict[str, Any] = {
        "status": status,
        "execution_count": execution_count if count is None else count,
        "user_expressions": _dict(content.get("user_expressions")),
        "payload": [item for item in _list(content.get("payload")) if isinstance(item, dict)],
    }
    if status == "ok":
        return reply
    if status == "aborted":
        return {"status": "aborted"}
    reply |= {"status": "error"} | _error_members(content)
    return reply


def prompt_number(value: object) -> int | None:
    """The number of a prompt, or None if the guest's value can't be one."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_PROMPT_NUMBER:
        return value
    return None


def error_content(ename: str, evalue: str) -> dict[str, Any]:
    """Members of an `error` message for something that no Python traceback describes."""
    return {
        "ename": ename,
        "evalue": evalue,
        "traceback": [f"\x1b[31m{ename}\x1b[39m: {evalue}"],
    }


def error_reply(error: Exception) -> dict[str, Any]:
    """The content of a reply that could not be given."""
    return {"status": "error"} | error_content(type(error).__name__, str(error))


def with_reason(error: Content, reason: str) -> dict[str, Any]:
    """Members of an `error` message whose reason the guest does not know."""
    evalue = error.get("evalue")
    return {
        "ename": error.get("ename"),
        "evalue": f"{evalue}: {reason}" if evalue else reason,
        "traceback": [*_list(error.get("traceback")), f"\x1b[31m{reason}\x1b[39m"],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Relay:
    """A request that the guest answers, once both its contents are in order."""

    reply_type: str
    read: Callable[[Content], dict[str, Any]]
    """Content for the guest; raises ValueError."""
    answer: Callable[[Content, dict[str, Any]], dict[str, Any]]
    """Content for the client, from the guest's and from what `read` made."""


def _read_at_cursor(content: Content) -> dict[str, Any]:
    code = _code(content)
    position = _int(content.get("cursor_pos"), len(code))
    return {"code": code, "cursor_pos": min(max(position, 0), len(code))}


def _read_inspect(content: Content) -> dict[str, Any]:
    level = 1 if _int(content.get("detail_level"), 0) else 0
    omitted = [name for name in _list(content.get("omit_sections")) if isinstance(name, str)]
    return _read_at_cursor(content) | {"detail_level": level, "omit_sections": omitted}


def _read_is_complete(content: Content) -> dict[str, Any]:
    return {"code": _code(content)}


def _read_comm_info(content: Content) -> dict[str, Any]:
    target = content.get("target_name")
    return {"target_name": target} if isinstance(target, str) else {}


def _complete_reply(content: Content, asked: dict[str, Any]) -> dict[str, Any]:
    if content.get("status") != "ok":
        return {"status": "error"} | _error_members(content)
    cursor = asked["cursor_pos"]
    return {
        "status": "ok",
        "matches": [match for match in _list(content.get("matches")) if isinstance(match, str)],
        "cursor_start": _int(content.get("cursor_start"), cursor),
        "cursor_end": _int(content.get("cursor_end"), cursor),
        "metadata": _dict(content.get("metadata")),
    }


def _inspect_reply(content: Content, asked: dict[str, Any]) -> dict[str, Any]:
    if content.get("status") != "ok":
        return {"status": "error"} | _error_members(content)
    return {
        "status": "ok",
        "found": content.get("found") is True,
        "data": _dict(content.get("data")),
        "metadata": _dict(content.get("metadata")),
    }


def _is_complete_reply(content: Content, asked: dict[str, Any]) -> dict[str, Any]:
    status = content.get("status")
    if status not in ("complete", "incomplete", "invalid"):
        return {"status": "unknown"}
    if status != "incomplete":
        return {"status": status}
    return {"status": status, "indent": _str(content.get("indent"))}


def _comm_info_reply(content: Content, asked: dict[str, Any]) -> dict[str, Any]:
    comms = {
        comm_id: {"target_name": _str(row.get("target_name"))}
        for comm_id, row in _dict(content.get("comms")).items()
        if isinstance(row, dict)
    }
    return {"status": "ok", "comms": comms}


RELAYS: Final[Mapping[str, Relay]] = {
    "complete_request": Relay(
        reply_type="complete_reply", read=_read_at_cursor, answer=_complete_reply
    ),
    "inspect_request": Relay(reply_type="inspect_reply", read=_read_inspect, answer=_inspect_reply),
    "is_complete_request": Relay(
        reply_type="is_complete_reply", read=_read_is_complete, answer=_is_complete_reply
    ),
    "comm_info_request": Relay(
        reply_type="comm_info_reply", read=_read_comm_info, answer=_comm_info_reply
    ),
}


def _code(content: Content) -> str:
    code = content.get("code")
    if not isinstance(code, str):
        raise ValueError(f"code must be a string, not {type(code).__name__}")
    return code


def _error_members(content: Content) -> dict[str, Any]:
    lines = [line for line in _list(content.get("traceback")) if isinstance(line, str)]
    return {
        "ename": _str(content.get("ename")) or "RemoteProtocolError",
        "evalue": _str(content.get("evalue")),
        "traceback": lines,
    }


def _str(value: object) -> str:
    return value if isinstance(value, str) else ""


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _optional_int(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
