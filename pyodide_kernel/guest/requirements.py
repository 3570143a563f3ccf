"""Requirements as users write them, for micropip."""

from __future__ import annotations

from pathlib import Path

from pyodide_kernel.guest.packages import PackageError
from pyodide_kernel.guest.pip_lines import (
    NO_BUILDS,
    is_wheel_path,
    needs_build,
    other_file,
    requirement_lines,
)


class PipError(PackageError):
    """Something could not be installed; shown without a traceback, which would tell nothing."""

    def _render_traceback_(self) -> list[str]:
        return [f"ERROR: {self}"]


def requirement(text: str) -> str:
    """A requirement for micropip. Raises PipError for what would have to be built."""
    if is_wheel_path(text):
        path = Path(text.removeprefix("emfs:")).expanduser().absolute()
        if not path.is_file():
            raise PipError(f"{text}: there is no such file; files of the host are under /mnt")
        return f"emfs:{path}"
    if needs_build(text):
        raise PipError(f"{text}: {NO_BUILDS}")
    return text


def read_requirements(name: str) -> list[str]:
    """The requirements in a file of pip's form. Raises PipError."""
    path = Path(name).expanduser()
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise PipError(f"{name} can't be read: {error.strerror}") from None
    found = []
    for _, line in requirement_lines(text):
        if other := other_file(line):
            found += read_requirements(str(path.parent / other))
        elif line.startswith("-"):
            raise PipError(f"{name}: the option {line!r} is not supported in a file")
        else:
            found.append(line)
    return found
