"""micropip with the host as its network: it resolves, the host fetches, checks and unpacks.

The guest sees of an index what the host tells it: names, versions and digests of the wheels that
may run here, under URLs that lead nowhere. Wheels themselves never come into the guest's memory.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import json
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final
from urllib.parse import unquote, urlsplit

from pyodide_kernel.guest.host import Host
from pyodide_kernel.guest.packages import PackageError, Packages, UnreachableError, ask

LISTED: Final = "https://index.invalid/"
"""What the URL of each file begins with that the host lists."""

LOCAL: Final = "/lib/local-packages"
"""Where wheels of the user's own go; in memory."""


class NoDistributionError(PackageError):
    """The distribution has a package, as its lock says, but it could not be fetched."""


class Installer:
    """What micropip asks for, answered by the host."""

    def __init__(self, host: Host, packages: Packages) -> None:
        self._host = host
        self.packages = packages
        self.pending: list[tuple[str, str]] = []
        """Wheels (project, file) that the running installation has chosen."""
        self.pages: dict[str, Mapping[str, Any]] = {}
        self.failures: dict[str, str] = {}

    def begin(self) -> None:
        """A new installation: nothing is chosen, nothing has failed."""
        self.pending.clear()
        self.failures.clear()

    def page(self, url: str, default_index: str) -> str:
        """A project's page in the form of PEP 691. Raises PackageError."""
        index, _, project = url.rstrip("/").rpartition("/")
        try:
            answer = ask(
                self._host,
                "index_request",
                {
                    "index": "" if index == default_index else index,
                    "project": project,
                    "file": "",
                },
            )
        except PackageError as error:
            self.failures[project] = str(error)
            raise
        page = answer["page"]
        self.pages[project] = page
        return json.dumps(page)

    def metadata(self, url: str) -> bytes:
        """The METADATA of a listed wheel. Raises PackageError."""
        project, file = listed(url)
        question = {"index": "", "project": project, "file": file}
        return str(ask(self._host, "index_request", question)["metadata"]).encode()

    def install_pending(self) -> None:
        """Load all wheels that were chosen. Raises PackageError."""
        wheels, self.pending = self.pending, []
        if wheels:
            self.packages.load(wheels=wheels)


def listed(url: str) -> tuple[str, str]:
    """Project and file name behind the URL of a listed file."""
    project, _, file = url.removeprefix(LISTED).partition("/")
    return project, unquote(file)


def adapt(micropip: ModuleType, installer: Installer) -> None:
    """Have micropip ask the host.

    Replaced are its access to the network and to Pyodide's loader, which the worker has not, and
    where it would unpack a wheel into memory.
    """
    from micropip import wheelinfo
    from micropip.package_manager import PackageManager

    manager = micropip._package_manager_singleton
    manager.compat_layer = _layer(installer)
    _adapt_wheels(wheelinfo, installer)
    _adapt_manager(PackageManager, installer)
    micropip.install = manager.install  # type: ignore[attr-defined]  # bound before it changed


def _layer(installer: Installer) -> Any:
    from micropip._compat.compatibility_layer import CompatibilityLayer
    from micropip.package_index import DEFAULT_INDEX_URLS

    class Loaded:
        """Names that micropip notes as attributes."""

        @staticmethod
        def to_py() -> dict[str, str]:
            return {}

    class HostLayer(CompatibilityLayer):
        """The guest's world, as micropip needs it."""

        loadedPackages = Loaded  # micropip's name
        lockfile_info: ClassVar[dict[str, str]] = {}
        lockfile_packages: ClassVar[Any] = installer.packages.lock
        lockfile_base_url = None

        @staticmethod
        async def fetch_bytes(url: str, kwargs: Any) -> bytes:
            parts = urlsplit(url)
            if parts.scheme in ("emfs", "file", ""):
                return _read(unquote(parts.path))
            raise PackageError(
                f"{url[:200]} is not fetched: packages come from the configured indexes. Download "
                "it on the host, and name its folder with --find-links or mount it"
            )

        @staticmethod
        async def fetch_string_and_headers(url: str, kwargs: Any) -> tuple[str, dict[str, str]]:
            text = installer.page(url, DEFAULT_INDEX_URLS[0])
            return text, {"content-type": "application/vnd.pypi.simple.v1+json"}

        @staticmethod
        async def install(
            buffer: Any, filename: str, install_dir: str, metadata: Any = None
        ) -> None:
            install_local(bytes(buffer), metadata or {})

        @staticmethod
        async def loadPackage(names: Any) -> None:  # micropip's name
            try:
                installer.packages.load([names] if isinstance(names, str) else list(names))
            except UnreachableError as error:
                raise NoDistributionError(str(error)) from None

        @staticmethod
        def to_js(value: Any, /, **_: Any) -> Any:
            return value

    return HostLayer


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def install_local(data: bytes, notes: Mapping[str, str]) -> None:
    """Unpack a wheel of the user's own; `notes` are files beside its metadata."""
    import io

    target = Path(LOCAL)
    target.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(target)
        infos = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    for info in infos:
        for name, text in notes.items():
            (target / info / name).write_text(text, "utf-8")
    if LOCAL not in sys.path:
        sys.path.append(LOCAL)


