"""The launcher, with ordinary programs in the place of Deno."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import deny_calls
import pytest

from pyodide_kernel.bridge import confinement as confinement_module
from pyodide_kernel.bridge.confinement import confinement, system_files

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux")

CONFINE = Path(confinement_module.__file__).with_name("confine.py")
DENY_CALLS = Path(deny_calls.__file__)
PATIENCE_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a program, and which layers the launcher reported."""

    code: int
    output: str
    errors: str
    layers: Mapping[str, str]


def program(name: str) -> Path:
    path = shutil.which(name)
    assert path is not None
    return Path(path)


def run(
    command: list[str | Path],
    *,
    read: tuple[Path, ...] = (),
    write: tuple[Path, ...] = (),
    mounts: Sequence[tuple[Path, bool]] = (),
    limits: Mapping[str, int] | None = None,
    required: Sequence[str] | None = None,
    denied: Sequence[int] = (),
) -> Outcome:
    """Run a program, confined; the launcher is denied some system calls."""
    binary = program(str(command[0]))
    reading_end, report_end = os.pipe()
    confined = confinement(
        deno=binary,
        read=read,
        write=write,
        parent_pid=os.getpid(),
        report_fd=report_end,
        mounts=mounts,
        limits=limits,
    )
    if required is not None:
        confined["required"] = required
    launcher = [sys.executable, "-I", "-S", str(CONFINE), json.dumps(confined)]
    if denied:
        launcher = [sys.executable, str(DENY_CALLS), ",".join(map(str, denied)), *launcher]
    with os.fdopen(reading_end) as report:
        process = subprocess.Popen(
            [*launcher, binary, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(report_end,),
            env={"LC_ALL": "C"},
        )
        os.close(report_end)
        output, errors = process.communicate(timeout=PATIENCE_S)
        layers = json.load(report)
    return Outcome(code=process.returncode, output=output, errors=errors, layers=layers)


def need(outcome: Outcome, layer: str) -> None:
    """Skip the test where the system does not have the layer."""
    if not outcome.layers[layer].startswith("active"):
        pytest.skip(f"{layer}: {outcome.layers[layer]}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that may be read, beside a file that may not."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "open").write_text("open\n", "utf-8")
    (tmp_path / "secret").write_text("secret\n", "utf-8")
    (folder / "link").symlink_to("../secret")
    return folder


def test_every_layer_is_reported() -> None:
    outcome = run(["true"])
    assert outcome.code == 0
    assert set(outcome.layers) == {
        "resource limits",
        "no new privileges",
        "network namespace",
        "read-only file systems",
        "Landlock",
        "death with the host",
    }
    assert outcome.layers["resource limits"] == "active"
    assert outcome.layers["death with the host"] == "active"


def test_listed_folder_is_read_and_nothing_else(folder: Path) -> None:
    outcome = run(["cat", folder / "open", folder / "link", "/etc/hostname"], read=(folder,))
    need(outcome, "Landlock")
    assert outcome.output == "open\n"
    assert outcome.errors.count("Permission denied") == 2


def copy(folder: Path) -> list[str | Path]:
    # Not cp, which is linked against more than the C library.
    return ["dd", f"if={folder}/open", f"of={folder}/copy"]


def test_folder_to_read_is_not_written(folder: Path) -> None:
    outcome = run(copy(folder), read=(folder,))
    need(outcome, "Landlock")
    assert not (folder / "copy").exists()


def test_folder_to_write_is_written(folder: Path) -> None:
    outcome = run(copy(folder), write=(folder,))
    assert outcome.code == 0, outcome.errors
    assert (folder / "copy").read_text("utf-8") == "open\n"


def test_another_program_is_not_executed(folder: Path) -> None:
    outcome = run(["env", program("true")], read=(folder,))
    need(outcome, "Landlock")
    assert outcome.code == 126
    assert "Permission denied" in outcome.errors


def test_network_is_empty() -> None:
    outcome = run(["cat", "/proc/net/route", "/proc/net/dev"], read=(Path("/proc"),))
    need(outcome, "network namespace")
    interfaces = [line.split(":")[0].strip() for line in outcome.output.splitlines() if ":" in line]
    assert set(interfaces) <= {"lo", "sit0", "tunl0", "ip6tnl0"}


def test_resource_limits_are_set_and_core_dumps_are_off() -> None:
    outcome = run(["cat", "/proc/self/limits"], read=(Path("/proc"),), limits={"NOFILE": 123})
    limits = {line[:26].strip(): line[26:].split()[:2] for line in outcome.output.splitlines()}
    assert limits["Max open files"] == ["123", "123"]
    assert limits["Max core file size"] == ["0", "0"]


def test_file_of_the_launcher_is_not_inherited() -> None:
    outcome = run(["sh", "-c", "echo /proc/self/fd/*"], read=(Path("/proc"),))
    descriptors = [int(path.rpartition("/")[2]) for path in outcome.output.split()]
    assert descriptors == [0, 1, 2, 3], "3 is the folder that the shell reads"


HOST = """
import json, os, subprocess, sys
launcher, confined, binary = sys.argv[1:]
confined = json.loads(confined)
confined["parent_pid"] = os.getpid()
process = subprocess.Popen(
    [sys.executable, "-I", "-S", launcher, json.dumps(confined), binary, "1000"],
    pass_fds=(confined["report_fd"],),
    start_new_session=True,
)
os.close(confined["report_fd"])
print(process.pid, flush=True)
process.wait()
"""


def test_program_dies_with_its_host() -> None:
    reading_end, report_end = os.pipe()
    binary = program("sleep")
    confined = confinement(deno=binary, read=(), write=(), parent_pid=0, report_fd=report_end)
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, CONFINE, json.dumps(confined), binary],
        stdout=subprocess.PIPE,
        pass_fds=(report_end,),
    )
    os.close(report_end)
    assert host.stdout is not None
    with host, host.stdout, os.fdopen(reading_end) as report:
        descriptor = os.pidfd_open(int(host.stdout.readline()))
        assert json.load(report)["death with the host"] == "active"
        host.kill()
    readable, _, _ = select.select([descriptor], [], [], PATIENCE_S)
    os.close(descriptor)
    assert readable


