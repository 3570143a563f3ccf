"""Whether requirements can be installed, with made-up indexes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from wheels import lock_bytes, lock_entry

from pyodide_kernel.check.projects import Answer, Listing, Projects
from pyodide_kernel.errors import PackageError, UnreachableError
from pyodide_kernel.packages.constraints import Constraint
from pyodide_kernel.packages.lockfile import normalized, parse_lock
from pyodide_kernel.reading.installs import Need
from pyodide_kernel.reading.source import Place

LOCK = parse_lock(
    lock_bytes(
        lock_entry("numpy", "2.0", b""),
        lock_entry("pandas", "3.0", b"", depends=("numpy",)),
        lock_entry("broken", "1", b"", depends=("nowhere",)),
    ),
    source="test",
)

FILES = {
    "pure": ["pure-1-py3-none-any.whl", "pure-2-py3-none-any.whl", "pure-3rc1-py3-none-any.whl"],
    "native": ["native-1-cp314-cp314-pyemscripten_2026_0_wasm32.whl"],
    "old-native": ["old_native-1-cp313-cp313-pyodide_2025_0_wasm32.whl"],
    "abi": ["abi-1-cp310-abi3-pyemscripten_2026_0_wasm32.whl"],
    "torch": [],
    "elsewhere": [],
    "needs": ["needs-1-py3-none-any.whl"],
    "loop": ["loop-1-py3-none-any.whl"],
    "yanked": ["yanked-1-py3-none-any.whl"],
    "numpy": ["numpy-1-py3-none-any.whl"],
    "odd": ["odd-not-a-version-py3-none-any.whl", "odd-1-py3-none-any.whl"],
}
REQUIRES = {
    "needs": (
        "pandas",
        "pure<2; sys_platform == 'emscripten'",
        "torch; sys_platform == 'linux'",
        "elsewhere; extra == 'all'",
        "this is nothing",
    ),
    "loop": ("loop", "needs"),
}


def page(project: str) -> Mapping[str, Any]:
    if project == "unreachable":
        raise UnreachableError("no way")
    if project not in FILES:
        raise PackageError(f"no package index has a project {project!r}")
    files = [{"filename": name, "yanked": project == "yanked"} for name in FILES[project]]
    return {"files": files, "others": {"wheels": 3, "sdists": 0, "python": 0}}


def metadata(project: str, file: str) -> str:
    lines = "".join(f"Requires-Dist: {text}\n" for text in REQUIRES.get(project, ()))
    return f"Metadata-Version: 2.1\nName: {project}\nVersion: 1\n{lines}\n"


def ask(requirement: str, *, constraints: tuple[str, ...] = (), **options: Any) -> Answer:
    projects = Projects(
        LOCK,
        Listing(page=page, metadata=metadata),
        bundled={"traitlets": "5.16"},
        python="3.14.2",
        constraints=[Constraint(text, normalized(text.split("<")[0]), "c") for text in constraints],
    )
    return projects.ask(Need(requirement=requirement, place=Place("r", 0, 1), **options))


@pytest.mark.parametrize(
    ("requirement", "projects"),
    [
        ("pandas>2", {"pandas", "numpy"}),
        ("Pure", {"pure"}),
        ("native", {"native"}),
        ("abi", {"abi"}),
        ("yanked", {"yanked"}),
        ("odd", {"odd"}),
        ("traitlets>=5", {"traitlets"}),
        ("numpy<2", {"numpy"}),
        ("needs", {"needs", "pandas", "numpy", "pure"}),
        ("loop", {"loop", "needs", "pandas", "numpy", "pure"}),
    ],
)
def test_what_can_be_installed_is_followed_to_its_end(requirement: str, projects: set[str]) -> None:
    answer = ask(requirement)
    assert (answer.problem, answer.unknown) == ("", "")
    assert answer.projects == projects


@pytest.mark.parametrize(
    ("requirement", "said"),
    [
        ("pandas>99", "no package index has a project 'pandas'"),
        ("numpy>99", "no version of numpy>99 has a wheel for WebAssembly; these have: 1"),
        ("numpy>99", "the distribution has numpy 2.0"),
        ("pure>5", "these have: 1, 2, 3rc1"),
        ("torch", "Nearest alternative: scikit-learn"),
        ("elsewhere", "the index has 3 wheels for other platforms"),
        ("old-native", "old-native has no wheel that runs in WebAssembly"),
        ("traitlets<5", "traitlets 5.16 is part of the kernel"),
        ("needs[all]", "needs needs elsewhere"),
        ("broken", "broken needs 'nowhere', which is not in the package distribution"),
        ("missing", "no package index has a project 'missing'"),
        ("pure @ https://x.example/pure.whl", "is named by a URL"),
        ("git+https://x.example/pure", "only wheels can be installed"),
        ("./pure", "only wheels can be installed"),
        ("a b c", "is no requirement"),
    ],
)
def test_what_can_not_be_installed_has_a_reason(requirement: str, said: str) -> None:
    assert said in ask(requirement).problem


def test_constraints_and_options_count() -> None:
    assert "pure<1" in ask("pure", constraints=("pure<1",)).problem
    assert "pure<1" in ask("needs", constraints=("Pure<1",)).problem
    assert ask("pure>2", pre=True).problem == ""
    assert ask("pure>2").problem == ""  # there is nothing else, as for pip
    assert ask("needs[all]", deps=False).problem == ""


@pytest.mark.parametrize("requirement", ["unreachable", "/mnt/x/pure-1-py3-none-any.whl"])
def test_what_can_not_be_looked_at_is_unknown(requirement: str) -> None:
    answer = ask(requirement)
    assert answer.problem == ""
    assert answer.unknown
