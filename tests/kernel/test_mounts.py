"""Folders of the host in the guest, against the real file system."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_operations import OPERATIONS, PRELUDE, furnish, tree
from mounted import World, mounted_guest

from pyodide_kernel.mounts import Mount

pytestmark = pytest.mark.deno


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_python_does_comes_out_as_it_does_natively(world: World, name: str) -> None:
    if "Path(root).walk" in OPERATIONS[name] and not hasattr(Path, "walk"):
        pytest.skip("the host's Python has no Path.walk to compare with; it came with 3.12")
    ours, theirs = world.rw / name, world.twin / name
    furnish(ours)
    furnish(theirs)
    code = f"{PRELUDE}\nnotes = []\n{OPERATIONS[name]}\n"
    native: dict[str, Any] = {"root": str(theirs)}
    exec(compile(code, name, "exec"), native)
    printed = world.run(
        f"root = {f'/mnt/rw/{name}'!r}\n{code}\nimport json\nprint(json.dumps(notes))"
    )
    assert json.loads(printed) == native["notes"]
    assert tree(ours) == tree(theirs)


def test_the_mounts_are_what_mnt_holds_and_all_it_takes(world: World) -> None:
    assert world.value("sorted(os.listdir('/mnt'))") == ["ro", "rw", "single.txt"]
    refusals = world.outcomes(
        "open('/mnt/new', 'w')",
        "os.mkdir('/mnt/new')",
        "os.symlink('rw', '/mnt/new')",
        "os.chmod('/mnt', 0o777)",
        "os.rmdir('/mnt/rw')",
        "os.rename('/mnt/rw', '/mnt/other')",
        "os.rename('/mnt', '/other')",
        "shutil.rmtree('/mnt/single.txt')",
        "os.unlink('/mnt/single.txt')",
        "os.rename('/tmp', '/mnt/tmp')",
    )
    assert [refusal for refusal in refusals if "Error E" not in refusal] == []
    assert world.value("sorted(os.listdir('/mnt'))") == ["ro", "rw", "single.txt"]
    missing = world.outcomes("open('/mnt/missing')", "os.listdir('/mnt/missing/x')")
    assert missing == ["FileNotFoundError ENOENT"] * 2


def test_a_read_only_mount_refuses_every_change(world: World) -> None:
    (world.ro / "a.txt").write_text("ro")
    (world.ro / "folder").mkdir()
    before = tree(world.ro)
    changes = (
        *(f"open('/mnt/ro/a.txt', {mode!r})" for mode in ("w", "a", "r+", "w+", "a+")),
        "open('/mnt/ro/new', 'w')",
        "os.open('/mnt/ro/a.txt', os.O_RDONLY | os.O_TRUNC)",
        "os.open('/mnt/ro/new', os.O_RDONLY | os.O_CREAT)",
        "os.open('/mnt/ro/new', os.O_WRONLY | os.O_CREAT | os.O_EXCL)",
        "os.mkdir('/mnt/ro/new')",
        "os.unlink('/mnt/ro/a.txt')",
        "os.rmdir('/mnt/ro/folder')",
        "os.rename('/mnt/ro/a.txt', '/mnt/ro/b')",
        "os.chmod('/mnt/ro/a.txt', 0o777)",
        "os.utime('/mnt/ro/a.txt', (1, 1))",
        "os.truncate('/mnt/ro/a.txt', 0)",
        "os.symlink('a.txt', '/mnt/ro/link')",
        "shutil.copy('/mnt/ro/a.txt', '/mnt/ro/c')",
        "shutil.rmtree('/mnt/ro/folder')",
    )
    assert dict(zip(changes, world.outcomes(*changes), strict=True)) == dict.fromkeys(
        changes, "OSError EROFS"
    )
    assert tree(world.ro) == before


def test_a_read_only_mount_says_first_what_is_there(world: World) -> None:
    (world.ro / "there").mkdir()
    assert world.outcomes(
        "open('/mnt/ro/missing')",
        "os.unlink('/mnt/ro/missing')",
        "os.chmod('/mnt/ro/missing', 0o600)",
        "os.mkdir('/mnt/ro/there')",
        "os.makedirs('/mnt/ro/there', exist_ok=True)",
        "os.open('/mnt/ro/there', os.O_RDWR)",
        "[os.access('/mnt/ro/there', mode) for mode in (os.F_OK, os.R_OK, os.W_OK)]",
    ) == [
        *["FileNotFoundError ENOENT"] * 3,
        "FileExistsError EEXIST",
        "worked",
        "IsADirectoryError EISDIR",
        [True, True, False],
    ]


def test_one_file_is_mounted_without_its_folder(world: World) -> None:
    world.single.write_text("single")
    assert world.value("open('/mnt/single.txt').read()") == "single"
    assert world.outcomes(
        "Path('/mnt/single.txt').write_text('written')",
        "os.rename('/mnt/single.txt', '/mnt/single.bak')",
        "os.unlink('/mnt/single.txt')",
        "os.replace('/mnt/rw/new', '/mnt/single.txt')",
        "os.stat('/mnt/single.txt/below')",
        "open('/mnt/single.txt.new', 'w')",
        "os.truncate('/mnt/single.txt', 3)",
    ) == [
        7,
        "OSError EBUSY",
        "OSError EBUSY",
        "OSError EXDEV",
        "NotADirectoryError ENOTDIR",
        "PermissionError EACCES",
        "worked",
    ]
    assert world.single.read_text() == "wri"


def test_files_move_between_mounts_by_copying(world: World) -> None:
    (world.rw / "mover").write_text("x")
    assert world.outcomes(
        "os.rename('/mnt/rw/mover', '/tmp/mover')",
        "os.rename('/mnt/rw/mover', '/mnt/ro/mover')",
        "shutil.move('/mnt/rw/mover', '/tmp/mover')",
        "shutil.move('/tmp/mover', '/mnt/rw/moved')",
        "shutil.move('/mnt/rw/moved', '/mnt/ro/moved')",
    ) == ["OSError EXDEV", "OSError EXDEV", "/tmp/mover", "/mnt/rw/moved", "OSError EROFS"]
    assert not (world.rw / "mover").exists()
    assert (world.rw / "moved").read_text() == "x"


def test_what_deno_has_no_call_for_is_an_os_error(world: World) -> None:
    assert world.outcomes(
        "os.statvfs('/mnt/rw')", "shutil.disk_usage('/mnt/rw')", "os.symlink('a', '/mnt/rw/made')"
    ) == ["OSError ENOSYS", "OSError ENOSYS", "PermissionError EPERM"]


# ---- live in both directions ----


def test_an_edit_on_the_host_is_seen_at_once(world: World) -> None:
    file = world.rw / "live.txt"
    file.write_text("one")
    world.run("file = open('/mnt/rw/live.txt', 'r+')\nprint(file.read())")
    file.write_text("twotwo")
    assert world.value("[file.seek(0), file.read(), os.stat('/mnt/rw/live.txt').st_size]") == [
        0,
        "twotwo",
        6,
    ]
    file.rename(world.rw / "away.txt")
    assert world.value("os.path.exists('/mnt/rw/live.txt')") is False
    file.mkdir()
    assert world.value("os.path.isdir('/mnt/rw/live.txt')") is True
    assert world.value("[file.seek(0), file.write('x'), file.close()][1]") == 1
    assert (world.rw / "away.txt").read_text() == "xwotwo"


def test_a_write_is_on_the_host_before_the_cell_ends(world: World) -> None:
    world.run("writer = open('/mnt/rw/out.txt', 'w', buffering=1)\nprint('line', file=writer)")
    assert (world.rw / "out.txt").read_text() == "line\n"
    world.run("writer.close()\nos.unlink('/mnt/rw/out.txt')")
    assert not (world.rw / "out.txt").exists()


def test_a_folder_renamed_on_the_host_is_found_under_its_new_name(world: World) -> None:
    (world.rw / "parent" / "child").mkdir(parents=True)
    (world.rw / "parent" / "child" / "x").write_text("x")
    assert world.value("open('/mnt/rw/parent/child/x').read()") == "x"
    (world.rw / "parent").rename(world.rw / "elsewhere")
    assert world.outcomes(
        "open('/mnt/rw/parent/child/x')", "open('/mnt/rw/elsewhere/child/x').read()"
    ) == ["FileNotFoundError ENOENT", "x"]


def test_a_module_edited_on_the_host_is_reloaded(world: World) -> None:
    module = world.rw / "edited_module.py"
    module.write_text("value = 1")
    os.utime(module, (1_000_000_000, 1_000_000_000))
    world.run(
        "import sys\nsys.path.insert(0, '/mnt/rw')\nsys.dont_write_bytecode = True\n"
        "%load_ext autoreload\n%autoreload 2\nimport edited_module\nprint(edited_module.value)"
    )
    module.write_text("value = 'changed'")
    assert world.run("print(edited_module.value)") == "changed\n"
    world.run("%autoreload 0\nsys.path.remove('/mnt/rw')")


def test_locks_hold_between_the_guest_and_the_host(world: World) -> None:
    fcntl = pytest.importorskip("fcntl")
    guest = "__import__('fcntl').flock(lock, {})"
    with (world.rw / "lock").open("w") as file:
        world.run("lock = open('/mnt/rw/lock', 'r+')")
        fcntl.flock(file, fcntl.LOCK_SH)
        assert world.outcomes(guest.format(2 | 4), guest.format(1 | 4), guest.format(8)) == [
            "BlockingIOError EAGAIN",
            "worked",
            "worked",
        ]
        fcntl.flock(file, fcntl.LOCK_UN)
        assert world.outcomes(guest.format(2)) == ["worked"]
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        world.run("lock.close()")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert world.outcomes("__import__('fcntl').flock(99, 2)") == ["OSError EBADF"]


# ---- size ----


def test_files_past_4_gb(world: World) -> None:
    big = world.rw / "big"
    with big.open("wb") as file:
        file.seek(5 << 30)
        file.write(b"end")
    assert world.value("""
