"""`pyodide-kernel lock`, and kernels that run with what it wrote and without a network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_notebooks import write_notebook
from real_kernel import cache_with_snapshot, real_kernel
from wheels import Server, digest, make_distribution, running_server, wheel_bytes

from pyodide_kernel.__main__ import main

pytestmark = pytest.mark.deno

NOT_COMPILING = "--PyodideKernel.compile_packages=False"
BASE = wheel_bytes("base", "2", {"base.py": "value = 41\n"})
DEMO = wheel_bytes("demo", "1", {"demo.py": "import base\nvalue = base.value + 1\n"})
PURE = wheel_bytes("pure", "3", {"pure/__init__.py": "v = 3"}, requires=("part[more]", "base"))
PART = wheel_bytes(
    "part", "1", {"part.py": ""}, requires=("tail; extra == 'more'\nProvides-Extra: more",)
)
TAIL = wheel_bytes("tail", "1", {"tail.py": ""})

CELLS = "import demo\ndemo.value", "%pip install -q pure\nimport pure\npure.v"


@pytest.fixture(scope="module")
def locked(
    tmp_path_factory: pytest.TempPathFactory, snapshot: Path
) -> tuple[Path, Path, list[str]]:
    """A folder with a lock file and its archives, the cache, and the settings of a kernel."""
    folder = tmp_path_factory.mktemp("lock")
    cache = cache_with_snapshot(folder / "cache")
    demo = ("1", DEMO, ("base",))
    unused = ("1", wheel_bytes("unused", "1", {"unused.py": ""}), ())
    made = make_distribution(folder / "d", base=("2", BASE, ()), demo=demo, unused=unused)
    (folder / "out").mkdir()
    with running_server() as server:
        serve(server)
        options = [f"--package-url={made}", f"--index-url={server.url}/simple"]
        command = [str(write_notebook(folder, *CELLS)), *options, f"--cache-dir={cache}"]
        output = folder / "out" / "lock.json"
        assert main(["lock", *command, "-o", str(output), "--download"]) == 0
    return folder, cache, options  # the server is gone


def serve(server: Server) -> None:
    server.list_wheel("pure", "3", PURE)
    server.list_wheel("part", "1", PART)
    server.list_wheel("tail", "1", TAIL)


def test_it_names_everything_with_its_digest_and_nothing_else(
    locked: tuple[Path, Path, list[str]],
) -> None:
    folder, _, _ = locked
    value: dict[str, Any] = json.loads((folder / "out" / "lock.json").read_text("utf-8"))
    wheels = {"base": BASE, "demo": DEMO, "part": PART, "pure": PURE, "tail": TAIL}
    assert {name: entry["sha256"] for name, entry in value["packages"].items()} == {
        name: digest(data) for name, data in wheels.items()
    }
    assert value["packages"]["pure"]["depends"] == ["part", "base"]
    assert value["packages"]["part"]["depends"] == ["tail"]
    assert value["packages"]["pure"]["imports"] == ["pure"]
    for name, data in wheels.items():
        file = folder / "out" / value["packages"][name]["file_name"]
        assert file.read_bytes() == data


@pytest.mark.parametrize("option", ["lock", "package-url"])
def test_the_notebook_runs_with_the_network_cut_and_an_empty_cache(
    tmp_path: Path, locked: tuple[Path, Path, list[str]], option: str, snapshot: Path
) -> None:
    out = locked[0] / "out"
    target = out / "lock.json" if option == "lock" else out
    if option == "package-url":
        (out / "pyodide-lock.json").write_bytes((out / "lock.json").read_bytes())
    options = f"--{option}={target}", "--offline", NOT_COMPILING
    cache = cache_with_snapshot(tmp_path / "cache")
    with real_kernel(tmp_path, *options, f"--cache-dir={cache}") as kernel:
        assert [kernel.run(cell).result for cell in CELLS] == ["42", "3"]
        assert kernel.run("import unused").ename == "ModuleNotFoundError"
        assert kernel.run("import pure, tail\n'also'").result == "'also'"


def test_without_the_archives_they_come_from_the_cache_and_the_distribution(
    tmp_path: Path, locked: tuple[Path, Path, list[str]]
) -> None:
    folder, cache, settings = locked
    (tmp_path / "lock.json").write_bytes((folder / "out" / "lock.json").read_bytes())
    options = *settings, f"--lock={tmp_path / 'lock.json'}", f"--cache-dir={cache}", "--offline"
    with real_kernel(tmp_path, *options, NOT_COMPILING) as kernel:
        assert [kernel.run(cell).result for cell in CELLS] == ["42", "3"]


def test_a_damaged_archive_is_not_used(
    tmp_path: Path, locked: tuple[Path, Path, list[str]], snapshot: Path
) -> None:
    (tmp_path / "lock.json").write_bytes((locked[0] / "out" / "lock.json").read_bytes())
    (tmp_path / "base-2-py3-none-any.whl").write_bytes(TAIL)
    cache = cache_with_snapshot(tmp_path / "cache")
    options = f"--lock={tmp_path / 'lock.json'}", f"--cache-dir={cache}", "--offline"
    with real_kernel(tmp_path, *options, NOT_COMPILING) as kernel:
        cell = kernel.run("import base")
        assert "but the lock file says" in cell.evalue
