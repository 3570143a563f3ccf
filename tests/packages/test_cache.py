"""The cache: whole or not at all, checked when it is read, shared, and limited."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from wheels import digest

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.cache import IN_USE_S, Cache
from pyodide_kernel.packages.image import BLOB, ImageWriter

KEY = digest(b"wheel")


def writer(data: bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with ImageWriter(folder) as image:
            image.add("a.py", data)
            image.finish()

    return write


def keep_wheel(cache: Cache, data: bytes) -> str:
    with cache.scratch() as scratch:
        (scratch / "w").write_bytes(data)
        cache.keep_wheel(digest(data), scratch / "w")
    return digest(data)


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def test_a_wheel_is_found_by_its_digest(cache: Cache) -> None:
    key = keep_wheel(cache, b"wheel")
    found = cache.wheel(key)
    assert found is not None
    assert found.read_bytes() == b"wheel"
    assert cache.wheel(digest(b"other")) is None


def test_a_damaged_wheel_is_never_given_out(cache: Cache) -> None:
    path = cache.folder / "wheels" / keep_wheel(cache, b"wheel")
    path.write_bytes(b"wheeL")
    assert cache.wheel(path.name) is None
    assert not path.exists()


def test_an_image_is_found_and_a_damaged_one_is_not(cache: Cache) -> None:
    image = cache.keep_image(KEY, writer(b"x = 1"))
    assert cache.image(KEY) == image
    (image / BLOB).write_bytes(b"x = 2")
    assert cache.image(KEY) is None
    assert not image.exists()


def test_an_image_that_could_not_be_written_leaves_nothing(cache: Cache) -> None:
    def fail(folder: Path) -> None:
        writer(b"half")(folder)
        raise PackageError("broken")

    with pytest.raises(PackageError, match="broken"):
        cache.keep_image(KEY, fail)
    assert cache.image(KEY) is None
    assert list((cache.folder / "new").iterdir()) == []


def test_two_that_write_the_same_image_at_once_both_have_it(cache: Cache) -> None:
    barrier = threading.Barrier(8, timeout=30)
    found: list[Path] = []

    def run() -> None:
        def write(folder: Path) -> None:
            writer(b"x")(folder)
            barrier.wait()

        found.append(cache.keep_image(KEY, write))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [cache.images / KEY] * 8
    assert cache.image(KEY) is not None


def test_processes_share_it(cache: Cache) -> None:
    program = (
        "import sys; from pathlib import Path; from pyodide_kernel.packages.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]))\n"
        "for i in range(50): cache.keep_page(f'p{i}', b'page'); assert cache.page(f'p{i}')\n"
    )
    command = [sys.executable, "-c", program, str(cache.folder)]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert {usage.part: usage.entries for usage in cache.usage()}["pages"] == 50


def test_a_damaged_page_is_no_page(cache: Cache) -> None:
    cache.keep_page("url", b"said")
    saved = cache.page("url")
    assert saved is not None
    assert saved[0] == b"said"
    (path,) = (cache.folder / "pages").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert cache.page("url") is None


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=250)
    cache.prepare()
    keys = [keep_wheel(cache, bytes([i]) * 100) for i in range(4)]
    for number, key in enumerate(keys):
        age(cache.folder / "wheels" / key, IN_USE_S + 1000 - number)
    assert cache.wheel(keys[0]) is not None  # used just now
    assert cache.evict() == 200
    assert [cache.wheel(key) is not None for key in keys] == [True, False, False, True]


def test_what_is_in_use_stays_however_full_it_is(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=0)
    cache.prepare()
    key = keep_wheel(cache, b"wheel")
    assert cache.evict() == 0
    assert cache.wheel(key) is not None


def test_what_a_dead_kernel_was_writing_is_removed_after_a_day(cache: Cache) -> None:
    left, recent = cache.folder / "new" / "left", cache.folder / "new" / "recent"
    left.mkdir()
    recent.mkdir()
    age(left, 100_000)
    cache.evict()
    assert not left.exists()
    assert recent.exists()


def test_clear_empties_it_and_says_how_much_that_was(cache: Cache) -> None:
    keep_wheel(cache, b"12345")
    cache.keep_image(KEY, writer(b"x"))
    assert cache.clear() > 6
    assert sum(usage.entries for usage in cache.usage()) == 0
    assert cache.image(KEY) is None


def test_a_folder_that_cannot_be_made_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(PackageError, match=r"file/cache can't be used .*--cache-dir"):
        Cache(tmp_path / "file" / "cache").prepare()
