"""Packages that are loaded when they are imported, and pip's commands, on plain CPython."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from guest.guest import Guest, Outcome

from pyodide_kernel.guest import packages as packages_module
from pyodide_kernel.guest.bytecode import compile_module
from pyodide_kernel.guest.imports import imported_modules, is_for_user
from pyodide_kernel.guest.packages import Packages
from pyodide_kernel.guest.requirements import PipError, read_requirements, requirement

MODULES = ("pk_demo", "pk_other", "pk_library")


def image(name: str) -> dict[str, Any]:
    return {"name": name, "version": "1", "folders": [f"/images/{name}"], "library": False}


@pytest.fixture
def shelf(guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which packages appear when they are mounted: here they always do."""
    folder = tmp_path / "packages"
    folder.mkdir()
    for module in MODULES:
        (folder / f"{module}.py").write_text("value = 42\n")
    monkeypatch.setattr(packages_module, "PACKAGES", str(folder))
    monkeypatch.setattr(sys, "path", list(sys.path))
    fresh = Packages(guest.host)
    monkeypatch.setattr(guest.shell, "packages", fresh)
    fresh.begin({"imports": {module: module.replace("_", "-") for module in MODULES}})
    yield folder
    fresh.close()
    for module in MODULES:
        sys.modules.pop(module, None)


def answer(guest: Guest, *names: str) -> None:
    guest.host.answers.append({"status": "ok", "images": [image(name) for name in names]})


def refuse(guest: Guest, reason: str, ename: str = "PackageError") -> None:
    guest.host.answers.append({"status": "error", "ename": ename, "evalue": reason})


def asked(outcome: Outcome) -> list[list[str]]:
    return [content["names"] for content in outcome.of("package_request")]


def test_imports_of_a_cell_are_loaded_before_it_runs_in_one_go(guest: Guest, shelf: Path) -> None:
    answer(guest, "pk-demo", "pk-other")
    code = "print('runs')\nif True:\n    import pk_demo as d\nfrom pk_other import value\nd.value"
    outcome = guest.run(code)
    assert [sorted(names) for names in asked(outcome)] == [["pk-demo", "pk-other"]]
    assert outcome.types.index("package_request") < outcome.types.index("stream")
    assert outcome.result == "42"
    assert asked(guest.run("import pk_demo")) == []


def test_a_cell_that_installs_is_not_looked_at_before(guest: Guest, shelf: Path) -> None:
    answer(guest, "pk-demo")
    outcome = guest.run("%pip list\nimport pk_demo")
    assert outcome.types.index("package_request") > outcome.types.index("stream")


def test_what_only_a_run_shows_is_loaded_then(guest: Guest, shelf: Path) -> None:
    answer(guest, "pk-demo")
    outcome = guest.run("import importlib\nimportlib.import_module('pk_' + 'demo').value")
    assert asked(outcome) == [["pk-demo"]]
    assert outcome.result == "42"


def test_a_local_module_loads_what_it_imports(guest: Guest, shelf: Path, tmp_path: Path) -> None:
    (tmp_path / "pk_local.py").write_text("import pk_demo\n")
    sys.path.append(str(tmp_path))
    answer(guest, "pk-demo")
    try:
        assert asked(guest.run("import pk_local")) == [["pk-demo"]]
    finally:
        sys.modules.pop("pk_local", None)


def test_an_import_that_fails_says_why_and_the_host_is_asked_once(
    guest: Guest, shelf: Path
) -> None:
    refuse(guest, "the server answered 500")
    outcome = guest.run("import pk_demo")
    assert outcome.error == (
        "ModuleNotFoundError",
        "No module named 'pk_demo': the server answered 500",
    )
    assert len(asked(outcome)) == 1
    answer(guest, "pk-demo")
    assert guest.run("import pk_demo; pk_demo.value").result == "42"


def test_code_may_catch_what_can_not_be_had(guest: Guest, shelf: Path) -> None:
    refuse(guest, "offline")
    code = "try:\n    import pk_demo\nexcept ImportError as error:\n    print(error.name)"
    assert guest.run(code).stdout == "pk_demo\n"


def test_an_interrupt_ends_the_cell_that_loads(guest: Guest, shelf: Path) -> None:
    guest.host.answers.append(KeyboardInterrupt())
    outcome = guest.run("import pk_demo")
    assert outcome.reply["ename"] == "KeyboardInterrupt"
    refuse(guest, "", ename="KeyboardInterrupt")
    assert guest.run("import pk_demo").reply["ename"] == "KeyboardInterrupt"


def test_what_is_not_known_is_not_asked_for(guest: Guest, shelf: Path) -> None:
    outcome = guest.run("import pk_nowhere")
    assert asked(outcome) == []
    assert outcome.error == ("ModuleNotFoundError", "No module named 'pk_nowhere'")


def test_a_package_without_a_build_says_so_and_what_to_use(guest: Guest, shelf: Path) -> None:
    _, text = guest.run("import numba").error
    assert "numba has no build for WebAssembly" in text
    assert "Nearest alternative: numpy" in text