def test_program_whose_host_has_ended_before_does_not_start() -> None:
    reading_end, report_end = os.pipe()
    binary = program("echo")
    confined = confinement(deno=binary, read=(), write=(), parent_pid=1, report_fd=report_end)
    launcher = [sys.executable, "-I", "-S", str(CONFINE), json.dumps(confined)]
    command = [*launcher, str(binary), "started"]
    outcome = subprocess.run(command, capture_output=True, text=True, pass_fds=(report_end,))
    os.close(reading_end)
    os.close(report_end)
    assert outcome.returncode == 1
    assert outcome.stdout == ""
    assert "the host has ended" in outcome.stderr


def test_lists_hold_real_paths(folder: Path) -> None:
    confined = confinement(
        deno=folder / "link", read=(folder / "link",), write=(), parent_pid=1, report_fd=9
    )
    secret = str(folder.parent.resolve() / "secret")
    assert secret in confined["read"]
    assert secret in confined["execute"]
    assert confined["write"] == []
    assert confined["network"] is False


def test_system_files_are_libraries_that_exist() -> None:
    files = [Path(path) for path in system_files()]
    assert any(path.name == "libc.so.6" for path in files) or Path("/nix/store") in files
    assert all(path.is_absolute() for path in files)


PYTHON = tuple(map(Path, {sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/etc"}))
"""What an ordinary Python has to read."""


def run_python(
    code: str, *arguments: Path, mounts: Sequence[tuple[Path, bool]], needed: str = "Landlock"
) -> str:
    """What Python prints; the name of the error for each `attempt` of something."""
    attempt = """
import os, sys
def attempt(function, *arguments):
    try: function(*arguments)
    except OSError as error: print(function.__name__, error.strerror)
    else: print(function.__name__, "works")
"""
    outcome = run([sys.executable, "-c", attempt + code, *arguments], read=PYTHON, mounts=mounts)
    need(outcome, needed)
    assert outcome.code == 0, outcome.errors
    return outcome.output


def test_mount_to_read_is_read_and_not_written(folder: Path) -> None:
    code = """
folder = sys.argv[1]
print(open(folder + "/open").read(), end="")
attempt(open, folder + "/new", "w")
attempt(os.remove, folder + "/open")
attempt(os.rename, folder + "/open", folder + "/moved")
attempt(open, folder + "/../secret")
"""
    output = run_python(code, folder, mounts=[(folder, False)])
    # Whichever layer is asked first.
    denied = output.replace("Read-only file system", "Permission denied").splitlines()
    names = ["open", "remove", "rename", "open"]
    assert denied == ["open", *(f"{name} Permission denied" for name in names)]


def test_mount_to_write_is_written_but_for_links_pipes_sockets_and_devices(folder: Path) -> None:
    (folder / "inner").symlink_to("open")
    code = """
import socket
folder = sys.argv[1]
attempt(open, folder + "/new", "w")
attempt(os.mkdir, folder + "/sub")
attempt(os.rename, folder + "/new", folder + "/sub/moved")
attempt(os.link, folder + "/sub/moved", folder + "/hard")
attempt(os.remove, folder + "/hard")
attempt(os.symlink, "open", folder + "/soft")
attempt(os.rename, folder + "/inner", folder + "/sub/inner")
attempt(os.mkfifo, folder + "/fifo")
attempt(socket.socket(socket.AF_UNIX).bind, folder + "/socket")
attempt(open, folder + "/link")
"""
    works, denied = "works", "Permission denied"
    assert run_python(code, folder, mounts=[(folder, True)]).splitlines() == [
        f"open {works}",
        f"mkdir {works}",
        f"rename {works}",
        f"link {works}",
        f"remove {works}",
        f"symlink {denied}",
        f"rename {denied}",
        f"mkfifo {denied}",
        f"bind {denied}",
        f"open {denied}",
    ]


def test_modes_and_times_are_changed_in_a_mount_to_write_and_not_behind_a_link(
    folder: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.chmod(0o600)
    (folder / "sub").mkdir()
    (tmp_path / "read").mkdir()
    code = """
folder, read = sys.argv[1:]
attempt(os.chmod, folder + "/open", 0o640)
attempt(os.utime, folder + "/sub", (1, 1))
attempt(os.chmod, folder + "/link", 0o666)
attempt(os.utime, folder + "/link", (1, 1))
attempt(os.chown, folder + "/link", os.getuid(), os.getgid())
attempt(os.chmod, read, 0o700)
attempt(os.rename, folder + "/open", folder + "/sub/moved")
"""
    before = secret.stat()
    mounts = [(folder, True), (tmp_path / "read", False)]
    output = run_python(
        code, folder, tmp_path / "read", mounts=mounts, needed="read-only file systems"
    )
    read_only = "Read-only file system"
    assert output.splitlines() == [
        "chmod works",
        "utime works",
        f"chmod {read_only}",
        f"utime {read_only}",
        f"chown {read_only}",
        f"chmod {read_only}",
        "rename works",
    ]
    assert secret.stat() == before
    assert (folder / "sub" / "moved").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("call", "lost"),
    [
        (deny_calls.UNSHARE, {"network namespace", "read-only file systems"}),
        (deny_calls.OPEN_TREE, {"read-only file systems"}),
        (deny_calls.MOUNT_SETATTR, {"read-only file systems"}),
        (deny_calls.MOVE_MOUNT, {"read-only file systems"}),
    ],
)
def test_a_layer_that_is_denied_is_reported_and_leaves_the_others(
    folder: Path, call: int, lost: set[str]
) -> None:
    """A mount to write can still be written, and links lead nowhere."""
    script = f"cd {folder}; echo x >new; read line <new; echo $line; read line <link; echo $line"
    outcome = run(["sh", "-c", script], mounts=[(folder, True)], denied=[call])
    need(outcome, "Landlock")
    inactive = {name for name, state in outcome.layers.items() if not state.startswith("active")}
    assert inactive == lost
    assert all("Operation not permitted" in outcome.layers[name] for name in lost)
    assert "secret" not in outcome.output
    assert outcome.output.startswith("x\n")
    assert "Permission denied" in outcome.errors


def test_mounts_of_the_host_are_not_changed(folder: Path) -> None:
    mounts = Path("/proc/self/mountinfo")
    before = mounts.read_text("utf-8")
    need(run(["true"], mounts=[(folder, True)]), "read-only file systems")
    assert mounts.read_text("utf-8") == before
    (folder / "still").write_text("written", "utf-8")


def test_mount_of_a_file_is_that_file_only(folder: Path) -> None:
    (folder / "other").write_text("other", "utf-8")
    code = """
folder = sys.argv[1]
attempt(open, folder + "/open", "a")
attempt(open, folder + "/other")
attempt(os.listdir, folder)
"""
    output = run_python(code, folder, mounts=[(folder / "open", True)])
    assert output.splitlines() == [
        "open works",
        "open Permission denied",
        "listdir Permission denied",
    ]


def test_mount_that_does_not_exist_any_more_is_left_out(folder: Path) -> None:
    outcome = run(["cat", folder / "open"], mounts=[(folder / "gone", True), (folder, False)])
    assert outcome.code == 0, outcome.errors


def test_program_is_not_started_if_a_mount_has_become_a_link(folder: Path) -> None:
    (folder / "swapped").symlink_to(folder.parent)
    outcome = run(["echo", "started"], mounts=[(folder / "swapped", False)])
    assert outcome.code == 1
    assert outcome.output == ""
    assert "the mounts need Landlock" in outcome.errors
    assert "has become a link to" in outcome.errors


def test_program_is_not_started_without_a_layer_that_it_requires() -> None:
    outcome = run(["echo", "started"], required=["a moat"])
    assert outcome.code == 1
    assert outcome.output == ""
    assert outcome.errors == "the mounts need a moat: not on this system\n"
