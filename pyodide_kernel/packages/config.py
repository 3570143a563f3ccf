"""Where packages come from: the settings as one value, and what is the default of each."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from pyodide_kernel.errors import RuntimeDamagedError
from pyodide_kernel.packages.cache import DEFAULT_LIMIT_BYTES

_DISTRIBUTION: Final = re.compile(r"`(https://[^`$]+)\$\{\w+\}(/full/)`")
"""Pyodide's own default, as its loader has it: a URL with the version in it."""

_INDEX: Final = re.compile(r'^PYPI_URL = "(https://[^"]+)"$', re.MULTILINE)
"""The default of micropip, as its source has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageConfig:
    """The settings about packages; each is the value of the trait of that name."""

    package_url: str = ""
    index_url: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    offline: bool = False
    preload: tuple[str, ...] = ()
    cache_dir: Path
    cache_limit: int = DEFAULT_LIMIT_BYTES
    compile: bool = True


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


def indexes_of_pip(environ: Mapping[str, str]) -> list[str]:
    """The index URLs that pip is configured with, the main one first; empty if it is not.

    Those that are no http or https URLs are left out: a folder is for --find-links.
    """
    settings: dict[str, str] = {}
    for path in _pip_files(environ):
        parser = configparser.RawConfigParser()
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read_string(path.read_text("utf-8"))
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update(parser.items(section))
    for name in ("index-url", "extra-index-url"):
        if value := environ.get(f"PIP_{name.replace('-', '_').upper()}"):
            settings[name] = value
    main = settings.get("index-url", "").split()
    extra = settings.get("extra-index-url", "").split()
    urls = [url for url in (*main, *extra) if url.startswith(("http://", "https://"))]
    return urls if main and main[0] in urls else []


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """pip's configuration files, the most general one first."""
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    if environ.get("PIP_CONFIG_FILE") == os.devnull:
        return
    for folder in platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(
        os.pathsep
    ):
        yield Path(folder) / name
    if sys.platform != "win32":
        yield Path("/etc") / name
    with contextlib.suppress(RuntimeError):
        yield Path.home() / ("pip" if sys.platform == "win32" else ".pip") / name
    with contextlib.suppress(RuntimeError):
        yield Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)) / name
    yield Path(sys.prefix) / name
    if file := environ.get("PIP_CONFIG_FILE"):
        yield Path(file)
