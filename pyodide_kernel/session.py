"""The Jupyter session of a kernel that sends from several threads, and what guests made up."""

from __future__ import annotations

import itertools
import json
import math
import os
from typing import Any, Final

from jupyter_client.jsonutil import json_default
from jupyter_client.session import Session

MAX_DEPTH: Final = 200
"""Nesting kept when a value is too deep for the JSON encoder; notebooks hold some ten levels."""

_JSON_PACKERS: Final = ("json", "orjson")


class KernelSession(Session):
    """A Session whose message ids are unique across threads and whose JSON packing can't fail.

    The base class counts messages with `+= 1`, which loses numbers between threads, and its packer
    raises on lone surrogates, which any `print("\\ud800")` produces.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._numbers = itertools.count()
        super().__init__(**kwargs)
        if self.packer in _JSON_PACKERS:
            self.pack = pack_json

    @property
    def msg_id(self) -> str:
        """A fresh message id."""
        return f"{self.session}_{os.getpid()}_{next(self._numbers)}"


def pack_json(value: Any) -> bytes:
    """UTF-8 JSON of a value; what JSON or UTF-8 cannot express is replaced, as in `clean`."""
    try:
        return _dump(value)
    except (ValueError, RecursionError):  # UnicodeEncodeError is a ValueError
        return _dump(clean(value))


def clean(value: Any, *, depth: int = MAX_DEPTH) -> Any:
    """The same JSON value without lone surrogates, NaN, infinities and endless nesting.

    Surrogate pairs become the character they stand for, single ones U+FFFD; numbers become their
    text, as jupyter_client's json_clean has them.
    """
    if depth == 0:
        return "…"
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, dict):
        return {clean(str(key)): clean(item, depth=depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, depth=depth - 1) for item in value]
    return value


def _dump(value: Any) -> bytes:
    text = json.dumps(value, default=json_default, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8")
