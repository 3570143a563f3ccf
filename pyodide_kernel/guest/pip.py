"""`%pip`: pip's commands and options, done by micropip and the host."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from IPython.core.error import UsageError

from pyodide_kernel.guest.installer import Installer
from pyodide_kernel.guest.packages import PackageError
from pyodide_kernel.guest.pip_lines import (
    NAME,
    NO_BUILDS,
    PipLineError,
    other_files,
    parse_pip,
    pip_words,
    project_of,
)
from pyodide_kernel.guest.requirements import PipError, read_requirements, requirement
from pyodide_kernel.guest.unavailable import reason_for

_REFUSED: Final = re.compile(r"for '([A-Za-z0-9][A-Za-z0-9._-]*)")


class Pip:
    """Runs the commands. `run_sync` drives an awaitable to its end, `say` prints a line."""

    def __init__(
        self,
        installer: Installer,
        *,
        run_sync: Callable[[Any], Any],
        say: Callable[[str], object],
    ) -> None:
        self._installer = installer
        self._run_sync = run_sync
        self._say = say

    def run(self, line: str) -> None:
        """Run one command line. Raises UsageError, PipError or KeyboardInterrupt."""
        __tracebackhide__ = True
        try:
            self.run_words(pip_words(line))
        except PipLineError as error:
            raise UsageError(str(error)) from None

    def run_words(self, words: Sequence[str]) -> None:
        """Run the words of a command line. Raises UsageError, PipError or KeyboardInterrupt."""
        __tracebackhide__ = True
        try:
            options = parse_pip(words)
        except PipLineError as error:
            raise UsageError(str(error)) from None
        getattr(self, f"_{options.command}")(options)

    # install

    def _install(self, options: Any) -> None:
        __tracebackhide__ = True
        requirements = [requirement(text) for text in options.requirements]
        for path in options.requirement:
            requirements += map(requirement, read_requirements(path))
        constraints = [text for path in options.constraint for text in read_requirements(path)]
        if options.editable:
            raise PipError(f"-e {options.editable[0]}: {NO_BUILDS}")
        if not requirements:
            raise UsageError("%pip install: a requirement or -r FILE is missing")
        before = _installed()
        replaced = self._make_room(requirements) if options.upgrade else {}
        try:
            self._micropip(requirements, constraints, options)
        except BaseException:
            self._put_back(replaced)
            raise
        self._report(requirements, before, quiet=bool(options.quiet))

    def _micropip(self, requirements: list[str], constraints: list[str], options: Any) -> None:
        __tracebackhide__ = True
        import micropip

        urls = [url for url in (options.index_url, *options.extra_index_url) if url]
        try:
            self._run_sync(
                micropip.install(
                    requirements,
                    deps=not options.no_deps,
                    pre=options.pre,
                    index_urls=urls or None,
                    constraints=constraints or None,
                    reinstall=True,
                )
            )
        except PackageError as error:
            raise PipError(str(error)) from None
        except KeyError as error:  # an extra that there is not; its text is quoted otherwise
            raise PipError(str(error.args[0])) from error
        except (ValueError, OSError, RuntimeError, TypeError) as error:
            raise PipError(self._explain(str(error))) from error

    def _explain(self, text: str) -> str:
        """Why micropip did not find what it looked for, from what the host said."""
        match = _REFUSED.search(text)
        name = re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""
        if reason := self._installer.failures.get(name):
            return f"{name}: {reason}"
        page = self._installer.pages.get(name)
        if page is None:
            return text.splitlines()[0] if text else "micropip failed"
        if page["files"]:
            return f"{text.splitlines()[0].rstrip('.')} {_versions(page)}"
        return _no_wheel(name, page)

    def _make_room(self, requirements: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """Take away what is to be upgraded, so that micropip looks for the newest version."""
        taken = {}
        for text in requirements:
            name = project_of(text)
            image = self._installer.packages.loaded.get(name)
            if image is not None:
                self._installer.packages.unload(name)
                taken[name] = image
        return taken

    def _put_back(self, taken: Mapping[str, Mapping[str, Any]]) -> None:
        self._installer.packages.show(
            [image for name, image in taken.items() if name not in self._installer.packages.loaded]
        )

    def _report(
        self, requirements: Sequence[str], before: Mapping[str, str], *, quiet: bool
    ) -> None:
        after = _installed()
        new = {name: version for name, version in after.items() if before.get(name) != version}
        if not quiet:
            for text in requirements:
                name = project_of(text)
                if name in after and name not in new:
                    self._say(f"Requirement already satisfied: {text} ({after[name]})")
            if new:
                names = " ".join(f"{name}-{version}" for name, version in sorted(new.items()))
                self._say(f"Successfully installed {names}")
        if stale := sorted(name for name in new if name in before and _is_imported(name)):
            self._say(
                f"Note: restart the kernel to use the new version of {', '.join(stale)}, "
                "which is imported already"
            )

    # The other commands

    def _uninstall(self, options: Any) -> None:
        __tracebackhide__ = True
        import micropip

        for name in options.names:
            try:
                version = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                self._say(f"WARNING: Skipping {name} as it is not installed.")
                continue
            try:
                micropip.uninstall(name)
            except PackageError as error:
                raise PipError(str(error)) from None
            if not options.quiet:
                self._say(f"Successfully uninstalled {name}-{version}")

    def _list(self, _options: Any) -> None:
        rows = sorted(_installed().items())
        width = max(map(len, ("Package", *(name for name, _ in rows))))
        self._say(f"{'Package':{width}} Version\n{'-' * width} -------")
        self._say("\n".join(f"{name:{width}} {version}" for name, version in rows))

    def _freeze(self, _options: Any) -> None:
        self._say("\n".join(f"{name}=={version}" for name, version in sorted(_installed().items())))

    def _show(self, options: Any) -> None:
        __tracebackhide__ = True
        for name in options.names:
            try:
                found = importlib.metadata.distribution(name)
            except importlib.metadata.PackageNotFoundError:
                raise PipError(f"{name} is not installed") from None
            needs = sorted(
                {
                    match[1]
                    for text in found.requires or ()
                    if _is_plain(text) and (match := NAME.match(text))
                }
            )
            self._say(
                f"Name: {found.name}\nVersion: {found.version}\n"
                f"Summary: {found.metadata['Summary'] or ''}\n"
                f"Location: {found.locate_file('')}\nRequires: {', '.join(needs)}"
            )


def _installed() -> dict[str, str]:
    """Versions by normalized name; the first on the path counts."""
    found: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = re.sub(r"[-_.]+", "-", distribution.name).lower()
        found.setdefault(name, distribution.version)
    return found


def _is_imported(name: str) -> bool:
    return name.replace("-", "_") in sys.modules


def _is_plain(requirement: str) -> bool:
    return "extra ==" not in requirement


def _versions(page: Mapping[str, Any]) -> str:
    versions = list(dict.fromkeys(entry["filename"].split("-")[1] for entry in page["files"]))
    shown = ", ".join(versions[-8:])
    return f"(versions with a wheel for WebAssembly: {shown})"


def _no_wheel(name: str, page: Mapping[str, Any]) -> str:
    reason = reason_for(name.replace("-", "_"))
    hint = f" {reason}." if reason else " A pure-Python package, or an older version, may do."
    return (
        f"{name} has no wheel that runs in WebAssembly: the index has "
        f"{other_files(page['others'])}, and {NO_BUILDS}.{hint}"
    )
