"""`pyodide-kernel check`: says before it runs what of a notebook will not work."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyodide_kernel.check.examine import Examination
from pyodide_kernel.check.findings import Finding
from pyodide_kernel.check.modules import Modules
from pyodide_kernel.check.projects import Listing, Projects
from pyodide_kernel.network import Network, read_grant
from pyodide_kernel.options import OneLineParser
from pyodide_kernel.package_options import add_package_settings, packages_of, setting_values
from pyodide_kernel.packages.jobs import Job
from pyodide_kernel.packages.opening import Packages
from pyodide_kernel.reading.source import read_source

FAILS = 1


def check(argv: Sequence[str]) -> int:
    """Check files; 1 if anything will fail. Raises ConfigurationError for what can't be read."""
    parser = OneLineParser(
        prog="pyodide-kernel check",
        allow_abbrev=False,
        description="Say what of a notebook will not work, without running it: packages that have "
        "no build for WebAssembly, processes, threads, sockets, the network.",
        epilog="Exit code 1: something will fail; 2: a file can't be read; 0: neither.",
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a notebook, a script or a requirements file"
    )
    add_package_settings(parser, "allow_net")
    options = parser.parse_args(argv)
    values = setting_values(options, os.environ)
    sources = [read_source(Path(name)) for name in options.files]
    packages = packages_of(values)
    try:
        examination = examination_of(packages, values)
        found = [finding for source in sources for finding in examination.findings(source)]
    finally:
        packages.close()
    sys.stdout.writelines(f"{finding.line()}\n" for finding in found)
    sys.stdout.write(f"{summary(found)}\n")
    return FAILS if any(finding.fails for finding in found) else 0


def summary(found: Sequence[Finding]) -> str:
    """One line about all findings."""
    failing = sum(finding.fails for finding in found)
    notes = len(found) - failing
    if not failing:
        return f"Nothing was found that will fail{_and_notes(notes)}"
    things = "1 thing" if failing == 1 else f"{failing} things"
    return f"{things} will fail{_and_notes(notes)}"


def _and_notes(count: int) -> str:
    return "" if not count else ", 1 note" if count == 1 else f", {count} notes"


def examination_of(packages: Packages, values: Mapping[str, Any]) -> Examination:
    """What files are held against: these packages and the network that the settings grant."""
    manifest = packages.manifest
    projects = Projects(
        packages.distribution.lock,
        listing_of(packages),
        bundled=manifest.packages,
        python=manifest.python,
        constraints=packages.constraints,
    )
    return Examination(
        lock=packages.distribution.lock,
        modules=Modules(packages.runtime),
        projects=projects,
        network=network_of(values.get("allow_net", ())),
    )


def listing_of(packages: Packages) -> Listing:
    """The indexes that the settings name."""
    job = Job(cancelled=threading.Event(), report=lambda _line: None)
    return Listing(
        page=lambda project: packages.store.page(project, "", job),
        metadata=lambda project, file: packages.store.metadata(project, file, job),
    )


def network_of(grants: Sequence[str]) -> Network:
    """The network that values of `--allow-net` grant."""
    places = [read_grant(text) for text in grants]
    return Network(public=None in places, places=tuple(place for place in places if place))
