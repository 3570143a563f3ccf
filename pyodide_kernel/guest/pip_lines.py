"""How `%pip` lines and requirements files are written. Pure; the host reads them too.

Nothing here may import anything but the standard library.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

NAME: Final = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
"""The name at the start of a requirement."""

PIP: Final = re.compile(r"\s*(?:python3? -m )?pip3?(?:\s+(.*))?", re.DOTALL)
"""What `!` takes for a command of pip, the one program that there is; the group is the rest of the
line."""

NO_BUILDS: Final = "only wheels can be installed; WebAssembly has no processes to build one"

_WITHOUT_EFFECT: Final = (
    *("--user", "--no-cache-dir", "--disable-pip-version-check", "--no-input", "--no-warn-script"),
    *("--prefer-binary", "--force-reinstall", "--no-warn-script-location", "-v", "--verbose"),
    *("--break-system-packages", "--root-user-action=ignore", "--only-binary=:all:"),
)
"""Options of pip that make no difference here."""

_BUILT: Final = re.compile(r"(?:git|hg|svn|bzr)\+|.*@\s*(?:git|hg)\+")


class PipLineError(ValueError):
    """A line that pip would not understand either; says which command and why."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise PipLineError(f"{self.prog}: {message}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="%pip", add_help=False, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", parser_class=_Parser)
    install = commands.add_parser("install", add_help=False, allow_abbrev=False)
    install.add_argument("requirements", nargs="*")
    install.add_argument("-r", "--requirement", action="append", default=[])
    install.add_argument("-c", "--constraint", action="append", default=[])
    install.add_argument("-q", "--quiet", action="count", default=0)
    install.add_argument("-U", "--upgrade", action="store_true")
    install.add_argument("--pre", action="store_true")
    install.add_argument("--no-deps", action="store_true")
    install.add_argument("-i", "--index-url")
    install.add_argument("--extra-index-url", action="append", default=[])
    install.add_argument("-e", "--editable", action="append", default=[])
    uninstall = commands.add_parser("uninstall", add_help=False, allow_abbrev=False)
    uninstall.add_argument("names", nargs="+")
    uninstall.add_argument("-y", "--yes", action="store_true")
    uninstall.add_argument("-q", "--quiet", action="count", default=0)
    show = commands.add_parser("show", add_help=False, allow_abbrev=False)
    show.add_argument("names", nargs="+")
    for name in ("list", "freeze"):
        commands.add_parser(name, add_help=False, allow_abbrev=False)
    return parser


def pip_words(line: str) -> list[str]:
    """The words of what follows `%pip`. Raises PipLineError."""
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise PipLineError(f"%pip: {error}") from None


def parse_pip(words: Sequence[str]) -> Any:
    """The options of a line's words; `command` names the command. Raises PipLineError."""
    options = _parser().parse_args([word for word in words if word not in _WITHOUT_EFFECT])
    if options.command is None:
        raise PipLineError("%pip: install, uninstall, list, show or freeze is missing")
    return options


def other_files(others: Mapping[str, int]) -> str:
    """What an index has of a project beside wheels that run here, such as `2 source archives`."""
    return " and ".join(
        f"{others[kind]} {text}"
        for kind, text in (
            ("wheels", "wheels for other platforms"),
            ("sdists", "source archives"),
            ("python", "wheels for other versions of Python"),
        )
        if others.get(kind)
    )


def needs_build(requirement: str) -> bool:
    """Whether a requirement names sources rather than a wheel or a project."""
    if _BUILT.match(requirement):
        return True
    path = requirement.endswith((".tar.gz", ".zip", ".tgz"))
    return path or requirement in (".", "..") or requirement.startswith("./")


def is_wheel_path(requirement: str) -> bool:
    """Whether a requirement is the path of a wheel."""
    return requirement.endswith(".whl") and "://" not in requirement and "@" not in requirement


def requirement_lines(text: str) -> Iterator[tuple[int, str]]:
    """What a requirements file holds, each with its line: no comments, no digests, no empty ones.

    A line that is continued counts as the first of its lines.
    """
    number = 0
    for line in re.sub(r"\\\n", "\\\\\0", text).splitlines():
        number += 1
        plain = re.sub(r"(^|\s)#.*", "", line.replace("\\\0", " "))
        plain = re.sub(r"\s--hash=\S+", "", plain).strip()
        if plain:
            yield number, plain
        number += line.count("\0")


def other_file(line: str) -> str | None:
    """The file that a line of a requirements file includes, if it does."""
    if line.startswith(("-r ", "--requirement ")):
        return line.split(None, 1)[1]
    return None


def project_of(requirement: str) -> str:
    """Normalized name of the project that a requirement or the path of a wheel is about."""
    if requirement.endswith(".whl"):
        requirement = requirement.rpartition("/")[2].split("-", 1)[0]
    match = NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""
