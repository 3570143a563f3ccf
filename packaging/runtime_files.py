"""The two archives of the runtime: the standard library and the image of site-packages."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

CACHE_TAG = "cpython-314"

# Left out of the image because nothing in it imports them. IPython.testing stays: IPython's core
# imports IPython.testing.skipdoctest. Jedi's typeshed stays, with the stubs of other projects:
# completion reads them.
LEFT_OUT = (
    "IPython/sphinxext/",  # needs Sphinx
    "IPython/terminal/tests/",
    "IPython/testing/plugin/",  # a pytest plugin of IPython's own test suite
    "jedi/third_party/django-stubs/",  # only for completing Django models
    "traitlets/tests/",
)
# The wheels' data scheme (manual pages, Jupyter data) has no place in the guest.
LEFT_OUT_SUFFIXES = (".data",)

# A fixed time stamp keeps the archive the same from build to build; zip knows none before 1980.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def is_left_out(name: str) -> bool:
    """True for a file of a wheel that the guest never needs."""
    top = name.split("/", 1)[0]
    return name.endswith("/") or top.endswith(LEFT_OUT_SUFFIXES) or name.startswith(LEFT_OUT)


def unpack(wheels: list[Path], sources: Path) -> dict[str, str]:
    """Unpack the wheels into one folder; return the versions by distribution name."""
    versions = {}
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        versions[name.replace("_", "-").lower()] = version
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if not is_left_out(member):
                    archive.extract(member, sources)
        (info,) = sources.glob(f"{name}-{version}.dist-info")
        describe(info)
    return dict(sorted(versions.items()))


def describe(info: Path) -> None:
    """Make the metadata tell the truth: who installed it, and which files there are."""
    record = info / "RECORD"
    lines = record.read_text("utf-8").splitlines()
    kept = [line for line in lines if not is_left_out(line.split(",", 1)[0])]
    kept.append(f"{info.name}/INSTALLER,,")
    record.write_text("\n".join(kept) + "\n", "utf-8")
    (info / "INSTALLER").write_text("pyodide-kernel\n", "utf-8")


def cached(name: str) -> str:
    """Where Python looks for a module's bytecode: a/b.py -> a/__pycache__/b.cpython-314.pyc."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/__pycache__/{file[:-3]}.{CACHE_TAG}.pyc".lstrip("/")


def write_stdlib(original: Path, compiled: Path, target: Path) -> None:
    """Write the archive anew, each module preceded by its bytecode.

    Bytecode is stored and sources are deflated: Pyodide then loads as fast as from an archive
    that stores both (0.43 s; 0.49 s if both are deflated), and 7 MB of it need not be kept.
    """
    with zipfile.ZipFile(original) as source, zipfile.ZipFile(target, "w") as out:
        for name in sorted(name for name in source.namelist() if not name.endswith("/")):
            bytecode = compiled / f"{name}c"
            if bytecode.is_file():
                out.writestr(entry(f"{name}c", zipfile.ZIP_STORED), bytecode.read_bytes())
            out.writestr(entry(name, zipfile.ZIP_DEFLATED), source.read(name))


def entry(name: str, method: int) -> zipfile.ZipInfo:
    """A member of an archive that is the same from build to build."""
    info = zipfile.ZipInfo(name, ZIP_TIME)
    info.compress_type = method
    return info


def write_image(folders: list[Path], blob: Path, index: Path) -> None:
    """Write all files of the folders into one blob, and an index {"files": {name: [offset, size]}}.

    Names are relative to the folders, with forward slashes, and sorted.
    """
    files = {
        path.relative_to(folder).as_posix(): path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }
    places: dict[str, list[int]] = {}
    offset = 0
    with blob.open("wb") as out:
        for name in sorted(files):
            data = files[name].read_bytes()
            out.write(data)
            places[name] = [offset, len(data)]
            offset += len(data)
    index.write_text(json.dumps({"files": places}, separators=(",", ":")), "utf-8")
