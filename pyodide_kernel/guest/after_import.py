"""Calls a function when a module is imported, and leaves no other trace in it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader
from types import ModuleType

Patch = Callable[[ModuleType], None]


class AfterImport:
    """Comes first in `sys.meta_path`; finds nothing itself."""

    def __init__(self, patches: Mapping[str, Patch]) -> None:
        self._patches = dict(patches)
        self._searching: set[str] = set()

    def install(self) -> None:
        """Patch what is imported already, and the rest when it is."""
        for name in list(self._patches):
            if module := sys.modules.get(name):
                self._patches.pop(name)(module)
        sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Patch nothing from now on."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec that the others find, with a loader that calls the function afterwards."""
        if fullname not in self._patches or fullname in self._searching:
            return None
        self._searching.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patching(spec.loader, self._patches[fullname])
        return spec


class _Patching(Loader):
    """Loads as another loader does, gives the module back to it, and calls the function."""

    def __init__(self, loader: Loader, patch: Patch) -> None:
        self._loader = loader
        self._patch = patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._patch(module)