import mmap
file = open('/mnt/rw/big', 'r+b')
with mmap.mmap(file.fileno(), 65536, offset=(5 << 30) - 65536) as view: mapped = view[-3:].hex()
[os.path.getsize('/mnt/rw/big'), file.seek(5 << 30), file.read().decode(), file.seek(-2, 2), mapped]
""") == [(5 << 30) + 3, 5 << 30, "end", (5 << 30) + 1, "000000"]
    assert world.value("""
file.seek((5 << 30) + 1), file.write(b'N'), file.truncate((6 << 30) + 1), file.close()
[os.path.getsize('/mnt/rw/big'), os.stat('/mnt/rw/big').st_blocks < 1000]
""") == [(6 << 30) + 1, True]
    with big.open("rb") as file:
        file.seek(5 << 30)
        assert file.read(4) == b"eNd\0"
    big.unlink()


@pytest.mark.slow
def test_a_folder_of_100000_files_is_listed_fast(world: World) -> None:
    many = world.rw / "many"
    many.mkdir()
    for number in range(100_000):
        os.close(os.open(many / f"file {number}", os.O_CREAT))
    seconds, names, files = world.value("""
import time
began = time.perf_counter()
names = os.listdir('/mnt/rw/many')
files = sum(entry.is_file() for entry in os.scandir('/mnt/rw/many'))
[time.perf_counter() - began, len(set(names)), files]
""")
    assert (names, files) == (100_000, 100_000)
    assert seconds < 20  # about 1 s on an idle machine
    shutil.rmtree(many)


def test_a_listing_goes_on_when_files_vanish_and_the_folder_is_listed_again(world: World) -> None:
    folder = world.rw / "emptied"
    folder.mkdir()
    for number in range(50):
        (folder / str(number)).touch()
    assert world.value("""
