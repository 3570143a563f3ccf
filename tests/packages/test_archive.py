"""Wheels to images, and archives that would do harm."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest
from wheels import wheel_bytes

from pyodide_kernel.errors import PackageError
from pyodide_kernel.packages import archive
from pyodide_kernel.packages.archive import read_metadata, write_image
from pyodide_kernel.packages.image import BLOB, INDEX


def unpack(folder: Path, data: bytes) -> dict[str, bytes]:
    """The image of a wheel as a dict."""
    wheel = folder / "wheel"
    wheel.write_bytes(data)
    image = folder / "image"
    image.mkdir()
    write_image(wheel, image, name="the wheel", origin="here")
    index = json.loads((image / INDEX).read_text("utf-8"))
    blob = (image / BLOB).read_bytes()
    assert index["blob"]["size"] == len(blob)
    return {name: blob[start : start + size] for name, (start, size) in index["files"].items()}


def zip_of(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, data in members:
            made.writestr(
                name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name), data
            )
    return target.getvalue()


def test_an_image_holds_the_files_and_who_installed_them(tmp_path: Path) -> None:
    files = unpack(tmp_path, wheel_bytes("demo", "1", {"demo/__init__.py": "x = 1", "e.py": b""}))
    assert files["demo/__init__.py"] == b"x = 1"
    assert files["e.py"] == b""
    assert files["demo-1.dist-info/INSTALLER"] == b"pyodide-kernel\n"
    assert files["demo-1.dist-info/PYODIDE_SOURCE"] == b"here"


def test_the_data_folder_is_spread_as_an_installer_does(tmp_path: Path) -> None:
    data = zip_of(
        ("d-1.data/purelib/d.py", b"pure"),
        ("d-1.data/platlib/e.py", b"plat"),
        ("d-1.data/scripts/run", b"#!"),
        ("d-1.data/data/etc/x", b"x"),
    )
    assert unpack(tmp_path, data) == {"d.py": b"pure", "e.py": b"plat"}


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    "member",
    ["../x", "a/../../x", "/etc/x", "a//b", "./a", "a/./b", "a\\..\\b", "C:/x", "a/..", "x" * 1001],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, member: str) -> None:
    with pytest.raises(PackageError, match=r"^the wheel is not usable: "):
        unpack(tmp_path, zip_of((member, b"x")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "wheel"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="a link or a special file"):
        unpack(tmp_path, zip_of((link("a"), b"/etc/passwd")))


def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="'a' in it is a file and a folder"):
        unpack(tmp_path, zip_of(("a", b"x"), ("a/b", b"y")))


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zip_of(("a", b"x"), ("a", b"y"))
    with pytest.raises(PackageError, match="'a' is in it twice"):
        unpack(tmp_path, data)


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(PackageError, match="it has 4 files, more than 3"):
        unpack(tmp_path, zip_of(*((str(i), b"") for i in range(4))))


def test_a_bomb_is_refused_by_what_it_announces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(PackageError, match="unpacks to 1,001 bytes, more than 1,000"):
        unpack(tmp_path, zip_of(("a", bytes(1001))))


def test_a_bomb_that_announces_less_is_refused(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("a", bytes(5_000_000))
    data = bytearray(bomb.getvalue())
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.index(signature) + offset
        data[at : at + 4] = (10).to_bytes(4, "little")
    with pytest.raises(PackageError, match="the wheel is not usable"):
        unpack(tmp_path, bytes(data))


@pytest.mark.parametrize("size", [0, 10, -30])
def test_a_truncated_file_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(PackageError, match="the wheel is not usable"):
        unpack(tmp_path, wheel_bytes("demo", "1", {"demo.py": "x" * 100})[:size])


def test_metadata_is_read_and_missing_metadata_is_told(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_bytes(wheel_bytes("demo", "1", {}, requires=("six",)))
    bad.write_bytes(zip_of(("a.py", b"")))
    assert "Requires-Dist: six" in read_metadata(good, name="good")
    with pytest.raises(PackageError, match="bad is not usable: 0 of its files are METADATA"):
        read_metadata(bad, name="bad")
