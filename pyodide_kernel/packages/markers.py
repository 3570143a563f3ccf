"""Environment markers of requirements, as the guest evaluates them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.parser import HeaderParser

from packaging.markers import InvalidMarker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement


def marker_environment(python: str) -> dict[str, str]:
    """What markers are compared with in the guest, whose Python has this version."""
    return {
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "wasm32",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Emscripten",
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "emscripten",
    }


def requires(
    metadata: str, environment: Mapping[str, str], extras: Iterable[str]
) -> list[Requirement]:
    """What a package needs there, with these extras; what can't be understood is left out."""
    found = []
    for text in HeaderParser().parsestr(metadata).get_all("Requires-Dist", []):
        try:
            wanted = Requirement(text)
            if _applies(wanted, environment, extras):
                found.append(wanted)
        except (InvalidRequirement, InvalidMarker, UndefinedEnvironmentName):
            continue  # as micropip does
    return found


def _applies(wanted: Requirement, environment: Mapping[str, str], extras: Iterable[str]) -> bool:
    if wanted.marker is None:
        return True
    return any(wanted.marker.evaluate({**environment, "extra": extra}) for extra in ("", *extras))