entries = os.scandir('/mnt/rw/emptied')
seen = [next(entries).name]
for number in range(0, 50, 2): os.unlink(f'/mnt/rw/emptied/{number}')
left = os.listdir('/mnt/rw/emptied')
seen += [entry.name for entry in entries]
[len(left), len(seen) == len(set(seen)), set(left) <= set(seen)]
""") == [25, True, True]


# ---- trouble ----


def test_too_many_open_files_is_an_error_and_they_can_be_closed_again(world: World) -> None:
    (world.rw / "many opens").touch()
    assert world.value("""
files = []
try:
    while len(files) < 10_000: files.append(open('/mnt/rw/many opens'))
except OSError as error: name = errno.errorcode[error.errno]
opened = len(files)
for file in files: file.close()
[name, opened > 500, open('/mnt/rw/many opens').read()]
""") == ["EMFILE", True, ""]


def test_closed_files_are_closed_on_the_host(world: World) -> None:
    pid = world.guest.bridge.pid()
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    before = len(list(descriptors.iterdir()))
    world.run("""
import os
for number in range(300):
    fd = os.open('/mnt/rw/closed', os.O_CREAT | os.O_RDWR)
    twin = os.dup(fd)
    os.close(fd), os.close(twin), os.listdir('/mnt/rw')
    open('/mnt/rw/closed').read()
