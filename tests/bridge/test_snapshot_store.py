"""Where snapshots are kept: nothing but what was made is ever found."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyodide_kernel.bridge.snapshot_store import KEPT, NoSnapshotError, SnapshotStore

DATA = b"memory" * 1000


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots", "key")


def record(store: SnapshotStore) -> Path:
    return store.folder / "key.json"


def test_what_was_added_is_found_and_intact(store: SnapshotStore) -> None:
    made = store.add(DATA)
    assert store.find() == made
    assert made.path.read_bytes() == DATA
    assert made.is_intact()


def test_files_are_for_this_user_alone_and_no_temporary_ones_stay(store: SnapshotStore) -> None:
    made = store.add(DATA)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert {path.name for path in store.folder.iterdir()} == {made.path.name, "key.json"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.folder.iterdir()} == {0o600}


def test_nothing_is_found_for_another_key(store: SnapshotStore) -> None:
    store.add(DATA)
    with pytest.raises(NoSnapshotError, match="none has been made yet"):
        SnapshotStore(store.folder, "other").find()


def _truncate(store: SnapshotStore) -> None:
    os.truncate(store.find().path, 100)


def _lengthen(store: SnapshotStore) -> None:
    with store.find().path.open("ab") as file:
        file.write(b"x")


def _remove(store: SnapshotStore) -> None:
    store.find().path.unlink()


def _open_to_others(store: SnapshotStore) -> None:
    store.find().path.chmod(0o666)


def _link(store: SnapshotStore) -> None:
    path = store.find().path
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


def _write_record(text: str) -> Callable[[SnapshotStore], None]:
    def write(store: SnapshotStore) -> None:
        record(store).write_text(text)

    return write


def _change_record(**members: object) -> Callable[[SnapshotStore], None]:
    def change(store: SnapshotStore) -> None:
        record(store).write_text(json.dumps(json.loads(record(store).read_text()) | members))

    return change


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_truncate, "100 bytes instead of 6,000"),
        (_lengthen, "6,001 bytes instead of 6,000"),
        (_remove, "is missing"),
        (_open_to_others, "other users"),
        (_link, "bytes instead of"),
        (_write_record(""), "is damaged"),
        (_write_record("[1]"), "is damaged"),
        (_write_record("{}"), "is damaged"),
        (_write_record('{"name": "' + "a" * 10_000), "is damaged"),
        (_change_record(name="../../etc/passwd"), "is damaged"),
        (_change_record(name="0" * 64 + ".memory"), "is damaged"),
        (_change_record(size="6000"), "is damaged"),
        (_change_record(sha256=1), "is damaged"),
    ],
)
def test_a_harmed_snapshot_is_not_found(
    store: SnapshotStore, harm: Callable[[SnapshotStore], None], said: str
) -> None:
    store.add(DATA)
    harm(store)
    with pytest.raises(NoSnapshotError, match=said):
        store.find()
    made = store.add(DATA)
    assert store.find() == made
    assert made.is_intact()


def test_one_changed_bit_is_noticed(store: SnapshotStore) -> None:
    made = store.add(DATA)
    with made.path.open("r+b") as file:
        file.seek(3000)
        file.write(bytes([DATA[3000] ^ 1]))
    assert store.find() == made
    assert not made.is_intact()


def test_a_file_that_is_gone_is_not_intact(store: SnapshotStore) -> None:
    made = store.add(DATA)
    made.path.unlink()
    assert not made.is_intact()


def test_a_discarded_snapshot_is_not_found(store: SnapshotStore) -> None:
    store.add(DATA)
    store.discard()
    store.discard()
    with pytest.raises(NoSnapshotError):
        store.find()


def test_only_the_newest_snapshots_stay(store: SnapshotStore) -> None:
    stores = [SnapshotStore(store.folder, f"key{number}") for number in range(KEPT + 2)]
    for number, each in enumerate(stores):
        each.add(DATA + bytes([number]))
        os.utime(store.folder / f"key{number}.json", (number, number))
    with stores[0].making():
        SnapshotStore(store.folder, "last").add(DATA)
    names = {path.name for path in store.folder.glob("*.json")}
    assert names == {"last.json", *(f"key{KEPT + 2 - i}.json" for i in range(1, KEPT))}
    assert len(list(store.folder.glob("*.memory"))) == KEPT


def test_a_folder_that_cannot_be_written_is_named() -> None:
    store = SnapshotStore(Path("/dev/null/snapshots"), "key")
    with pytest.raises(NoSnapshotError, match=r"nor can be in /dev/null/snapshots"):
        store.find()
    assert not store.writable()
    with pytest.raises(FileExistsError):
        store.add(DATA)


def test_without_a_home_folder_there_is_none() -> None:
    store = SnapshotStore(Path("~", "snapshots"), "key")
    with pytest.raises(NoSnapshotError, match="there is no home folder"):
        store.find()
    assert not store.writable()


def test_a_failed_write_leaves_nothing_and_keeps_the_former_snapshot(
    store: SnapshotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.add(DATA)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        store.add(DATA * 2)
    assert store.find() == made
    assert len(list(store.folder.iterdir())) == 2


def test_one_at_a_time_makes_a_snapshot(store: SnapshotStore) -> None:
    with store.making() as first, store.making() as second:
        assert (first, second) == (True, False)
    with store.making() as third:
        assert third


def test_who_waits_makes_one_when_the_other_has(store: SnapshotStore) -> None:
    def wait() -> bool:
        with store.making(wait=True) as ours:
            return ours

    with ThreadPoolExecutor(1) as pool:
        with store.making() as ours:
            waiting = pool.submit(wait)
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
        assert ours
        assert waiting.result(30)


def test_a_snapshot_is_kept_without_compiled_code_that_can_not_be_settled(
    store: SnapshotStore, caplog: pytest.LogCaptureFixture
) -> None:
    store.add(DATA)
    code = store.new_code_folder()
    (code / "cache").write_bytes(b"SQLite format 3\0" + b"\xff" * 1000)
    added = store.add(DATA, code)
    assert (added.code, store.find().code) == (None, None)
    assert not code.exists()
    (line,) = caplog.messages
    assert "No compiled code is kept" in line
