"""Completion by look-up, against what jedi finds for the same code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from guest.guest import Guest
from IPython.core.completer import Completion, IPCompleter, provisionalcompleter

SESSION = """
import collections, datetime, json, math, os, pathlib, random, re
from collections import OrderedDict, defaultdict

class Point:
    "A point."
    __slots__ = ("x", "y", "empty")
    dims = 2
    def __init__(self, x, y=1):
        self.x = x
        self.y = y
    @property
    def norm(self):
        raise RuntimeError("completion ran a property")
    @classmethod
    def origin(cls):
        return cls(0)
    @staticmethod
    def parse(text):
        return text
    def move(self, dx, *, dy=0):
        return self

class Sly:
    def __getattribute__(self, name):
        raise RuntimeError("completion ran an attribute access")

class Odd:
    def __dir__(self):
        raise RuntimeError("no names")

def greet(name, punctuation="!", *, loud=False):
    return name

point = Point(1)
sly, odd = Sly(), Odd()
text, number, z = "abc", 12, 1 + 2j
numbers = [1, 2, 3]
table = {"alpha": 1, "beta": [1], 3: ("x",)}
double = lambda q, r=2: q * r
now = datetime.datetime(2026, 1, 1)
path = pathlib.Path(".")
steps = (i for i in range(3))
_hidden = 1
"""

LOOKED_UP = [
    *("os.pa", "import os; os.pa", "import os\nos.path.jo", "os.environ.ge", "os.P_NO", "os.PA"),
    *(
        "import os as system\nsystem.getc",
        "from os import path as p\np.jo",
        "from os import sep\nse",
    ),
    *("point.", "point.n", "point.x.re", "Point.", "Point.or", "point._", "text.up", "numbers.ap"),
    *(
        "table.ke",
        "table['alpha'].re",
        "table['beta'].ap",
        "table[3].co",
        "'abc'.up",
        "[].ap",
        "{}.po",
    ),
    *("math.s", "json.du", "json.decoder.JSOND", "re.comp", "datetime.datetime.no", "now.iso"),
    *("path.is_", "pathlib.Path.cw", "collections.Ord", "random.ra", "steps.", "z.re", "double."),
    *(
        "print(os.pa",
        "print(point, point.n",
        "numbers[0].bit",
        "for i in range(3):\n    numbers.ap",
    ),
    *(
        "numbers[0] == 1\nnumbers.ap",
        "greet(text, number); text.up",
        "a = text\ntext.up",
        "if text == 'a' and text:\n    text.up",
        "if point.x == 1:\n    point.mo",
    ),
    *(
        "greet(na",
        "greet('a', pun",
        "greet('a', loud=True, pun",
        "greet(",
        "point.move(d",
        "print(se",
    ),
    *(
        "sorted(numbers, re",
        "greet(name=te",
        "pri",
        "gre",
        "num",
        "Val",
        "len",
        "impor",
        "lam",
        "T",
    ),
    *("try:\n    pass\nexcept: pa", "if number: retur"),
    "from unittest import main\nmain.par",
    *("x = lam", "return_value = Tr", "__nam", "raise Val", "assert num", "with pa", "cl", "_hid"),
]

KNOWN_TO_DIFFER: dict[str, set[str] | None] = {
    # jedi reads the stubs of the standard library, where these have no type.
    "import os; os.pa": {"pardir", "path", "pathconf_names", "pathsep"},
    # Keywords that jedi finds no place for.
    "greet(": None,
}

LEFT_TO_JEDI = [
    *("x = [1]\nx.ap", "def f(abc):\n    ab", "for item in numbers:\n    ite", "point.move().mo"),
    *("text = 1\ntext.re", "point.norm.re", "sly.x.re", "odd.na", "nowhere.x", "max(numbers, k"),
    *(
        "point.new = 1\npoint.n",
        "with open('f') as file:\n    file.re",
        "lambda abc: ab",
        "(text).up",
    ),
    *(
        "import uncommon_module\nuncommon_module.x",
        "from os import *\nge",
        "import o",
        "from os import pa",
    ),
    *(
        "numbers[0] = 1\nnumbers[0].bit",
        "match point:\n    case Point(text, n): text.re",
        "!echo don't\nos.pa",
        "try: from os import pa",
        "if number: import os.pa",
        "async def f(a, te",
        "text, other = 1, 2\ntext.re",
        "greet(*numbers, pun",
        "import os as",
        "point.empty.x",
    ),
]


@pytest.fixture
def completer(guest: Guest) -> Iterator[Any]:
    guest.run(SESSION)
    timeout = guest.shell.Completer.jedi_compute_type_timeout
    # So that jedi always has the time to find all types.
    guest.shell.Completer.jedi_compute_type_timeout = 60_000
    yield guest.shell.Completer
    guest.shell.Completer.jedi_compute_type_timeout = timeout


def found_by(completer: Any, code: str) -> list[Completion]:
    with provisionalcompleter():
        return list(completer.completions(code, len(code)))


def types(completions: list[Completion]) -> dict[str, str]:
    return {found.text: found.type or "" for found in completions}


def forbid_jedi(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object) -> None:
        raise AssertionError("jedi was asked")

    monkeypatch.setattr(IPCompleter, "_jedi_matches", fail)


@pytest.mark.parametrize("code", LOOKED_UP)
def test_looked_up_completions_are_those_of_jedi(
    completer: Any, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with monkeypatch.context() as only_jedi:
        only_jedi.setattr(completer, "_look_up", lambda _before: None)
        expected = types(found_by(completer, code))
    forbid_jedi(monkeypatch)
    actual = types(found_by(completer, code))
    differ = KNOWN_TO_DIFFER.get(code, set())
    # Of what all objects have, jedi takes some for instances.
    expected = {name: kind for name, kind in expected.items() if not name.startswith("__")}
    assert expected.keys() - actual.keys() <= JEDI_ONLY
    if differ is None:
        return
    named = {name: kind for name, kind in expected.items() if name in actual}
    for name in differ:
        assert named.pop(name) != actual[name], "not different any more"
    assert {name: actual[name] for name in named} == named


JEDI_ONLY = {"AbstractSet", "ellipsis", "function", "reveal_type", "reveal_locals", "WindowsError"}
"""Names in the stubs of builtins that Python does not have."""


@pytest.mark.parametrize("code", LEFT_TO_JEDI)
def test_what_is_not_known_without_running_code_is_left_to_jedi(completer: Any, code: str) -> None:
    assert completer._look_up(code) is None
    found_by(completer, code)


@pytest.mark.parametrize(
    "code", ["open('os.pa", "# os.pa", "x = 1  # os.pa", '"""os.pa', "'''one\nos.pa"]
)
def test_text_holds_no_names(completer: Any, code: str) -> None:
    assert "path" not in types(found_by(completer, code))


