from __future__ import annotations

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from pyodide_kernel.bridge import code_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as Deno fills it, with a link to something outside."""
    outside = tmp_path / "deno"
    outside.write_bytes(b"binary")
    outside.chmod(0o755)
    folder = tmp_path / "code"
    (folder / "gen" / "file").mkdir(parents=True)
    (folder / "cache").write_bytes(b"cache")
    (folder / "gen" / "file" / "main.js").write_bytes(b"main")
    (folder / "node").symlink_to(outside)
    (folder / "elsewhere").symlink_to(tmp_path)
    return folder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_protected_folder_has_nothing_to_write_and_no_links(folder: Path) -> None:
    code_folder.protect(folder)
    paths = [folder, *folder.rglob("*")]
    assert {mode(path) & 0o222 for path in paths} == {0}
    assert not any(path.is_symlink() for path in paths)


def test_what_links_lead_to_is_left_as_it_is(folder: Path) -> None:
    outside = folder.parent / "deno"
    code_folder.protect(folder)
    assert mode(outside) == 0o755
    assert mode(folder.parent) & 0o200
    code_folder.remove(folder)
    assert (outside.read_bytes(), mode(outside)) == (b"binary", 0o755)
    assert not folder.exists()


def test_an_unprotected_folder_with_links_is_removed_alone(folder: Path) -> None:
    code_folder.remove(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["deno"]


def test_the_digest_tells_contents_and_names_apart(folder: Path) -> None:
    before = code_folder.digest(folder)
    assert code_folder.digest(folder) == before
    (folder / "cache").rename(folder / "cash")
    renamed = code_folder.digest(folder)
    (folder / "cash").write_bytes(b"cachE")
    changed = code_folder.digest(folder)
    assert len({before, renamed, changed}) == 3
    code_folder.protect(folder)
    assert code_folder.digest(folder) == changed


def test_a_database_of_a_killed_process_needs_no_log_afterwards(folder: Path) -> None:
    path = folder / "database"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE codes (name TEXT PRIMARY KEY, code BLOB)")
    writer.execute("INSERT INTO codes VALUES ('main', x'00')")
    writer.commit()
    killed = {file.name: file.read_bytes() for file in folder.glob("database*")}
    writer.close()
    for name, content in killed.items():
        (folder / name).write_bytes(content)
    assert (folder / "database-wal").stat().st_size > 0

    code_folder.settle(folder)
    assert (folder / "database-wal").stat().st_size == 0
    code_folder.protect(folder)
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as reader:
        assert reader.execute("SELECT name FROM codes").fetchall() == [("main",)]
        assert reader.execute("SELECT tbl FROM sqlite_stat1").fetchall() == [("codes",)]


def test_a_damaged_database_is_told_of(folder: Path) -> None:
    (folder / "database").write_bytes(b"SQLite format 3\0" + b"\xff" * 1000)
    with pytest.raises(OSError, match="database can't be settled"):
        code_folder.settle(folder)
