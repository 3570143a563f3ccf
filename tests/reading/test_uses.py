"""What code imports and calls, by full names, and what it does where that fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyodide_kernel.reading.code import Piece, parse
from pyodide_kernel.reading.source import Place, Unit
from pyodide_kernel.reading.uses import calls, imports, with_local_modules


def pieces(*cells: str) -> list[Piece]:
    units = [
        Unit(code=cell, place=Place("n", number, 1), ipython=True)
        for number, cell in enumerate(cells, start=1)
    ]
    return parse(units).pieces


def called(*cells: str) -> list[tuple[str, int, bool]]:
    return [(call.name, call.place.cell, call.guarded) for call in calls(pieces(*cells))]


def test_imports_are_found_wherever_they_stand() -> None:
    code = "import a.b as c\ndef f():\n    from d import e\n__import__('g')\nfrom . import h"
    assert [use.module for use in imports(pieces(code))] == ["a.b", "d", "d.e", "g"]
    dynamic = "import importlib\nimportlib.import_module('h.i')"
    assert [use.module for use in imports(pieces(dynamic))] == ["importlib", "h.i"]
    assert [use.module for use in imports(pieces("from i import *"))] == ["i"]


@pytest.mark.parametrize(
    ("code", "guarded"),
    [
        ("import a", False),
        ("try:\n    import a\nexcept ImportError:\n    pass", True),
        ("try:\n    import a\nexcept (KeyError, ModuleNotFoundError):\n    pass", True),
        ("try:\n    import a\nexcept:\n    pass", True),
        ("try:\n    import a\nexcept OSError:\n    pass", False),
        ("try:\n    import a\nfinally:\n    pass", False),
        ("try:\n    pass\nexcept ImportError:\n    import a", False),
        ("try:\n    pass\nexcept ImportError:\n    pass\nelse:\n    import a", False),
        ("with contextlib.suppress(ImportError):\n    import a", True),
        ("if sys.platform != 'emscripten':\n    import a", True),
        ("if x:\n    import a", False),
        ("if TYPE_CHECKING:\n    import a", True),
    ],
)
def test_an_import_is_guarded_where_the_code_goes_on_without_it(code: str, guarded: bool) -> None:
    (use,) = imports(pieces(code))
    assert use.guarded is guarded


def test_calls_have_full_names_across_cells() -> None:
    assert called("import os.path as p, os", "from subprocess import run as r", "p.join(r())") == [
        ("os.path.join", 3, False),
        ("subprocess.run", 3, False),
    ]
    assert called("import a", "class B(a.C): pass") == [("a.C", 2, False)]
    assert called("import a\ntry:\n    a.b()\nexcept OSError:\n    pass") == [("a.b", 1, True)]


def test_names_that_mean_something_else_too_are_left_alone() -> None:
    assert called("from os import system", "def system(x): pass\nsystem('ls')") == []
    assert called("import requests", "requests = []\nrequests.get()") == []
    assert called("import os\ndef f(os): os.system()") == []
    assert called("unknown.system()") == []


def test_local_modules_are_followed_once(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text("import two\nimport os\nos.system('ls')\n")
    (tmp_path / "two.py").write_text("import one\n")
    package = tmp_path / "three"
    package.mkdir()
    (package / "__init__.py").write_text("import a\n")
    (package / "part.py").write_text("import b\n")
    found = with_local_modules(pieces("import one\nfrom three import part"), tmp_path)
    files = [piece.unit.place.file for piece in found]
    assert sorted(files) == ["__init__.py", "n", "one.py", "part.py", "two.py"]
    assert {use.module for use in imports(found)} >= {"a", "b", "two"}
    assert [call.place.file for call in calls(found)] == ["one.py"]
