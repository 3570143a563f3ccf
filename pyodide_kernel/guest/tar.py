"""`tar` for the shell: archives with Python's tarfile, under the options of GNU tar."""

from __future__ import annotations

import argparse
import fnmatch
import io
import os
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final, NoReturn

_COMPRESSION: Final = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}
_SUFFIXES: Final = {
    **{".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".tbz2": "bz2"},
    **{".xz": "xz", ".txz": "xz", ".zst": "zst"},
}

FAILED: Final = 2


class TarError(Exception):
    """What tar says before it gives up."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise TarError(message)


def main(args: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    try:
        options = _parse(args)
        if options.create:
            return _create(options)
        with _opened(options) as archive:
            return _list(archive, options) if options.list else _extract(archive, options)
    except (TarError, tarfile.TarError, EOFError) as error:
        _complain(str(error))
    except OSError as error:
        name = f"{error.filename}: " if error.filename is not None else ""
        _complain(f"{name}{error.strerror or error}")
    return FAILED


def _parse(args: Sequence[str]) -> argparse.Namespace:
    words = [*args]
    if words and not words[0].startswith("-"):
        words[:1] = _old_style(words[0], words)
    options, names = _parser().parse_known_intermixed_args(words)
    if unknown := [name for name in names if name.startswith("-")]:
        raise TarError(f"unknown option {unknown[0]}")
    if options.create + options.extract + options.list != 1:
        raise TarError("one of -c, -x and -t is needed")
    return options


def _old_style(letters: str, words: list[str]) -> list[str]:
    """`tar cfC a.tar b` as options, each with its value, which it takes out of `words`."""
    options = []
    for letter in letters:
        options.append(f"-{letter}")
        if letter in "fC":
            if len(words) < 2:
                raise TarError(f"option {letter} needs a value")
            options.append(words.pop(1))
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="tar", add_help=False, allow_abbrev=False)
    for short, long in (("c", "create"), ("x", "extract"), ("t", "list"), ("v", "verbose")):
        parser.add_argument(f"-{short}", f"--{long}", action="store_true")
    parser.add_argument("--get", dest="extract", action="store_true")
    parser.add_argument("-f", "--file", default="-")
    parser.add_argument("-C", "--directory", default=".")
    for short, long in (("z", "gzip"), ("j", "bzip2"), ("J", "xz")):
        parser.add_argument(f"-{short}", f"--{long}", action="store_const", dest="how", const=long)
    parser.add_argument("--zstd", action="store_const", dest="how", const="zstd")
    parser.add_argument("-a", "--auto-compress", action="store_true")
    parser.add_argument("-O", "--to-stdout", action="store_true")
    parser.add_argument("--exclude", action="append", default=[])
    parser.add_argument("--strip-components", type=int, default=0)
    for ignored in ("-p", "--preserve-permissions", "--no-same-owner", "--numeric-owner"):
        parser.add_argument(ignored, action="store_true", dest="ignored")
    parser.add_argument("names", nargs="*")
    return parser


def _create(options: argparse.Namespace) -> int:
    if not options.names:
        raise TarError("Cowardly refusing to create an empty archive")
    how = _COMPRESSION.get(options.how or "", "")
    if options.auto_compress and not how:
        how = _SUFFIXES.get(Path(options.file).suffix, "")
    made = io.BytesIO()
    failed = False
    with tarfile.open(fileobj=made, mode=f"w:{how}", format=tarfile.GNU_FORMAT) as archive:  # type: ignore[call-overload]
        for name in options.names:
            if not os.path.lexists(Path(options.directory, name)):
                _complain(f"{name}: Cannot stat: No such file or directory", more=True)
                failed = True
                continue
            for path, inside in _below(Path(options.directory, name), name):
                if _excluded(inside, options):
                    continue
                archive.add(path, arcname=inside, recursive=False)
                if options.verbose:
                    _verbose(options, f"{inside}{'/' if path.is_dir() else ''}")
    if options.file == "-":
        sys.stdout.buffer.write(made.getbuffer())
    else:
        Path(options.file).write_bytes(made.getbuffer())
    if failed:
        _complain("Exiting with failure status due to previous errors")
    return FAILED if failed else 0


def _below(path: Path, name: str) -> Iterator[tuple[Path, str]]:
    """A file, or a folder and all in it, with the names in the archive."""
    yield path, name.rstrip("/") or "/"
    if path.is_dir() and not path.is_symlink():
        for child in sorted(path.iterdir()):
            yield from _below(child, f"{name.rstrip('/')}/{child.name}")


def _opened(options: argparse.Namespace) -> Any:
    if options.file == "-":
        return tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()), mode="r:*")
    try:
        return tarfile.open(options.file, mode="r:*")
    except FileNotFoundError as error:
        raise TarError(f"{options.file}: Cannot open: {error.strerror}") from None


def _members(archive: tarfile.TarFile, options: argparse.Namespace) -> list[tarfile.TarInfo]:
    wanted = [name.rstrip("/") for name in options.names]
    members = [
        member
        for member in archive.getmembers()
        if not _excluded(member.name, options)
        and (
            not wanted
            or any(member.name == name or member.name.startswith(f"{name}/") for name in wanted)
        )
    ]
    names = {member.name for member in members}
    for name in wanted:
        if not any(found == name or found.startswith(f"{name}/") for found in names):
            raise TarError(f"{name}: Not found in archive")
    return members


def _list(archive: tarfile.TarFile, options: argparse.Namespace) -> int:
    for member in _members(archive, options):
        name = _shown(member)
        if not options.verbose:
            sys.stdout.write(f"{name}\n")
            continue
        kind = "d" if member.isdir() else "l" if member.issym() else "-"
        bits = "".join(
            letter if member.mode >> (8 - place) & 1 else "-"
            for place, letter in enumerate("rwxrwxrwx")
        )
        owner = f"{member.uname or member.uid}/{member.gname or member.gid}"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(member.mtime))
        link = f" -> {member.linkname}" if member.issym() else ""
        sys.stdout.write(f"{kind}{bits} {owner} {member.size:>9} {when} {name}{link}\n")
    return 0


def _extract(archive: tarfile.TarFile, options: argparse.Namespace) -> int:
    target = Path(options.directory)
    if not target.is_dir():
        raise TarError(f"{target}: Cannot open: No such file or directory")
    for member in _members(archive, options):
        shown = _shown(member)
        if options.to_stdout:
            if (file := archive.extractfile(member)) is not None:
                sys.stdout.buffer.write(file.read())
            continue
        parts = PurePosixPath(member.name).parts[options.strip_components :]
        if not parts:
            continue
        if options.verbose:
            _verbose(options, shown)
        archive.extract(member.replace(name="/".join(parts)), target, filter="data")
    return 0


def _shown(member: tarfile.TarInfo) -> str:
    return f"{member.name}/" if member.isdir() else member.name


def _excluded(name: str, options: argparse.Namespace) -> bool:
    """Whether a pattern matches the name or one of its ends, as with GNU tar."""
    parts = name.split("/")
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    heads = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    return any(
        fnmatch.fnmatchcase(text, pattern.rstrip("/"))
        for pattern in options.exclude
        for text in (*ends, *heads, *parts)
    )


def _verbose(options: argparse.Namespace, line: str) -> None:
    stream = sys.stderr if options.create and options.file == "-" else sys.stdout
    stream.write(f"{line}\n")


def _complain(text: str, *, more: bool = False) -> None:
    end = "" if more else "\ntar: Error is not recoverable: exiting now"
    if text.startswith("Exiting"):
        end = ""
    sys.stderr.write(f"tar: {text}{end}\n")
