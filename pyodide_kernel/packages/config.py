"""Where packages come from: the settings as one value, and what is the default of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyodide_kernel.errors import RuntimeDamagedError
from pyodide_kernel.packages.cache import DEFAULT_LIMIT_BYTES

_DISTRIBUTION: Final = re.compile(r"`(https://[^`$]+)\$\{\w+\}(/full/)`")
"""Pyodide's own default, as its loader has it: a URL with the version in it."""

_INDEX: Final = re.compile(r'^PYPI_URL = "(https://[^"]+)"$', re.MULTILINE)
"""The default of micropip, as its source has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageConfig:
    """The settings about packages; each but `cache_dir` is the value of the trait of that name."""

    package_url: str = ""
    index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    lock: str = ""
    lite_site: str = ""
    offline: bool = False
    preload: tuple[str, ...] = ()
    cache_dir: Path
    cache_limit: int = DEFAULT_LIMIT_BYTES
    compile_packages: bool = True


PACKAGE_TRAITS: Final = tuple(
    name for name in PackageConfig.__dataclass_fields__ if name != "cache_dir"
)


def package_config(values: Mapping[str, Any], cache: Path) -> PackageConfig:
    """The settings, from values of the kernel's traits and its folder of cached files."""
    chosen = {name: values[name] for name in PACKAGE_TRAITS if name in values}
    lists = {name: tuple(value) for name, value in chosen.items() if isinstance(value, list)}
    return PackageConfig(cache_dir=package_cache(cache), **(chosen | lists))


def package_cache(cache: Path) -> Path:
    """The folder of the cache of packages, in that of all cached files."""
    return cache / "packages"


def default_distribution(runtime: Path, version: str) -> str:
    """The URL of Pyodide's own packages. Raises RuntimeDamagedError."""
    text = (runtime / "pyodide" / "pyodide.mjs").read_text("utf-8")
    if (match := _DISTRIBUTION.search(text)) is None:
        raise RuntimeDamagedError(f"{runtime / 'pyodide' / 'pyodide.mjs'} names no distribution")
    return f"{match[1]}{version}{match[2]}"


def default_index(runtime: Path) -> str:
    """The URL of micropip's own index. Raises RuntimeDamagedError."""
    index = json.loads((runtime / "site-packages.json").read_text("utf-8"))["files"]
    try:
        offset, size = index["micropip/package_index.py"]
    except KeyError:
        raise RuntimeDamagedError(f"there is no micropip in {runtime}") from None
    with (runtime / "site-packages.bin").open("rb") as blob:
        blob.seek(offset)
        text = blob.read(size).decode("utf-8")
    if (match := _INDEX.search(text)) is None:
        raise RuntimeDamagedError(f"micropip in {runtime} names no index")
    return match[1]
