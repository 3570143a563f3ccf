"""Formatting of values, with a short way for those that have one form only."""

from __future__ import annotations

from typing import Any

from IPython.core.formatters import (
    DisplayFormatter,
    HTMLFormatter,
    IPythonDisplayFormatter,
    JavascriptFormatter,
    JPEGFormatter,
    JSONFormatter,
    LatexFormatter,
    MarkdownFormatter,
    MimeBundleFormatter,
    PDFFormatter,
    PNGFormatter,
    SVGFormatter,
)

Bundle = tuple[dict[str, Any], dict[str, Any]]

PLAIN_TYPES: frozenset[type] = frozenset(
    {
        *(int, float, complex, bool, str, bytes, bytearray, type(None)),
        *(list, tuple, dict, set, frozenset, range),
    }
)
"""Their instances have no attributes, so none can have a `_repr_html_` or the like."""

_TEXT = "text/plain"

_KNOWN = frozenset(
    {
        *(HTMLFormatter, MarkdownFormatter, SVGFormatter, PNGFormatter, PDFFormatter),
        *(JPEGFormatter, LatexFormatter, JSONFormatter, JavascriptFormatter),
        *(IPythonDisplayFormatter, MimeBundleFormatter),
    }
)
"""They ask what is registered for a type, then for a method; others may do anything."""


class GuestDisplayFormatter(DisplayFormatter):
    """IPython's, which asks a dozen formatters about every `2`: half the time of a small cell."""

    def format(
        self, obj: Any, include: set[str] | None = None, exclude: set[str] | None = None
    ) -> Bundle:
        """The forms of a value by MIME type, and metadata about them."""
        if include or exclude or not self._is_plain(obj):
            bundle: Bundle = super().format(obj, include=include, exclude=exclude)
            return bundle
        data = self.formatters[_TEXT](obj)
        return ({} if data is None else {_TEXT: data}), {}

    def _is_plain(self, obj: Any) -> bool:
        """Whether the text is all there is, as nobody has registered another form of it."""
        if type(obj) not in PLAIN_TYPES:
            return False
        for name, formatter in self.formatters.items():
            if name != _TEXT and _may_format(formatter, obj):
                return False
        special = (self.ipython_display_formatter, self.mimebundle_formatter)
        return not any(_may_format(formatter, obj) for formatter in special)


def _may_format(formatter: Any, obj: Any) -> bool:
    if type(formatter) not in _KNOWN:
        return True
    if id(obj) in formatter.singleton_printers:
        return True
    registered = bool(formatter.type_printers or formatter.deferred_printers)
    return registered and type(obj) in formatter
