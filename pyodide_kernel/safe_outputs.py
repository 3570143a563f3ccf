"""Takes what acts out of what is sent to clients, for `--safe-outputs`.

Lists of what is allowed, nothing else passes: forms of output that a front end shows without doing
anything, tags and attributes of HTML (nh3, which parses as browsers do), and of a terminal's escape
sequences those that set colours.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Final

from pyodide_kernel.safe_html import BASE64, PICTURES, SVG

Content = Mapping[str, Any]

_SHOWN_AS_SOURCE: Final = ("text/markdown", "text/latex")

_ERROR: Final = ("status", "ename", "evalue", "traceback", "execution_count")
_DEEPEST: Final = 100

_COLOUR: Final = r"\x1b\[[0-9;:]*m"
_STRING: Final = r"(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f])"
_IN_STRING: Final = r"[^\x07\x1b\x9c\r\n]*"
_ESCAPES: Final = re.compile(
    rf"(?P<colour>{_COLOUR})"
    # Strings for the terminal (titles, clipboard, devices), up to their end or that of the line.
    rf"|{_STRING}{_IN_STRING}(?:\x07|\x9c|\x1b\\)?"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|\x1b[ -/]*[0-~]?"
    # Controls, but for backspace, tab, line feed and carriage return.
    r"|[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)
_UNFINISHED: Final = re.compile(
    rf"(?P<string>{_STRING}){_IN_STRING}|(?:\x1b\[|\x9b)[0-?]*[ -/]*|\x1b[ -/]*"
)
_LONGEST_UNFINISHED: Final = 256
"""Sequences of colours are shorter."""

COMM_NOTICE: Final = (
    "pyodide-kernel: widgets do nothing here, since --safe-outputs keeps messages of code from the "
    "page.\n"
)


def safe_text(text: str) -> str:
    """Text that does nothing in a terminal but have colours."""
    return _ESCAPES.sub(lambda match: match["colour"] or "", text)


class SafeStream:
    """Cleans the text of a stream that comes in pieces, wherever they were cut."""

    def __init__(self) -> None:
        self._rest = ""
        """The beginning of a sequence that may go on in the next piece."""

    def clean(self, piece: str) -> str:
        """What can be shown now."""
        text, self._rest = self._rest + piece, ""

        def replace(match: re.Match[str]) -> str:
            if match.end() == len(text) and (unfinished := _UNFINISHED.fullmatch(match[0])):
                rest = unfinished["string"] or match[0]
                self._rest = rest if len(rest) <= _LONGEST_UNFINISHED else ""
            return match["colour"] or ""

        return _ESCAPES.sub(replace, text)


class SafeOutputs:
    """Cleans contents of messages. For any thread, but for the streams."""

    def __init__(self, *, html: Callable[[str], str | None]) -> None:
        """`html` cleans HTML; None if it can't."""
        self._html = html
        self._stream_of = ""
        self._streams: dict[str, SafeStream] = {}

    def stream(self, cell: str, content: Content) -> dict[str, Any]:
        """The content of a piece of a stream of a cell, cleaned; the text may be empty then."""
        if cell != self._stream_of:
            self._stream_of, self._streams = cell, {}
        name = "stderr" if content.get("name") == "stderr" else "stdout"
        stream = self._streams.setdefault(name, SafeStream())
        return {"name": name, "text": stream.clean(content["text"])}

    def content(self, msg_type: str, content: Content) -> dict[str, Any]:
        """The content of another output or of a reply, cleaned."""
        clean = self._cleaners.get(msg_type)
        return clean(content) if clean else dict(content)

    @cached_property
    def _cleaners(self) -> Mapping[str, Callable[[Content], dict[str, Any]]]:
        return {
            "stream": _members("name", "text"),
            "error": _members(*_ERROR),
            "display_data": self._display,
            "update_display_data": self._display,
            "execute_result": self._display,
            "execute_reply": self._execute_reply,
            "inspect_reply": self._reply(self._display),
            "complete_reply": self._reply(
                lambda content: (
                    _members("status", "matches", "cursor_start", "cursor_end")(content)
                    | {"metadata": {}}
                )
            ),
            "is_complete_reply": self._reply(_members("status", "indent")),
            "comm_info_reply": self._reply(_members("status", "comms")),
            "history_reply": _members("status", "history"),
            "clear_output": lambda content: {"wait": content.get("wait") is True},
            "input_request": _members("prompt", "password"),
        }

    def _reply(
        self, clean: Callable[[Content], dict[str, Any]]
    ) -> Callable[[Content], dict[str, Any]]:
        """Cleans a reply of this kind, or the error in its place."""
        error = _members(*_ERROR)
        return lambda content: (error if content.get("status") == "error" else clean)(content)

    def bundle(self, data: Content) -> dict[str, Any]:
        """The forms of one output that don't act; at least a text."""
        safe: dict[str, Any] = {}
        for form, value in data.items():
            if form == "text/plain" and isinstance(value, str):
                safe[form] = safe_text(value)
            elif form == "text/html" and isinstance(value, str):
                if (html := self._html(value)) is not None:
                    safe[form] = html
            elif form in PICTURES and isinstance(value, str) and BASE64.fullmatch(value):
                safe[form] = value
            elif form == "application/json":
                safe[form] = _json(value)
        self._replace(data, safe)
        if data and not safe:
            names = ", ".join(safe_text(str(form))[:100] for form in list(data)[:10])
            safe["text/plain"] = f"[left out by --safe-outputs: {names}]"
        return safe

    def _replace(self, data: Content, safe: dict[str, Any]) -> None:
        """Show in a form that does not act what has one."""
        svg = data.get(SVG)
        if isinstance(svg, str) and not any(form in safe for form in ("text/html", *PICTURES)):
            # In a picture, no script runs and nothing is loaded.
            encoded = base64.b64encode(svg.encode("utf-8", "replace")).decode("ascii")
            safe["text/html"] = f'<img alt="SVG" src="data:{SVG};base64,{encoded}">'
        for form in _SHOWN_AS_SOURCE:
            if isinstance(source := data.get(form), str) and "text/html" not in safe:
                safe["text/plain"] = safe_text(source)

    def _display(self, content: Content) -> dict[str, Any]:
        known = _members("status", "found", "execution_count")(content)
        data = self.bundle(_dict(content.get("data")))
        safe = known | {"data": data, "metadata": _sizes(_dict(content.get("metadata")))}
        if "transient" in content:
            name = _dict(content["transient"]).get("display_id")
            safe["transient"] = {"display_id": safe_text(name)} if isinstance(name, str) else {}
        return safe

    def _execute_reply(self, content: Content) -> dict[str, Any]:
        expressions = _dict(content.get("user_expressions"))
        payloads = [self._payload(item) for item in content.get("payload") or ()]
        return _members(*_ERROR)(content) | {
            "user_expressions": {name: self._value(value) for name, value in expressions.items()},
            "payload": [payload for payload in payloads if payload],
        }

    def _value(self, value: Any) -> dict[str, Any]:
        value = _dict(value)
        return self._display(value) if "data" in value else _members(*_ERROR)(value)

    def _payload(self, item: Content) -> dict[str, Any]:
        """One of the payloads that the specification has; nothing for others."""
        match item.get("source"):
            case "page":
                start = item.get("start")
                return {
                    "source": "page",
                    "data": self.bundle(_dict(item.get("data"))),
                    "start": start if isinstance(start, int) else 0,
                }
            case "set_next_input":
                replace = item.get("replace") is True
                return {
                    "source": "set_next_input",
                    "text": safe_text(str(item.get("text", ""))),
                    "replace": replace,
                }
            case "ask_exit":
                return {"source": "ask_exit", "keepkernel": item.get("keepkernel") is True}
        return {}


def _members(*names: str) -> Callable[[Content], dict[str, Any]]:
    """Cleans a content that has these members and no others."""
    return lambda content: {name: _json(content[name]) for name in names if name in content}


def _json(value: Any, depth: int = 0) -> Any:
    """The same value, with safe texts."""
    if isinstance(value, str):
        return safe_text(value)
    if isinstance(value, dict | list | tuple) and depth == _DEEPEST:
        return "[left out by --safe-outputs: nested too deep]"
    if isinstance(value, dict):
        return {safe_text(str(name)): _json(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item, depth + 1) for item in value]
    return value


def _sizes(metadata: Content) -> dict[str, Any]:
    """Of what is said about the forms of an output, the sizes of pictures."""
    sizes = {
        form: {
            name: value
            for name, value in _dict(metadata.get(form)).items()
            if name in ("width", "height") and type(value) in (int, float)
        }
        for form in PICTURES
    }
    return {form: size for form, size in sizes.items() if size}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