def _adapt_wheels(wheelinfo: Any, installer: Installer) -> None:
    wheel_class = wheelinfo.WheelInfo
    download, install = wheel_class.download, wheel_class.install

    async def download_listed(self: Any, fetch_kwargs: Any, compat_layer: Any) -> None:
        if not self.url.startswith(LISTED):
            await download(self, fetch_kwargs, compat_layer)
            return
        wheel = listed(self.url)
        if wheel not in installer.pending:
            installer.pending.append(wheel)

    async def read_metadata(self: Any, fetch_kwargs: Any, compat_layer: Any) -> None:
        if self._metadata is None:
            self._metadata = wheelinfo.Metadata(installer.metadata(self.url))

    async def install_listed(self: Any, target: Any, compat_layer: Any) -> None:
        if self.url.startswith(LISTED):
            installer.install_pending()
        else:
            await install(self, target, compat_layer)

    wheel_class.download = download_listed
    wheel_class.download_pep658_metadata = read_metadata
    wheel_class.install = install_listed


def _adapt_manager(manager: Any, installer: Installer) -> None:
    uninstall, install = manager._uninstall_distributions, manager.install

    async def install_anew(self: Any, *args: Any, **kwargs: Any) -> None:
        installer.begin()
        given = kwargs.get("constraints")
        more = self.constraints if given is None else given
        kwargs["constraints"] = [*installer.packages.constraints, *more]
        try:
            await install(self, *args, **kwargs)
        except NoDistributionError as error:
            sys.stderr.write(f"{error}; looking in the package indexes instead\n")
            installer.begin()
            with _without_distribution(self.compat_layer):
                await install(self, *args, **kwargs)

    def uninstall_here(self: Any, distributions: Any, logger: Any) -> None:
        others = []
        for found in distributions:
            if not installer.packages.unload_if_loaded(found.name):
                if not str(found.locate_file("")).startswith(LOCAL):
                    raise PackageError(
                        f"{found.name} {found.version} is part of the kernel, which needs it as it "
                        "is; it can't be replaced or removed"
                    )
                others.append(found)
        uninstall(self, others, logger)

    install_anew.__doc__ = install.__doc__
    manager.install = install_anew
    manager._uninstall_distributions = uninstall_here


@contextlib.contextmanager
def _without_distribution(layer: Any) -> Iterator[None]:
    locked, layer.lockfile_packages = layer.lockfile_packages, {}
    try:
        yield
    finally:
        layer.lockfile_packages = locked


class InstallerFinder:
    """Adapts micropip when it is imported, and is `piplite`, which JupyterLite's notebooks use."""

    def __init__(self, installer: Installer) -> None:
        self._installer = installer

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Micropip's own spec, with something to do after its import."""
        if fullname == "piplite":
            return importlib.machinery.ModuleSpec(fullname, _Piplite())
        if fullname != "micropip":
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Adapting(spec.loader, self._installer)
        return spec


class _Adapting(importlib.abc.Loader):
    """A loader that adapts what it has loaded."""

    def __init__(self, loader: Any, installer: Installer) -> None:
        self._loader = loader
        self._installer = installer

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """What the loader makes."""
        made: ModuleType | None = self._loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Load it, and adapt it."""
        self._loader.exec_module(module)
        adapt(module, self._installer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Piplite(importlib.abc.Loader):
    """Loads a module with the functions of micropip, as JupyterLite's has."""

    def exec_module(self, module: ModuleType) -> None:
        """Fill it with micropip's functions."""
        import micropip

        for name in ("install", "list", "freeze", "uninstall"):
            setattr(module, name, getattr(micropip, name))
        module.__doc__ = micropip.__doc__
