"""Package indexes that pip is configured with."""

from __future__ import annotations

import configparser
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import platformdirs


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
