"""What a lock file has to hold for a notebook, a script or a requirements file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.guest.pip_lines import is_wheel_path
from pyodide_kernel.reading.code import parse
from pyodide_kernel.reading.installs import Need, Needs, needs_of, read_requirements
from pyodide_kernel.reading.source import Place, Source
from pyodide_kernel.reading.uses import calls, imports, with_local_modules


@dataclass(slots=True)
class Wanted:
    """Requirements, and packages of the distribution that are imported."""

    needs: list[Need] = field(default_factory=list)
    imported: dict[str, Place] = field(default_factory=dict)
    """Where, by normalized name."""


def wanted_by(sources: Sequence[Source], available: Mapping[str, str]) -> Wanted:
    """What sources want; `available` has the distribution's packages by the modules in them.

    Raises ConfigurationError for what can't be read, or can't be locked.
    """
    wanted = Wanted()
    for source in sources:
        if source.kind == "requirements":
            _add(read_requirements(source), wanted)
            continue
        parsed = parse(source.units)
        pieces = with_local_modules(parsed.pieces, source.folder)
        _add(needs_of(source, parsed, list(calls(pieces))), wanted)
        for use in imports(pieces):
            package = available.get(use.module.partition(".")[0])
            if package is not None:
                wanted.imported.setdefault(package, use.place)
    return wanted


def _add(needs: Needs, wanted: Wanted) -> None:
    for place, reason in needs.wrong:
        raise ConfigurationError(f"{place}: {reason}")
    for place, text in needs.unclear:
        raise ConfigurationError(
            f"{place}: what {text} installs is known only when it runs, so it can't be locked; "
            "name the packages"
        )
    for need in needs.found:
        if is_wheel_path(need.requirement) or "://" in need.requirement:
            raise ConfigurationError(
                f"{need.place}: {need.requirement} names a file, which can't be locked; name the "
                "package, and the folder of its wheel with --find-links"
            )
        wanted.needs.append(need)
