"""HTML without what acts, for `--safe-outputs`: the rules, and a process that applies them.

A process of its own, since the parser takes time that grows with the square of what is nested: 100
kB made for that keep it busy for seconds, which must not be the host's.
"""

from __future__ import annotations

import contextlib
import faulthandler
import logging
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from functools import cache
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    import nh3

PICTURES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
SVG: Final = "image/svg+xml"
BASE64: Final = re.compile(r"[A-Za-z0-9+/\s]*+={0,2}+\s*+")
"""Never tries again what it has matched: that would take time that grows with the square."""

CLEANING_S: Final = 2.0
"""What one piece of HTML may take; ordinary ones of 10 MB take half a second."""

REST_S: Final = 30.0
"""After one that took longer, none is cleaned for so long."""

MOST_CHARACTERS: Final = 20_000_000
_MOST_MEMORY: Final = 2 * 10**9
"""Of the process, where the system can limit it; HTML takes some 20 times its size there."""

log = logging.getLogger(__name__)

_TAGS: Final = """
    a abbr b blockquote br caption code col colgroup dd del details div dl dt em h1 h2 h3 h4 h5 h6
    hr i img ins kbd li mark ol p pre s samp small span strong sub summary sup table tbody td tfoot
    th thead tr u ul var
"""
_ATTRIBUTES: Final = {
    "*": {"style", "title", "dir", "lang"},
    "a": {"href"},
    "col": {"span"},
    "colgroup": {"span"},
    "details": {"open"},
    "img": {"alt", "height", "src", "width"},
    "ol": {"start"},
    "table": {"border"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_STYLES: Final = """
    background-color border border-bottom border-collapse border-color border-left border-radius
    border-right border-spacing border-style border-top border-width color font-family font-size
    font-style font-variant font-weight height line-height max-height max-width min-width
    overflow-wrap padding padding-bottom padding-left padding-right padding-top text-align
    text-decoration vertical-align white-space width word-break
"""
"""None of them loads anything or puts anything over the rest of the page."""

_LOADS: Final = re.compile(r"url|image|expression|import|src|element|\\|@|/\*", re.IGNORECASE)
_LINKS: Final = ("https://", "http://", "mailto:", "#")
_LENGTH: Final = struct.Struct(">I")


def clean_html(text: str) -> str:
    """HTML without scripts, handlers, frames, forms, foreign pictures and styles that act."""
    # A lone surrogate has no UTF-8, which is what the parser reads.
    return _rules().clean(text.encode("utf-8", "replace").decode("utf-8"))


@cache
def _rules() -> nh3.Cleaner:
    import nh3

    return nh3.Cleaner(
        tags=set(_TAGS.split()),
        clean_content_tags={"script", "style", "template", "title"},
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_attribute,
        allowed_classes={"table": {"dataframe"}},
        filter_style_properties=set(_STYLES.split()),
        url_schemes={"http", "https", "mailto", "data"},
        link_rel="noopener noreferrer nofollow",
    )


def _attribute(tag: str, name: str, value: str) -> str | None:
    if name == "href":
        return value if value.startswith(_LINKS) else None
    if name == "src":
        form, _, data = value.partition(";base64,")
        is_picture = form.removeprefix("data:") in (*PICTURES, SVG) and form.startswith("data:")
        return value if is_picture and BASE64.fullmatch(data) else None
    if name == "style":
        return None if _LOADS.search(value) else value
    return value


class HtmlCleaner:
    """Has HTML cleaned by a process, which starts with the first. For any thread."""

    def __init__(self, *, cleaning_s: float = CLEANING_S, rest_s: float = REST_S) -> None:
        self._cleaning_s = cleaning_s
        self._rest_s = rest_s
        self._process: subprocess.Popen[bytes] | None = None
        self._rests_until = 0.0
        self._closed = False
        self._lock = threading.Lock()

    def __call__(self, text: str) -> str | None:
        """The cleaned HTML; None if that takes too much. Blocks for as long as it takes."""
        with self._lock:
            rests = time.monotonic() < self._rests_until
            if self._closed or rests or len(text) > MOST_CHARACTERS:
                return None
            try:
                return self._ask(text)
            except (EOFError, OSError) as error:
                log.warning("HTML was left out, as it could not be cleaned: %r", error)
                self._end()
                self._rests_until = time.monotonic() + self._rest_s
                return None

    def _ask(self, text: str) -> str:
        """Raises EOFError if the process ended over it, OSError if it could not be reached."""
        process = self._process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        _write(process.stdin, text)
        return _read(process.stdout)

    def close(self) -> None:
        """End the process. Nothing is cleaned any more."""
        with self._lock:
            self._closed = True
            self._end()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(self._cleaning_s)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):  # what it had not taken any more
                self._process.communicate()
            self._process = None


def _write(stream: IO[bytes], text: str) -> None:
    data = text.encode("utf-8", "replace")
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _read(stream: IO[bytes]) -> str:
    """The next text. Raises EOFError at the end."""
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (size,) = _LENGTH.unpack(head)
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data.decode("utf-8")


def main(cleaning_s: float) -> None:
    """Clean what comes on stdin until that ends; exit over what takes too long."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        while True:
            try:
                text = _read(sys.stdin.buffer)
            except EOFError:
                return
            # The one timer that also ends what does not return to Python, on all systems.
            faulthandler.dump_traceback_later(cleaning_s, exit=True, file=nowhere)
            clean = clean_html(text)
            faulthandler.cancel_dump_traceback_later()
            _write(sys.stdout.buffer, clean)


if __name__ == "__main__":
    main(float(sys.argv[1]))
