"""A kernel's store of packages, put together from the settings.

What only downloads need is imported at the first question; the interpreter starts without it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pyodide_kernel.errors import ConfigurationError, PackageError, UnreachableError
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.config import (
    PackageConfig,
    default_distribution,
    default_index,
)
from pyodide_kernel.packages.constraints import Constraint, read_constraints
from pyodide_kernel.packages.distribution import Distribution, is_url, open_distribution, with_lock
from pyodide_kernel.packages.lockfile import LOCK_NAME, parse_lock
from pyodide_kernel.packages.origins import origin
from pyodide_kernel.policy import PackageView
from pyodide_kernel.runtime import Manifest, runtime_dir

if TYPE_CHECKING:
    from pyodide_kernel.packages.downloads import Downloads
    from pyodide_kernel.packages.indexes import Index
    from pyodide_kernel.packages.lite_site import Site
    from pyodide_kernel.packages.store import Store


@dataclass(frozen=True, kw_only=True)
class Packages:
    """What a kernel needs to know of packages; each part is made when it is first used."""

    config: PackageConfig
    runtime: Path
    manifest: Manifest

    @cached_property
    def cache(self) -> Cache:
        """The cache."""
        return Cache(self.config.cache_dir, limit_bytes=self.config.cache_limit)

    @cached_property
    def index_urls(self) -> tuple[str, ...]:
        """URLs of the indexes: the setting's, pip's, or micropip's."""
        from pyodide_kernel.packages.pip_settings import indexes_of_pip

        if self.site is not None and not self.site.other_indexes and not self.config.index_url:
            return ()
        return (
            self.config.index_url
            or tuple(indexes_of_pip(os.environ))
            or (default_index(self.runtime),)
        )

    @cached_property
    def distribution_url(self) -> str:
        """The URL of Pyodide's own distribution."""
        return default_distribution(self.runtime, self.manifest.pyodide)

    @cached_property
    def downloads(self) -> Downloads:
        """The one client of this kernel."""
        from pyodide_kernel.packages.downloads import Downloads

        place = self._place
        urls = [*self.index_urls, place if is_url(place) else self.distribution_url]
        return Downloads(origins=map(origin, urls), offline=self.config.offline)

    @cached_property
    def distribution(self) -> Distribution:
        """The distribution: what a lock file of the user's own names, if one is set.

        Raises PackageError.
        """
        if not self.config.lock:
            return self.base
        base: Distribution | None = None
        with contextlib.suppress(UnreachableError):  # all may be beside the file, or cached
            base = self.base
        own = parse_lock(self._runtime_lock.read_bytes(), source="")
        path = Path(self.config.lock).expanduser().absolute()
        return with_lock(path, base, abi=own.abi_version)

    @property
    def _runtime_lock(self) -> Path:
        return self.runtime / "pyodide" / LOCK_NAME

    @cached_property
    def site(self) -> Site | None:
        """The JupyterLite site that is set. Raises PackageError."""
        if not self.config.lite_site:
            return None
        from pyodide_kernel.packages.lite_site import read_site

        return read_site(Path(self.config.lite_site).expanduser().absolute())

    @cached_property
    def notices(self) -> tuple[str, ...]:
        """What the user should know, each a line. Raises PackageError."""
        notice = self.site.notice(self.manifest.pyodide) if self.site else ""
        return (notice,) if notice else ()

    @cached_property
    def _place(self) -> str:
        """Folder or URL of the distribution; empty for Pyodide's own. Raises PackageError."""
        site = self.site
        if site is None:
            return self.config.package_url
        if self.config.package_url:
            raise PackageError("--lite-site and --package-url both name packages; give one of them")
        if is_url(site.lock):
            return site.lock.rpartition("/")[0]
        own = is_url(site.distribution) and site.pyodide == self.manifest.pyodide
        return "" if own else site.distribution

    @cached_property
    def base(self) -> Distribution:
        """The distribution of --package-url or of the site, or Pyodide's own.

        Raises PackageError.
        """
        found = self._open(self._place)
        if self.site is None or not self.site.lock or is_url(self.site.lock):
            return found
        return with_lock(Path(self.site.lock), found, abi=found.lock.abi_version, urls=True)

    def _open(self, place: str) -> Distribution:
        return open_distribution(
            place,
            default_url=self.distribution_url,
            runtime_lock=self._runtime_lock,
            cache=self.cache,
            downloads=lambda: self.downloads,
        )

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """The versions that are allowed. Raises ConfigurationError."""
        return read_constraints(self.config.constraints)

    @cached_property
    def store(self) -> Store:
        """The store. Raises PackageError."""
        from pyodide_kernel.packages.indexes import FolderIndex, WebIndex
        from pyodide_kernel.packages.store import Store

        folders: list[Index] = [
            FolderIndex(Path(folder).expanduser().absolute()) for folder in self.config.find_links
        ]
        web = [WebIndex(url, downloads=self.downloads, cache=self.cache) for url in self.index_urls]
        return Store(
            cache=self.cache,
            downloads=self.downloads,
            distribution=self.distribution,
            indexes=[*folders, *(self.site.indexes if self.site else ()), *web],
            constraints=self.constraints,
            bundled=tuple(self.manifest.packages),
            python=self.manifest.python,
        )

    @cached_property
    def _opened(self) -> tuple[PackageView | None, str]:
        if not self.config.cache_dir.is_absolute():
            return None, "there is no home folder for their cache; set --cache-dir"
        try:
            return self._look(), ""
        except PackageError as error:
            folder = self.config.package_url and not is_url(self.config.package_url)
            if folder or self.config.lock or self.config.lite_site:
                raise ConfigurationError(str(error)) from error
            return None, str(error)

    @property
    def view(self) -> PackageView | None:
        """What an interpreter sees; None if there are no packages.

        Makes the folder of the cache and reads the lock file. Raises ConfigurationError if a
        setting can't be used.
        """
        return self._opened[0]

    @property
    def problem(self) -> str:
        """Why there are none; empty if there are."""
        return self._opened[1]

    def close(self) -> None:
        """Close connections, if there are any."""
        if "downloads" in self.__dict__:
            self.downloads.close()

    def _look(self) -> PackageView:
        self.cache.prepare()
        bundled = set(self.manifest.packages)
        lock = self.distribution.lock
        return PackageView(
            images=self.cache.images,
            imports={
                module: package
                for module, package in lock.imports().items()
                if package not in bundled
            },
            lock={
                name: {"version": package.version, "depends": list(package.depends)}
                for name, package in lock.packages.items()
                if name not in bundled
            },
            preload=self.config.preload,
            constraints=tuple(constraint.text for constraint in self.constraints),
        )


def open_packages(config: PackageConfig, *, manifest: Manifest) -> Packages:
    """The packages of a kernel with these settings."""
    return Packages(config=config, runtime=runtime_dir(), manifest=manifest)