def test_a_package_is_taken_away_and_comes_back(guest: Guest, shelf: Path) -> None:
    answer(guest, "pk-demo")
    guest.run("import pk_demo")
    packages = guest.shell.packages
    assert packages.unload_if_loaded("PK_Demo")
    assert ("/images/pk-demo", False) not in guest.host.images
    assert not packages.unload_if_loaded("pk-demo")


def test_modules_to_preload_are_imported_before_the_first_cell(guest: Guest, shelf: Path) -> None:
    guest.shell.packages.begin({"imports": {"pk_demo": "pk-demo"}, "preload": ["pk_demo"]})
    answer(guest, "pk-demo")
    assert guest.run("import sys; 'pk_demo' in sys.modules").result == "True"


# Whose import it is


def test_the_names_that_code_imports() -> None:
    code = "import a.b, c as d\nfrom e.f import g\nfrom . import h\ndef i():\n  import j\n"
    assert imported_modules(code) == ["a", "c", "e", "j"]
    assert imported_modules("import (") == []
    assert imported_modules("a = 1") == []
    assert imported_modules("import a" + "(" * 10_000) == []


def in_file(name: str, code: str, **names: Any) -> dict[str, Any]:
    """Run code as if a file of that name held it."""
    space = {"is_for_user": is_for_user, "sys": sys, **names}
    exec(compile(code, name, "exec"), space)
    return space


LIBRARY = "/lib/packages/pandas/core.py"


def test_an_import_in_the_users_code_is_for_the_user() -> None:
    assert in_file("<cell>", "found = is_for_user(sys._getframe())")["found"]


def test_a_function_of_a_library_that_the_user_calls_is_for_the_user() -> None:
    library = in_file(LIBRARY, "def read():\n    return is_for_user(sys._getframe())")
    assert in_file("<cell>", "found = read()", read=library["read"])["found"]


def test_a_library_that_is_being_imported_only_looks() -> None:
    library: Callable[[], bool] = lambda: in_file(  # noqa: E731
        LIBRARY, "found = is_for_user(sys._getframe())"
    )["found"]
    assert not in_file("<cell>", "found = library()", library=library)["found"]


def test_a_library_that_nobody_called_is_not_for_the_user() -> None:
    assert not is_for_user(None)


# pip


def test_a_magic_of_pip_is_a_shell_command_too(guest: Guest) -> None:
    for command in ("%pip list", "!pip list", "!python -m pip list"):
        assert "ipython" in guest.run(command).stdout


def test_show_and_freeze(guest: Guest) -> None:
    assert guest.run("%pip show traitlets").stdout.startswith("Name: traitlets\nVersion: ")
    assert "traitlets==" in guest.run("%pip freeze").stdout


def test_an_error_of_pip_is_one_line_without_a_traceback(guest: Guest) -> None:
    outcome = guest.run("%pip show no-such-package")
    (error,) = outcome.of("error")
    assert error["ename"] == "PipError"
    assert error["traceback"] == ["ERROR: no-such-package is not installed"]


@pytest.mark.parametrize(
    "text", ["git+https://host/x", "x @ git+https://host/x", ".", "./folder", "x-1.tar.gz"]
)
def test_what_would_have_to_be_built_is_refused(text: str) -> None:
    with pytest.raises(PipError, match="only wheels can be installed"):
        requirement(text)


def test_a_wheel_in_a_folder_is_a_path(tmp_path: Path) -> None:
    wheel = tmp_path / "a-1-py3-none-any.whl"
    wheel.touch()
    assert requirement(str(wheel)) == f"emfs:{wheel}"
    with pytest.raises(PipError, match="there is no such file"):
        requirement(str(tmp_path / "b-1-py3-none-any.whl"))
    assert requirement("a[b]>=1; python_version>'3'") == "a[b]>=1; python_version>'3'"


def test_a_file_of_requirements_is_read_with_what_it_includes(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("c\n")
    (tmp_path / "all.txt").write_text(
        "# comment\na==1 # why\n\nb \\\n  --hash=sha256:00\n-r more.txt\n"
    )
    assert read_requirements(str(tmp_path / "all.txt")) == ["a==1", "b", "c"]
    (tmp_path / "odd.txt").write_text("--trusted-host x\n")
    with pytest.raises(PipError, match="'--trusted-host x' is not supported"):
        read_requirements(str(tmp_path / "odd.txt"))


# Bytecode


def test_compiled_modules_load_without_a_look_at_the_source(tmp_path: Path) -> None:
    from importlib.machinery import SourcelessFileLoader

    path = tmp_path / "pk_compiled.pyc"
    path.write_bytes(compile_module(b"x = __file__, (lambda: 0).__code__.co_filename", "/at/m.py"))
    module = ModuleType("pk_compiled")
    module.__file__ = "here"
    code = SourcelessFileLoader("pk_compiled", str(path)).get_code("pk_compiled")
    assert code is not None
    exec(code, module.__dict__)
    assert module.x == ("here", "/at/m.py")
