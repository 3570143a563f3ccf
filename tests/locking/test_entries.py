"""Entries of a lock file: modules, needs and extras, out of what was loaded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from wheels import digest, lock_bytes, lock_entry, wheel_bytes

from pyodide_kernel.errors import PackageError
from pyodide_kernel.lock_command import write_lock
from pyodide_kernel.locking.entries import Wheel, lock_entries, modules_of, read_wheel
from pyodide_kernel.packages.archive import write_image
from pyodide_kernel.packages.lockfile import parse_lock
from pyodide_kernel.packages.markers import marker_environment
from pyodide_kernel.runtime import runtime_dir

ENVIRONMENT = marker_environment("3.14.2")


def wheel(name: str, *requires: str) -> Wheel:
    lines = "".join(f"Requires-Dist: {text}\n" for text in requires)
    return Wheel(
        name=name,
        version="1",
        file_name=f"{name}-1-py3-none-any.whl",
        sha256=digest(name.encode()),
        imports=(name,),
        metadata=f"Metadata-Version: 2.1\nName: {name}\n{lines}\n",
    )


def test_a_wheel_is_read_from_its_image(tmp_path: Path) -> None:
    data = wheel_bytes("demo", "1", {"demo/__init__.py": "", "top.py": ""}, requires=("a>=1",))
    (tmp_path / "demo.whl").write_bytes(data)
    (tmp_path / "image").mkdir()
    write_image(tmp_path / "demo.whl", tmp_path / "image", name="demo 1", origin="pypi")
    names = {"name": "demo", "version": "1", "file_name": "demo-1-py3-none-any.whl"}
    read = read_wheel(tmp_path / "image", sha256=digest(data), **names)
    assert read.imports == ("demo", "top")
    assert "Requires-Dist: a>=1" in read.metadata
    with pytest.raises(PackageError, match="the image of demo 1 can't be read"):
        read_wheel(tmp_path, sha256="", **names)


def test_modules_are_what_can_be_imported() -> None:
    files = [
        *("a/__init__.py", "b.py", "c.cpython-314-wasm32-emscripten.so", "d/e/f.py", "g.so"),
        *("h/data.json", "i-1.dist-info/METADATA", "j.data/x.py", "k.txt", "l/m.so"),
    ]
    assert modules_of(files) == ["a", "b", "c", "d", "g", "l"]


def test_entries_name_what_is_locked_and_leave_out_what_the_kernel_brings() -> None:
    lock = parse_lock(
        lock_bytes(lock_entry("numpy", "2", b"n", depends=("libopen", "traitlets"))), source="t"
    )
    entries = lock_entries(
        [
            wheel("user", "numpy>1", "traitlets", "win32; sys_platform == 'win32'", "Other_Wheel"),
            wheel("other-wheel"),
        ],
        list(lock.packages.values()),
        ["user"],
        ENVIRONMENT,
    )
    assert list(entries) == ["numpy", "other-wheel", "user"]
    assert entries["user"]["depends"] == ["numpy", "other-wheel"]
    assert entries["numpy"]["depends"] == []
    assert entries["numpy"]["sha256"] == digest(b"n")
    own = json.dumps({"info": {"abi_version": "x"}, "packages": entries}).encode()
    read = parse_lock(own, source="t")
    assert [package.name for package in read.closure(["user"])] == ["numpy", "other-wheel", "user"]


def test_the_library_for_lock_files_reads_what_is_written(tmp_path: Path) -> None:
    library = pytest.importorskip("pyodide_lock", reason="it needs Python 3.12")
    entries = lock_entries([wheel("user", "other"), wheel("other")], [], ["user"], ENVIRONMENT)
    write_lock(tmp_path / "lock.json", runtime_dir(), entries)
    read = library.PyodideLockSpec.from_json(tmp_path / "lock.json")
    assert read.packages["user"].depends == ["other"]
    assert read.packages["other"].sha256 == digest(b"other")


def test_extras_count_that_anything_asks_for() -> None:
    wheels = [
        wheel("user", "middle[fast]"),
        wheel("middle", "speed; extra == 'fast'", "plot; extra == 'plot'", "middle[more]"),
        wheel("speed", "user"),
        wheel("plot"),
    ]
    entries = lock_entries(wheels, [], ["user"], ENVIRONMENT)
    assert entries["middle"]["depends"] == ["speed"]
    entries = lock_entries(wheels, [], ["user", "Middle[plot]"], ENVIRONMENT)
    assert entries["middle"]["depends"] == ["speed", "plot"]
    assert entries["speed"]["depends"] == ["user"]
