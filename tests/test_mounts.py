"""What may be mounted where, on a file system that is a table."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_disk import DISK, KEYS, RUNTIME
from hypothesis import given
from hypothesis import strategies as st

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.mounts import (
    Mount,
    default_guest,
    guest_path,
    overlap,
    parse_mount,
    resolve_mounts,
)

PLACES = (RUNTIME, KEYS)


def resolve(*texts: str) -> tuple[Mount, ...]:
    return resolve_mounts(map(parse_mount, texts), disk=DISK, places=PLACES)


@pytest.mark.parametrize(
    ("text", "path", "guest", "writable"),
    [
        ("data", "data", "", True),
        ("data:ro", "data", "", False),
        ("data:rw", "data", "", True),
        ("/a/b=/mnt/x", "/a/b", "/mnt/x", True),
        ("/a/b=/mnt/x:ro", "/a/b", "/mnt/x", False),
        ("/a/b=/mnt/x y.csv/", "/a/b", "/mnt/x y.csv", True),
        ("~/a", "~/a", "", True),
        ("year=2024", "year=2024", "", True),
        ("/year=2024/month=01:ro", "/year=2024/month=01", "", False),
        ("a=/b=/mnt/c", "a=/b", "/mnt/c", True),
        ("C:\\data:ro", "C:\\data", "", False),
        ("a:ro:ro", "a:ro", "", False),
    ],
)
def test_a_mount_is_a_path_a_name_and_a_mode(
    text: str, path: str, guest: str, writable: bool
) -> None:
    request = parse_mount(text)
    assert (request.path, request.guest, request.writable) == (path, guest, writable)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":ro",
        "=/mnt/x",
        "a=/x",
        "a=/mnt",
        "a=/mnt/",
        "a=/mnt/x/y",
        "a=/mnt/.",
        "a=/mnt/..",
        "a=/mnt/x\ny",
        "a=/mnt/\udce9",
        "a=/etc/passwd",
        "a\0b",
    ],
)
def test_what_is_no_mount_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the caller's
        parse_mount(text)


@given(st.text())
def test_parsing_any_text_gives_a_mount_or_a_value_error(text: str) -> None:
    try:
        request = parse_mount(text)
    except ValueError:
        return
    assert request.path
    assert request.guest == "" or Path(request.guest).parent == Path("/mnt")


def test_the_default_name_is_the_path_without_odd_characters() -> None:
    assert default_guest(Path("/home/user/data")) == "/mnt/_home_user_data"
    assert default_guest(Path("/tmp/a b/é-1.csv")) == "/mnt/_tmp_a_b__-1_csv"


def test_paths_are_made_real() -> None:
    assert resolve("../work/./data") == (
        Mount(host=Path("/home/ann/work/data"), guest="/mnt/_home_ann_work_data", writable=True),
    )


def test_a_single_file_can_be_mounted() -> None:
    assert resolve("~/table.csv=/mnt/table.csv:ro") == (
        Mount(host=Path("/home/ann/table.csv"), guest="/mnt/table.csv", writable=False, file=True),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nowhere", "No such file or directory"),
        ("/", "it is the whole file system"),
        ("/:ro", "it is the whole file system"),
        ("/proc/self:ro", "it belongs to /proc"),
        ("~/link:ro", "it belongs to /proc"),
        ("/dev/shm", "it belongs to /dev"),
        ("/sys", "it belongs to /sys"),
        ("~/socket", "neither a file nor a folder"),
        ("~/closed:ro", "can't be read"),
        ("~/a,b", "comma"),
        ("~/caf\udce9", "not Unicode"),
        ("~/env", "it holds the kernel's runtime, /home/ann/env/lib/runtime"),
        ("~/env/lib/runtime", "it lies in the kernel's runtime"),
        ("/home:ro", "it holds Jupyter's runtime folder"),
    ],
)
def test_a_mount_is_refused_with_the_option_the_value_the_reason_and_the_form(
    text: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve(text)
    message = str(caught.value)
    assert message.startswith(f"--mount: {text!r} can't be mounted: ")
    assert reason in message
    assert "PATH[=/mnt/NAME][:ro|:rw]" in message


def test_what_the_kernel_depends_on_may_be_read() -> None:
    assert not resolve("~/env:ro")[0].writable


@pytest.mark.parametrize(
    ("one", "other"), [("~/work", "data"), ("data", "~/work"), ("~/work", "~/work:ro")]
)
def test_overlapping_mounts_are_refused_and_both_are_named(one: str, other: str) -> None:
    with pytest.raises(ConfigurationError, match="overlap") as caught:
        resolve(one, other)
    assert "/home/ann/work " in f"{caught.value} "


def test_mounts_of_the_same_name_are_refused_and_both_are_named() -> None:
    with pytest.raises(ConfigurationError, match="would both be /mnt/_home_ann_a_b") as caught:
        resolve("~/a b", "~/a_b")
    assert "/home/ann/a b" in str(caught.value)
    assert "/home/ann/a_b" in str(caught.value)
    assert len(resolve("~/a b", "~/a_b=/mnt/other")) == 2


def test_a_folder_is_found_in_the_mount_it_lies_in() -> None:
    mounts = resolve("~/work=/mnt/work", "~/table.csv")
    assert guest_path(Path("/home/ann/work"), mounts) == "/mnt/work"
    assert guest_path(Path("/home/ann/work/data/deep"), mounts) == "/mnt/work/data/deep"
    assert guest_path(Path("/home/ann/workshop"), mounts) is None
    assert guest_path(Path("/home/ann/table.csv"), mounts) is None


def test_folders_overlap_if_one_lies_in_the_other() -> None:
    assert overlap(Path("/a"), Path("/a/b"))
    assert overlap(Path("/a/b"), Path("/a"))
    assert overlap(Path("/a"), Path("/a"))
    assert not overlap(Path("/a"), Path("/ab"))
