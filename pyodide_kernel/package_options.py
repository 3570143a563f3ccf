"""The settings about packages for commands that are no kernels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any, Final

from pyodide_kernel.errors import ConfigurationError, PackageError
from pyodide_kernel.folders import cache_folder
from pyodide_kernel.options import from_environment
from pyodide_kernel.packages.config import PACKAGE_TRAITS, package_config
from pyodide_kernel.packages.opening import Packages, open_packages
from pyodide_kernel.runtime import load_manifest
from pyodide_kernel.settings import SETTINGS, Setting

_LEFT_OUT: Final = ("preload", "cache_limit", "compile_packages")


def _name(setting: Setting) -> str:
    return setting.trait.partition(".")[2]


_CHOSEN: Final = tuple(
    setting
    for setting in SETTINGS
    if _name(setting) in (*PACKAGE_TRAITS, "cache_dir") and _name(setting) not in _LEFT_OUT
)


def add_package_settings(
    parser: argparse.ArgumentParser, *more: str, without: tuple[str, ...] = ()
) -> None:
    """Add the options; `more` and `without` are names of traits."""
    group = parser.add_argument_group("settings", "those of a kernel, with the same variables")
    wanted = [setting for setting in SETTINGS if setting in _CHOSEN or _name(setting) in more]
    for setting in wanted:
        if _name(setting) not in without:
            setting.add_to(group)


def setting_values(options: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
    """Values by the names of traits: the environment's, and the command line's over them.

    Raises ConfigurationError.
    """
    values = {trait.partition(".")[2]: value for trait, value in from_environment(environ)}
    for setting in SETTINGS:
        if (given := getattr(options, setting.trait, None)) is not None:
            values[_name(setting)] = setting.from_option(given)
    return values


def packages_of(values: Mapping[str, Any]) -> Packages:
    """The packages that a kernel with these settings would have. Raises ConfigurationError."""
    manifest = load_manifest()
    config = package_config(values, cache_folder(values.get("cache_dir", "")))
    if not config.cache_dir.is_absolute():
        raise ConfigurationError("there is no home folder for the cache; set --cache-dir")
    packages = open_packages(config, manifest=manifest)
    try:
        packages.cache.prepare()
        packages.distribution  # noqa: B018  # it is read now, and kept
        sys.stderr.writelines(f"note: {notice}\n" for notice in packages.notices)
    except PackageError as error:
        raise ConfigurationError(str(error)) from error
    return packages
