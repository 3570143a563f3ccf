"""Pages of package indexes, good ones and hostile ones."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from wheels import Server, wheel_bytes

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages.cache import Cache
from pyodide_kernel.packages.downloads import Downloads
from pyodide_kernel.packages.indexes import (
    FolderIndex,
    IndexFile,
    WebIndex,
    fits_python,
    read_page,
    runs_here,
)

PAGE = "https://8.8.8.8/simple/demo/"
JSON = "application/vnd.pypi.simple.v1+json"
SHA = "a" * 64


def read_json(*files: Any) -> list[IndexFile]:
    data = json.dumps({"files": list(files)}).encode()
    return list(read_page(data, JSON, url=PAGE, project="demo"))


def file(filename: str, **more: Any) -> IndexFile:
    (found,) = read_json({"filename": filename, "url": filename, **more})
    return found


def test_json_and_html_say_the_same() -> None:
    html = (
        f'<!DOCTYPE html><a href="../../f/demo-1-py3-none-any.whl#sha256={SHA}" '
        'data-requires-python="&gt;=3.9" data-yanked="broken" data-core-metadata="true">x</a>'
    )
    entry = {
        "filename": "demo-1-py3-none-any.whl",
        "url": "https://8.8.8.8/f/demo-1-py3-none-any.whl",
        "hashes": {"sha256": SHA},
        "requires-python": ">=3.9",
        "yanked": "broken",
        "core-metadata": True,
    }
    assert list(read_page(html.encode(), "text/html", url=PAGE, project="demo")) == read_json(entry)


@pytest.mark.parametrize(
    "entry",
    [
        {"filename": "../../x-1-py3-none-any.whl", "url": "x"},
        {"filename": "/etc/x", "url": "x"},
        {"filename": "a b.whl", "url": "x"},
        {"filename": 1, "url": "x"},
        {"filename": "a-1-py3-none-any.whl", "url": None},
        {"filename": "a-1-py3-none-any.whl", "url": "http://[x"},
        {"filename": "a-1-py3-none-any.whl\n", "url": "x"},
        {},
    ],
)
def test_an_entry_that_makes_no_sense_is_passed_over(entry: dict[str, Any]) -> None:
    assert read_json(entry) == []


def test_what_is_no_digest_counts_as_none() -> None:
    assert file("a-1-py3-none-any.whl", hashes={"sha256": "../x"}).sha256 is None
    assert file("a-1-py3-none-any.whl", hashes=[]).sha256 is None


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b"<html>log in</html>", JSON),
        (b"", JSON),
        (b"[]", JSON),
        (b'{"files": {}}', JSON),
        (b'{"files": [1]}', JSON),
        (b"[" * 100_000, JSON),
        (b"\xff", JSON),
        (b"not found", "text/html"),
        (b"{}", "text/plain"),
        (b"{}", ""),
    ],
)
def test_what_is_no_page_is_one_clear_line(data: bytes, form: str) -> None:
    with pytest.raises(PackageError, match=r"demo/ is not a page of a package index: ") as caught:
        read_page(data, form, url=PAGE, project="demo")
    assert "\n" not in str(caught.value)


def test_only_wheels_for_webassembly_run_here() -> None:
    names = {
        "a-1-py3-none-any.whl": True,
        "a-1-cp314-cp314-pyemscripten_2026_0_wasm32.whl": True,
        "a-1-cp314-cp314-manylinux_2_28_x86_64.whl": False,
        "a-1.tar.gz": False,
    }
    assert {name: runs_here(file(name)) for name in names} == names


def test_versions_of_python_are_compared() -> None:
    name = "a-1-py3-none-any.whl"
    assert fits_python(file(name, **{"requires-python": ">=3.9"}), "3.14.2")
    assert not fits_python(file(name, **{"requires-python": "<3.14"}), "3.14.2")
    assert fits_python(file(name, **{"requires-python": "nonsense"}), "3.14.2")


def files_of(index: WebIndex | FolderIndex, project: str = "demo") -> list[str]:
    return [found.filename for found in index.files(project, threading.Event())]


def test_a_page_is_asked_for_once_and_kept_for_offline(
    server: Server, downloads: Downloads, cache: Cache
) -> None:
    server.list_wheel("demo", "1", b"wheel")
    url = f"{server.url}/simple/"
    for _ in range(2):
        assert files_of(WebIndex(url, downloads=downloads, cache=cache)) == [
            "demo-1-py3-none-any.whl"
        ]
    assert server.asked == ["/simple/demo/"]
    offline = WebIndex(url, downloads=Downloads(offline=True), cache=cache)
    assert files_of(offline) == ["demo-1-py3-none-any.whl"]


def test_a_project_that_is_not_there_has_no_files(
    server: Server, downloads: Downloads, cache: Cache
) -> None:
    assert files_of(WebIndex(f"{server.url}/simple", downloads=downloads, cache=cache)) == []


def test_html_instead_of_json_is_an_error_and_is_not_kept(
    server: Server, downloads: Downloads, cache: Cache
) -> None:
    server.serve("/simple/demo/", b"<html>please log in</html>", form=JSON)
    index = WebIndex(f"{server.url}/simple", downloads=downloads, cache=cache)
    with pytest.raises(PackageError, match="is not a page of a package index: it is not JSON"):
        files_of(index)
    assert {usage.part: usage.entries for usage in cache.usage()}["pages"] == 0
    server.list_wheel("demo", "1", b"wheel")
    assert files_of(index) == ["demo-1-py3-none-any.whl"]


def test_credentials_of_an_index_are_not_kept_with_its_pages(
    server: Server, downloads: Downloads, cache: Cache
) -> None:
    server.list_wheel("demo", "1", b"wheel")
    url = server.url.replace("http://", "http://user:s3cret@")
    assert files_of(WebIndex(f"{url}/simple", downloads=downloads, cache=cache))
    kept = b"".join(p.read_bytes() for p in (cache.folder / "pages").iterdir())
    assert b"s3cret" not in kept


def test_a_folder_of_wheels_is_an_index(tmp_path: Path) -> None:
    (tmp_path / "My_Demo-1-py3-none-any.whl").write_bytes(wheel_bytes("My_Demo", "1", {}))
    (tmp_path / "other-1-py3-none-any.whl").write_bytes(b"")
    assert files_of(FolderIndex(tmp_path), "my-demo") == ["My_Demo-1-py3-none-any.whl"]
