"""The short way must not be seen: every bundle is that of IPython's own formatter."""

# mypy: disallow-untyped-calls=False
# IPython's formatters have no annotations.

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
from IPython.core.formatters import BaseFormatter, DisplayFormatter, HTMLFormatter
from traitlets import ObjectName, Unicode

from pyodide_kernel.guest.formatting import GuestDisplayFormatter


class HtmlInt(int):
    def _repr_html_(self) -> str:
        return f"<b>{int(self)}</b>"


class Bundled:
    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": "bundled", "text/x-mine": "mine"}


class AnyFormatter(BaseFormatter):
    format_type = Unicode("text/x-any")
    print_method = ObjectName("_repr_any_")

    def __call__(self, obj: object) -> str:
        return f"any {obj!r}"


SINGLETON = "a text that only one object is"

VALUES = [
    *(2, 2.5, 1j, True, "text", b"bytes", bytearray(b"b"), None, SINGLETON),
    *([1, [2]], (1,), {"a": 1}, {1}, frozenset({1}), range(3), list(range(2000))),
    *(HtmlInt(3), Bundled(), OrderedDict(a=1), int, len, Ellipsis),
]


def nothing(_formatter: DisplayFormatter) -> None:
    pass


def html_for_int(formatter: DisplayFormatter) -> None:
    formatter.formatters["text/html"].for_type(int, lambda value: f"<i>{value}</i>")


def latex_by_name(formatter: DisplayFormatter) -> None:
    formatter.formatters["text/latex"].for_type_by_name("builtins", "list", lambda _: "$l$")


def html_for_object(formatter: DisplayFormatter) -> None:
    formatter.formatters["text/html"].for_type(object, lambda _: "<p>any</p>")


def html_for_one(formatter: DisplayFormatter) -> None:
    formatter.formatters["text/html"].singleton_printers[id(SINGLETON)] = lambda _: "<p>one</p>"


def bundle_for_str(formatter: DisplayFormatter) -> None:
    formatter.mimebundle_formatter.for_type(str, lambda _, **__: {"text/x-str": "s"})


def shows_dict_itself(formatter: DisplayFormatter) -> None:
    formatter.ipython_display_formatter.for_type(dict, lambda _: True)


def text_for_float(formatter: DisplayFormatter) -> None:
    formatter.formatters["text/plain"].for_type(float, lambda value, p, _: p.text(f"{value:.1f}"))


def no_text(formatter: DisplayFormatter) -> None:
    formatter.formatters["text/plain"].enabled = False


def html_only(formatter: DisplayFormatter) -> None:
    formatter.active_types = ["text/html"]


def one_that_does_anything(formatter: DisplayFormatter) -> None:
    formatter.register_formatter(AnyFormatter())


def a_second_of_a_known_kind(formatter: DisplayFormatter) -> None:
    other = HTMLFormatter(format_type="text/x-other")
    other.for_type(int, lambda _: "other")
    formatter.register_formatter(other)


SETUPS = [
    *(nothing, html_for_int, latex_by_name, html_for_object, html_for_one, bundle_for_str),
    *(shows_dict_itself, text_for_float, no_text, html_only, one_that_does_anything),
    a_second_of_a_known_kind,
]


@pytest.mark.parametrize("setup", SETUPS)
def test_bundles_are_those_of_ipython(setup: Callable[[DisplayFormatter], None]) -> None:
    ours, ipythons = GuestDisplayFormatter(), DisplayFormatter()
    setup(ours)
    setup(ipythons)
    for value in VALUES:
        assert ours.format(value) == ipythons.format(value)
        for choice in ({"include": {"text/html"}}, {"exclude": {"text/plain"}}):
            assert ours.format(value, **choice) == ipythons.format(value, **choice)


def test_a_plain_value_asks_the_text_formatter_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(HTMLFormatter, "__call__", lambda _, obj: asked.append(obj))
    formatter = GuestDisplayFormatter()
    assert formatter.format(2) == ({"text/plain": "2"}, {})
    assert asked == []
    formatter.format(object())
    assert len(asked) == 1
