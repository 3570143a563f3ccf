"""Requirements as users write them, for micropip."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pyodide_kernel.guest.packages import PackageError

NAME: Final = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


class PipError(PackageError):
    """Something could not be installed; shown without a traceback, which would tell nothing."""

    def _render_traceback_(self) -> list[str]:
        return [f"ERROR: {self}"]


NO_BUILDS: Final = "only wheels can be installed; WebAssembly has no processes to build one"


def requirement(text: str) -> str:
    """A requirement for micropip. Raises PipError for what would have to be built."""
    if text.endswith(".whl") and "://" not in text and "@" not in text:
        path = Path(text.removeprefix("emfs:")).expanduser().absolute()
        if not path.is_file():
            raise PipError(f"{text}: there is no such file; files of the host are under /mnt")
        return f"emfs:{path}"
    if re.match(r"(?:git|hg|svn|bzr)\+|.*@\s*(?:git|hg)\+", text):
        raise PipError(f"{text}: {NO_BUILDS}")
    if text.endswith((".tar.gz", ".zip", ".tgz")) or text in (".", "..") or text.startswith("./"):
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
    for line in re.sub(r"\\\n", " ", text).splitlines():
        plain = re.sub(r"(^|\s)#.*", "", line)
        plain = re.sub(r"\s--hash=\S+", "", plain).strip()
        if plain.startswith(("-r ", "--requirement ")):
            found += read_requirements(str(path.parent / plain.split(None, 1)[1]))
        elif plain.startswith("-"):
            raise PipError(f"{name}: the option {plain!r} is not supported in a file")
        elif plain:
            found.append(plain)
    return found


def project_of(requirement: str) -> str:
    """Normalized name of the project that a requirement or the path of a wheel is about."""
    if requirement.endswith(".whl"):
        requirement = requirement.rpartition("/")[2].split("-", 1)[0]
    match = NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""
