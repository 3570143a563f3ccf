"""A kernel's store of packages, put together from the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyodide_kernel.folders import user_folder
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.config import (
    PackageConfig,
    default_distribution,
    default_index,
    indexes_of_pip,
)
from pyodide_kernel.packages.distribution import Distribution, is_url, open_distribution
from pyodide_kernel.packages.downloads import Downloads
from pyodide_kernel.packages.indexes import FolderIndex, Index, WebIndex
from pyodide_kernel.packages.origins import origin
from pyodide_kernel.packages.store import Store
from pyodide_kernel.policy import PackageView
from pyodide_kernel.runtime import Manifest


def cache_folder(setting: str) -> Path:
    """The folder of the package cache; not absolute if there is no home folder for it."""
    if setting:
        return Path(setting).expanduser().absolute()
    return user_folder("cache") / "packages"


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
        setting = self.config.package_url
        urls = [*self.index_urls, setting if is_url(setting) else self.distribution_url]
        return Downloads(origins=map(origin, urls), offline=self.config.offline)

    @cached_property
    def distribution(self) -> Distribution:
        """The distribution. Raises PackageError."""
        return open_distribution(
            self.config.package_url,
            default_url=self.distribution_url,
            runtime_lock=self.runtime / "pyodide" / "pyodide-lock.json",
            cache=self.cache,
            downloads=lambda: self.downloads,
        )

    @cached_property
    def store(self) -> Store:
        """The store. Raises PackageError."""
        folders: list[Index] = [
            FolderIndex(Path(folder).expanduser().absolute()) for folder in self.config.find_links
        ]
        web = [WebIndex(url, downloads=self.downloads, cache=self.cache) for url in self.index_urls]
        return Store(
            cache=self.cache,
            downloads=self.downloads,
            distribution=self.distribution,
            indexes=[*folders, *web],
            bundled=tuple(self.manifest.packages),
            python=self.manifest.python,
        )

    def view(self) -> PackageView:
        """Make the cache folder; what an interpreter sees. Raises PackageError."""
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
        )