import gc
gc.collect()
""")
    assert len(list(descriptors.iterdir())) <= before + 5


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("may not mount file systems here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_an_error_and_no_more(small_disk: Path) -> None:
    with mounted_guest(Mount(host=small_disk, guest="/mnt/small", writable=True)) as guest:
        assert "OSError ENOSPC 1048576" in guest.run("""
import errno, os
try:
    with open('/mnt/small/big', 'wb', buffering=0) as file:
        while True: file.write(b'x' * 65536)
except OSError as error:
    print(type(error).__name__, errno.errorcode[error.errno], os.path.getsize('/mnt/small/big'))
os.unlink('/mnt/small/big')
""")
        guest.run("open('/mnt/small/again', 'w').write('fits')")


def test_undecodable_names_do_no_harm(world: World) -> None:
    folder = world.rw / "undecodable"
    folder.mkdir()
    (folder / "fine").write_text("fine")
    with contextlib.suppress(OSError):
        os.close(os.open(os.fsencode(folder) + b"/caf\xe9", os.O_CREAT))
    listed = world.value("sorted(os.listdir('/mnt/rw/undecodable'))")
    assert "fine" in listed
    assert world.outcomes(
        r"open('/mnt/rw/undecodable/new\udce9', 'w')",
        r"os.mkdir('/mnt/rw/\udcff')",
        r"os.path.exists('/mnt/rw/undecodable/caf\udce9')",
        r"open('/tmp/\udce9', 'w')",
        "open('/mnt/rw/undecodable/fine').read()",
    ) == ["OSError EILSEQ", "OSError EILSEQ", False, "OSError EILSEQ", "fine"]
    assert len(list(folder.iterdir())) == len(listed)


def test_what_is_no_file_is_not_opened(world: World) -> None:
    folder = world.rw / "special"
    folder.mkdir()
    os.mkfifo(folder / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)
        listener.bind("socket")
    os.chdir("/")
    modes = [
        f"open('/mnt/rw/special/{name}', {mode!r})"
        for name in ("fifo", "socket")
        for mode in ("r", "w", "a", "r+")
    ]
    assert world.outcomes(*modes) == ["PermissionError EACCES"] * len(modes)
    assert world.outcomes(
        "open('/mnt/rw/special/fifo', 'x')",
        "os.truncate('/mnt/rw/special/fifo', 0)",
        "[(entry.name, entry.is_file()) for entry in sorted(os.scandir('/mnt/rw/special'),"
        " key=lambda entry: entry.name)]",
        "[Path('/mnt/rw/special/fifo').is_fifo(), Path('/mnt/rw/special/socket').is_socket()]",
        "os.unlink('/mnt/rw/special/fifo')",
    ) == [
        "FileExistsError EEXIST",
        "OSError EINVAL",
        [["fifo", False], ["socket", False]],
        [True, True],
        "worked",
    ]
