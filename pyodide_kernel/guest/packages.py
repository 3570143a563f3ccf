"""Packages that are loaded when they are imported."""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from pyodide_kernel.guest.host import Host
from pyodide_kernel.guest.imports import LIBRARIES, PACKAGES, imported_modules, is_for_user
from pyodide_kernel.guest.unavailable import reason_for

_INSTALLS = re.compile(r"\b(?:pip|micropip|piplite)\b")
"""A cell that may install what it imports: then the imports find out what is missing."""


class PackageError(ImportError):
    """A package can't be had; the message says why."""


class UnreachableError(PackageError):
    """A package could not be fetched."""


class Packages:
    """What the host can provide, and what of it is here."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._imports: Mapping[str, str] = {}
        self.lock: dict[str, Any] = {}
        """Version and needs of each package of the distribution, by normalized name."""
        self._loaded: dict[str, Mapping[str, Any]] = {}
        self._failed: dict[str, str] = {}
        self._preload: list[str] = []
        self.constraints: list[str] = []
        """Requirements that say which versions the user allows."""
        self.finder = Finder(self)

    def begin(self, options: Mapping[str, Any]) -> None:
        """Take over what the host says it can provide, and look after imports from now on."""
        self._imports = dict(options.get("imports", {}))
        self.lock.update(options.get("lock", {}))
        self._preload = list(options.get("preload", ()))
        self.constraints = list(options.get("constraints", ()))
        if self.finder not in sys.meta_path:
            sys.meta_path.append(self.finder)

    def close(self) -> None:
        """Leave imports alone; for tests."""
        if self.finder in sys.meta_path:
            sys.meta_path.remove(self.finder)

    @property
    def loaded(self) -> Mapping[str, Mapping[str, Any]]:
        """What the host said of the packages that are here, by normalized name."""
        return self._loaded

    def package_of(self, module: str) -> str | None:
        """The package that has a module, if it is one that can be had."""
        return self._imports.get(module)

    def prepare_cell(self, cell: str, transform: Callable[[str], str]) -> None:
        """Load what a cell imports, in one go; `transform` makes Python of it.

        What can't be had is left to the import itself, which fails with the reason.
        """
        self._failed.clear()
        self._import_preloaded()
        if not self._imports or "import" not in cell or _INSTALLS.search(cell):
            return
        try:
            code = transform(cell)
        except SyntaxError:  # which running it will show
            return
        names = [
            package
            for module in imported_modules(code)
            if (package := self._imports.get(module))
            and package not in self._loaded
            and module not in sys.modules
        ]
        if not names:
            return
        try:
            self.load(names)
        except PackageError as error:
            self._failed.update(dict.fromkeys(names, str(error)))

    def _import_preloaded(self) -> None:
        """Before the first cell: what the settings name."""
        modules, self._preload = self._preload, []
        if not modules:
            return
        try:
            self.load([self._imports[module] for module in modules if module in self._imports])
            for module in modules:
                importlib.import_module(module)
        except ImportError as error:
            sys.stderr.write(f"--preload: {error}\n")

    def load(self, names: Sequence[str] = (), wheels: Sequence[tuple[str, str]] = ()) -> list[str]:
        """Load packages with all they need, and wheels; the names of those that were new.

        Raises PackageError if one of them can't be had, and nothing is loaded then.
        """
        __tracebackhide__ = True
        question = {
            "names": list(names),
            "wheels": [list(wheel) for wheel in wheels],
            "loaded": sorted(self._loaded),
        }
        answer = ask(self._host, "package_request", question)
        new = [image for image in answer["images"] if image["name"] not in self._loaded]
        self.show(new)
        return [image["name"] for image in new]

    def show(self, images: Sequence[Mapping[str, Any]]) -> None:
        """Mount images that the host has named."""
        for image in images:
            for folder in image["folders"]:
                self._host.mount_image(folder, bool(image["library"]))
            self._loaded[image["name"]] = image
        if PACKAGES not in sys.path and any(not image["library"] for image in images):
            sys.path.append(PACKAGES)
        if any(image["library"] for image in images):
            os.environ["LD_LIBRARY_PATH"] = LIBRARIES
        importlib.invalidate_caches()

    def unload_if_loaded(self, name: str) -> bool:
        """Take a package away; whether it was here. The name may have any spelling."""
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key not in self._loaded:
            return False
        self.unload(key)
        return True

    def unload(self, name: str) -> None:
        """Take a package away; modules of it that are imported stay. Raises KeyError."""
        image = self._loaded.pop(name)
        for folder in image["folders"]:
            self._host.unmount_image(folder)
        importlib.invalidate_caches()

    def provide(self, module: str) -> bool:
        """Load the package of a module that is being imported; False if there is none.

        Raises PackageError if it can't be had.
        """
        __tracebackhide__ = True
        package = self._imports.get(module)
        if package is None or package in self._loaded:
            return False
        if reason := self._failed.get(package):
            raise _not_found(module, reason)
        try:
            self.load([package])
        except PackageError as error:
            self._failed[package] = str(error)
            raise _not_found(module, str(error)) from None
        return True


class Finder:
    """Comes last in `sys.meta_path`: asked for what is nowhere else."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Where a module is, once its package has been loaded for it."""
        __tracebackhide__ = True
        if path is not None or not is_for_user(sys._getframe(1)):
            return None
        if self._packages.provide(fullname):
            return importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if reason := reason_for(fullname):
            raise _not_found(fullname, reason)
        return None


def _not_found(module: str, reason: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {module!r}: {reason}", name=module)


def ask(host: Host, msg_type: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The host's answer. Raises PackageError with the host's reason, or KeyboardInterrupt."""
    __tracebackhide__ = True
    answer = host.ask(msg_type, content)
    if answer.get("status") == "ok":
        return answer
    if answer.get("ename") == "KeyboardInterrupt":
        raise KeyboardInterrupt
    kind = UnreachableError if answer.get("ename") == "UnreachableError" else PackageError
    raise kind(str(answer.get("evalue", "no reason was given")))
