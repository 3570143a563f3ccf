"""The host as the policy sees it: this one, with real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import pyodide_kernel
from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.policy import Grants, make_policy
from pyodide_kernel.surroundings import HostDisk, look_around

PACKAGE = Path(pyodide_kernel.__file__).resolve().parent


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder beside the working directory, so that both are empty."""
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_PATH", "JUPYTER_CONFIG_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "home"
    work = tmp_path / "work"
    folder.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir(work)
    return folder


def refusal(*mounts: str | Path, **more: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        make_policy(Grants(mount=list(map(str, mounts))), look_around(**more))
    return str(caught.value)


needs_landlock = pytest.mark.skipif(
    bool(look_around().landlock_problem), reason="mounts need Landlock"
)


@needs_landlock
def test_the_working_directory_is_mounted_by_its_real_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to("work")
    monkeypatch.chdir(tmp_path / "link")
    (mount,) = make_policy(Grants(), look_around()).mounts
    assert mount.host == (tmp_path / "work").resolve()


@needs_landlock
def test_a_working_directory_that_was_removed_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "work").rmdir()
    policy = make_policy(Grants(), look_around())
    assert policy.mounts == ()
    assert "does not exist" in policy.notices[0]


@needs_landlock
def test_the_home_folder_is_left_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (home, home.parent):
        monkeypatch.chdir(folder)
        policy = make_policy(Grants(), look_around())
        assert policy.mounts == ()
        assert "home folder" in policy.notices[0]


@needs_landlock
def test_what_the_kernel_runs_cannot_be_mounted_for_writing(home: Path) -> None:
    for folder in (PACKAGE, PACKAGE.parent, PACKAGE / "js", Path(os.__file__).parent):
        assert "would be writable" in refusal(folder)
        assert refusal(f"{folder}=/mnt/x") != ""
    for folder in (home / ".local/share/jupyter/kernels", home / ".jupyter"):
        folder.mkdir(parents=True)
        assert "would be writable" in refusal(folder)
    (home / ".cache").mkdir()
    assert "the kernel's cache" in refusal(home / ".cache")
    (home / "elsewhere").mkdir()
    assert "the kernel's cache" in refusal(home / "elsewhere", cache=home / "elsewhere" / "c")


@needs_landlock
def test_what_the_kernel_runs_may_be_mounted_for_reading() -> None:
    policy = make_policy(Grants(mount=[f"{PACKAGE}:ro"], cwd=False), look_around())
    assert policy.readable == (PACKAGE,)


@needs_landlock
def test_keys_and_history_cannot_be_mounted_at_all(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    assert "runtime folder" in refusal(f"{home}:ro")
    assert "connection file" in refusal(f"{folder}:ro", connection_file=folder / "kernel.json")
    assert "history" in refusal(f"{folder}:ro", history=folder / "history.sqlite")


def test_the_disk_knows_what_there_is(tmp_path: Path) -> None:
    disk = HostDisk()
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    assert disk.kind(tmp_path) == "folder"
    assert disk.kind(tmp_path / "file") == "file"
    assert disk.kind(tmp_path / "fifo") == "other"
    assert disk.real(str(tmp_path / "link")) == tmp_path.resolve() / "file"
    assert disk.real("~") == (tmp_path / "home").resolve()
    (tmp_path / "loop").symlink_to("loop")
    for missing in ("nowhere", str(tmp_path / "loop"), "~nobody-of-this-name/x"):
        with pytest.raises(OSError, match=r"."):
            disk.real(missing)
