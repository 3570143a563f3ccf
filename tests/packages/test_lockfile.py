"""Lock files, good ones and hostile ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wheels import lock_bytes, lock_entry

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.lockfile import Lock, normalized, parse_lock
from pyodide_kernel.runtime import runtime_dir


def parse(*entries: Any) -> Lock:
    return parse_lock(lock_bytes(*entries), source="here")


def test_the_lock_of_the_runtime_is_understood() -> None:
    data = (runtime_dir() / "pyodide" / "pyodide-lock.json").read_bytes()
    lock = parse_lock(data, source="the runtime")
    assert lock.imports()["sklearn"] == "scikit-learn"
    assert {"numpy", "scipy"} <= {package.name for package in lock.closure(["scikit-learn"])}


def test_packages_come_after_what_they_need_and_once() -> None:
    lock = parse(
        lock_entry("a", "1", b"a", depends=("b", "c")),
        lock_entry("b", "1", b"b", depends=("c",)),
        lock_entry("c", "1", b"c", depends=("a",)),
        lock_entry("d", "1", b"d"),
    )
    assert [package.name for package in lock.closure(["a", "d", "b"])] == ["c", "b", "a", "d"]


def test_what_is_there_already_is_left_out_with_what_only_it_needs() -> None:
    lock = parse(
        lock_entry("a", "1", b"a", depends=("b",)), lock_entry("b", "1", b"b", depends=("nowhere",))
    )
    assert [package.name for package in lock.closure(["a"], without=["b"])] == ["a"]


def test_names_are_compared_in_their_one_spelling() -> None:
    lock = parse(
        lock_entry("a", "1", b"a", depends=("Type.Ing_X",)), lock_entry("type-ing-x", "1", b"t")
    )
    assert len(lock.closure(["A"])) == 2
    assert normalized("A_b..C") == "a-b-c"


def test_a_missing_need_is_named_with_who_needs_it() -> None:
    lock = parse(lock_entry("a", "1", b"a", depends=("gone",)))
    with pytest.raises(PackageError, match=r"a needs 'gone', which is not in .* here"):
        lock.closure(["a"])


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("file_name", "../../etc/passwd.whl"),
        ("file_name", "/etc/a.whl"),
        ("file_name", "https://elsewhere.example/a.whl"),
        ("file_name", "a\\b.whl"),
        ("file_name", "a.whl\n"),
        ("file_name", "a.exe"),
        ("sha256", "0" * 63),
        ("sha256", "Z" * 64),
        ("sha256", None),
        ("name", "../a"),
        ("name", ""),
        ("depends", "numpy"),
        ("depends", [1]),
        ("imports", {}),
        ("package_type", "script"),
    ],
)
def test_a_hostile_entry_is_refused(member: str, value: object) -> None:
    with pytest.raises(PackageError, match="here is not a pyodide-lock"):
        parse(lock_entry("a", "1", b"a") | {member: value})


@pytest.mark.parametrize(
    "data",
    [b"", b"<html></html>", b"[]", b"{}", b'{"info": 1, "packages": {}}', b"[" * 100_000, b"\xff"],
)
def test_what_is_no_lock_is_one_clear_line(data: bytes) -> None:
    with pytest.raises(PackageError, match=r"^here is not (JSON|a pyodide-lock\.json)") as caught:
        parse_lock(data, source="here")
    assert "\n" not in str(caught.value)


def test_a_chain_of_a_hundred_thousand_needs_is_no_recursion() -> None:
    entry = lock_entry("p", "1", b"")
    entries = {
        f"p{i}": entry | {"name": f"p{i}", "depends": [f"p{i + 1}"] if i < 9999 else []}
        for i in range(10_000)
    }
    data = json.dumps({"info": {"abi_version": "1"}, "packages": entries}).encode()
    assert len(parse_lock(data, source="here").closure(["p0"])) == 10_000
