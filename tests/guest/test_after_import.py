"""Functions that are called when a module is imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from pyodide_kernel.guest.after_import import AfterImport


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "late_package").mkdir()
    (tmp_path / "late_package" / "__init__.py").write_text("")
    (tmp_path / "late_package" / "inner.py").write_text("value = 1\n")
    (tmp_path / "late_package" / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("late_package")]:
        del sys.modules[name]


def set_value(module: ModuleType) -> None:
    vars(module)["value"] = 2


def test_module_is_patched_when_it_is_imported_and_when_it_is_reloaded(folder: Path) -> None:
    hook = AfterImport({"late_package.inner": set_value})
    hook.install()
    try:
        inner = importlib.import_module("late_package.inner")
        assert inner.value == 2
        assert inner.__spec__ is not None
        assert type(inner.__loader__) is type(inner.__spec__.loader)
        assert "after_import" not in type(inner.__loader__).__module__
        assert importlib.reload(inner).value == 2
    finally:
        hook.uninstall()
    assert hook not in sys.meta_path
    assert importlib.reload(inner).value == 1


def test_module_that_is_there_already_is_patched_at_once(folder: Path) -> None:
    inner = importlib.import_module("late_package.inner")
    hook = AfterImport({"late_package.inner": set_value})
    hook.install()
    hook.uninstall()
    assert inner.value == 2


def test_module_that_fails_or_is_not_there_is_as_without(folder: Path) -> None:
    called: list[ModuleType] = []
    hook = AfterImport(dict.fromkeys(("late_package.broken", "late_package.none"), called.append))
    hook.install()
    try:
        with pytest.raises(ZeroDivisionError):
            importlib.import_module("late_package.broken")
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module("late_package.none")
    finally:
        hook.uninstall()
    assert called == []