def test_order_is_that_of_jedi(completer: Any) -> None:
    names = [found.text for found in found_by(completer, "point._")]
    assert names == sorted(names, key=lambda name: (name.startswith("__"), name.lower()))
    assert [found.text for found in found_by(completer, "math.s")][:3] == ["sin", "sinh", "sqrt"]


def test_functions_have_signatures(completer: Any) -> None:
    signatures = {found.text: found.signature for found in found_by(completer, "point.")}
    assert signatures["move"] == "(dx, *, dy=0)"
    assert signatures["norm"] == ""


def test_keys_and_files_are_still_found(
    completer: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").touch()
    assert "alpha" in types(found_by(completer, "table['al"))
    assert any("data.csv" in text for text in types(found_by(completer, "open('da")))


def test_big_namespaces_take_bounded_time_for_signatures(
    completer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyodide_kernel.guest import completer as module

    monkeypatch.setattr(module, "SIGNATURES_S", -1.0)
    forbid_jedi(monkeypatch)
    found = found_by(completer, "point.")
    assert {one.text: one.type for one in found}["move"] == "function"
    assert {one.signature for one in found if one.type == "function"} == {"(?)"}


def test_what_fails_in_the_code_of_the_user_costs_its_signature_only(
    completer: Any, guest: Guest
) -> None:
    absent = "def absent(a: nowhere.Type): pass" if sys.version_info >= (3, 14) else ""
    guest.run(
        "class Bad:\n"
        "    def __repr__(self): raise RuntimeError('no text')\n"
        "def failing(a=Bad()): pass\n"
        f"{absent}"
    )
    assert types(found_by(completer, "failin")) == {"failing": "function"}
    assert types(found_by(completer, "failing(a"))["a="] == "param"
    if absent:
        (found,) = found_by(completer, "absen")
        assert found.signature == "(a: nowhere.Type)"
