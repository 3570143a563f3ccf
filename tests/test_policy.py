"""The policy, made on a host that is a table, and what is computed of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_disk import DISK, FakeDisk, surroundings

from pyodide_kernel.bridge.confinement import confinement
from pyodide_kernel.bridge.deno import DenoCommand, command, worker_permissions
from pyodide_kernel.bridge.preparation import boot_content
from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.limits import Limits
from pyodide_kernel.mounts import Mount
from pyodide_kernel.policy import HOME, Grants, Policy, explain, make_policy

CWD = Mount(host=Path("/home/ann/work"), guest="/mnt/_home_ann_work", writable=False)
TABLE = Mount(host=Path("/srv/t.csv"), guest="/mnt/t", writable=False, file=True)
OUT = Mount(host=Path("/srv/out"), guest="/mnt/out", writable=True)
POLICY = Policy(mounts=(CWD, TABLE, OUT), cwd=CWD.guest, env={"TZ": "UTC"})
CONFIG = DenoCommand(
    deno=Path("/opt/deno"), runtime=Path("/opt/runtime"), main=Path("/opt/main.ts"), policy=POLICY
)


def test_by_default_the_working_directory_is_mounted_read_only_and_is_the_guests() -> None:
    assert make_policy(Grants(), surroundings()) == Policy(mounts=(CWD,), cwd=CWD.guest)


def test_the_working_directory_can_be_turned_off() -> None:
    assert make_policy(Grants(cwd=False), surroundings()) == Policy(cwd=HOME)


def test_mounting_the_working_directory_makes_it_writable() -> None:
    policy = make_policy(Grants(mount=["."]), surroundings())
    assert [(mount.host, mount.writable) for mount in policy.mounts] == [(CWD.host, True)]
    assert policy.cwd == CWD.guest
    assert policy.notices == ()


def test_a_working_directory_inside_a_mount_is_found_there() -> None:
    for cwd in (True, False):
        grants = Grants(mount=["~/work=/mnt/w:ro"], cwd=cwd)
        policy = make_policy(grants, surroundings(cwd="/home/ann/work/data"))
        assert len(policy.mounts) == 1
        assert policy.cwd == "/mnt/w/data"


@pytest.mark.parametrize(
    ("cwd", "reason"),
    [
        ("/home/ann", "it is your home folder"),
        ("/home", "it holds your home folder"),
        ("/", "it is the whole file system"),
        ("/proc/self", "it belongs to /proc"),
        ("/home/ann/env", "it holds the kernel's runtime, /home/ann/env/lib/runtime"),
        ("/home/ann/.jupyter-run/sub", "it holds Jupyter's runtime folder"),
        ("/home/ann/closed", "it can't be read"),
        ("/home/ann/a,b", "there is a comma in its path"),
        (None, "it does not exist any more"),
    ],
)
def test_a_working_directory_that_should_not_be_seen_is_left_out_with_one_notice(
    cwd: str | None, reason: str
) -> None:
    policy = make_policy(Grants(), surroundings(cwd=cwd))
    assert policy.mounts == ()
    assert policy.cwd == HOME
    (notice,) = policy.notices
    assert reason in notice
    assert str(cwd or "") in notice
    assert "--no-cwd" in notice
    assert make_policy(Grants(cwd=False), surroundings(cwd=cwd)).notices == ()


def test_a_working_directory_that_holds_a_mount_is_left_out() -> None:
    policy = make_policy(Grants(mount=["data"]), surroundings())
    assert [mount.guest for mount in policy.mounts] == ["/mnt/_home_ann_work_data"]
    assert "it holds the mount /home/ann/work/data" in policy.notices[0]


def test_a_working_directory_whose_name_is_taken_is_left_out() -> None:
    policy = make_policy(Grants(mount=[f"~/year=2024={CWD.guest}"]), surroundings())
    assert [str(mount.host) for mount in policy.mounts] == ["/home/ann/year=2024"]
    assert CWD.guest in policy.notices[0]


def test_without_landlock_nothing_is_mounted() -> None:
    where = surroundings(landlock_problem="Function not implemented")
    policy = make_policy(Grants(), where)
    assert policy.mounts == ()
    assert "Function not implemented" in policy.notices[0]
    with pytest.raises(ConfigurationError, match=r"--mount: 'data'.*Function not implemented"):
        make_policy(Grants(mount=["data"]), where)
    assert not Policy().needs_landlock
    assert POLICY.needs_landlock


def test_a_malformed_mount_of_a_configuration_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"--mount: 'a=/x' is not PATH"):
        make_policy(Grants(mount=["a=/x"]), surroundings())


def test_root_is_warned_of_what_may_be_changed() -> None:
    grants = Grants(mount=["data", "~/a b:ro"], cwd=False)
    assert make_policy(grants, surroundings()).notices == ()
    (notice,) = make_policy(grants, surroundings(is_root=True)).notices
    assert "root" in notice
    assert "/home/ann/work/data" in notice
    assert "a b" not in notice


def test_named_variables_are_passed_if_they_are_set() -> None:
    where = surroundings(environ={"TZ": "UTC", "SECRET": "1"})
    assert make_policy(Grants(allow_env=["TZ", "LANG"]), where).env == {"TZ": "UTC"}
    with pytest.raises(ConfigurationError, match=r"--allow-env: '\*' is not"):
        make_policy(Grants(allow_env=["*"]), where)


def test_values_of_variables_are_not_shown() -> None:
    policy = Policy(env={"TOKEN": "secret"})
    assert "secret" not in repr(policy)
    assert "secret" not in "\n".join(explain(policy))
    assert "variables of the host: TOKEN" in explain(policy)


def test_links_are_followed_when_the_policy_is_made() -> None:
    disk = FakeDisk(DISK.kinds, links={"/home/ann/work/l": "/home/ann/a b"})
    policy = make_policy(Grants(mount=["l"], cwd=False), surroundings(disk=disk))
    assert policy.readable == (Path("/home/ann/a b"),)


# What is computed of it


def test_deno_may_read_all_mounts_and_write_the_writable_ones() -> None:
    arguments = command(CONFIG, Path("/tmp/x/pipe"))
    *_, main, socket, fence = arguments
    assert (main, socket) == ("/opt/main.ts", "/tmp/x/pipe")
    read = f"/opt,/opt/runtime,/tmp/x/pipe,{fence},/home/ann/work,/srv/t.csv,/srv/out"
    assert f"--allow-read={read}" in arguments
    assert "--allow-write=/tmp/x/pipe,/srv/out" in arguments
    assert not any(argument.startswith(("-A", "--allow-all")) for argument in arguments)


def test_with_mounts_the_broker_is_given_a_file_to_prove_that_landlock_refuses_it() -> None:
    fence = Path(command(CONFIG, Path("/tmp/x/pipe"))[-1])
    assert fence.is_file()
    assert not POLICY.shows(fence)
    around = Mount(host=fence.parent, guest="/mnt/x", writable=False)
    for policy in (Policy(), Policy(mounts=(around,))):
        arguments = command(replace(CONFIG, policy=policy), Path("/tmp/x/pipe"))
        assert arguments[-1] == "/tmp/x/pipe"
        assert str(fence) not in " ".join(arguments)


def test_the_worker_may_read_the_runtime_and_all_mounts_and_write_the_writable_ones() -> None:
    shell = [str(path) for path in sorted(CONFIG.main.parent.glob("bash*.ts"))]
    assert worker_permissions(CONFIG) == {
        "read": ["/opt/runtime", *shell, "/home/ann/work", "/srv/t.csv", "/srv/out"],
        "write": ["/srv/out"],
        "net": False,
        "env": False,
        "run": False,
        "ffi": False,
        "sys": False,
        "import": False,
    }


def test_the_launcher_gets_the_mounts_and_requires_landlock_for_them() -> None:
    confined = confinement(
        deno=Path("/opt/deno"),
        read=(),
        write=(),
        parent_pid=1,
        report_fd=3,
        mounts=[(mount.host, mount.writable) for mount in POLICY.mounts],
        limits={"DATA": 5},
    )
    assert confined["mounts"] == [
        ("/home/ann/work", False),
        ("/srv/t.csv", False),
        ("/srv/out", True),
    ]
    assert confined["required"] == ["Landlock"]
    assert confined["limits"] == {"DATA": 5}
    assert confined["network"] is False
    bare = confinement(deno=Path("/opt/deno"), read=(), write=(), parent_pid=1, report_fd=3)
    assert (bare["mounts"], bare["required"]) == ([], [])


def test_the_guest_gets_the_mounts_its_directory_and_its_variables() -> None:
    guest = boot_content(CONFIG)["guest"]
    assert guest["mounts"] == [
        {
            "host": "/home/ann/work",
            "guest": "/mnt/_home_ann_work",
            "writable": False,
            "file": False,
        },
        {"host": "/srv/t.csv", "guest": "/mnt/t", "writable": False, "file": True},
        {"host": "/srv/out", "guest": "/mnt/out", "writable": True, "file": False},
    ]
    assert guest["cwd"] == "/mnt/_home_ann_work"
    assert guest["env"] == {
        "HOME": "/home/pyodide",
        "USER": "pyodide",
        "LOGNAME": "pyodide",
        "LANG": "C.UTF-8",
        "PATH": "/",
        "PWD": "/mnt/_home_ann_work",
        "TZ": "UTC",
    }


def test_the_policy_is_explained_in_lines() -> None:
    limits = Limits(memory_bytes=500_000_000, open_files=64, cell_timeout_s=1.5)
    assert explain(Policy(mounts=(CWD, OUT), cwd=CWD.guest, limits=limits)) == [
        "/mnt/_home_ann_work: /home/ann/work, read-only",
        "/mnt/out: /srv/out, may be changed; "
        "notebooks, modules and hooks written there may later run on the host",
        "working directory: /mnt/_home_ann_work",
        "network: none",
        "variables of the host: none",
        "memory: 500 MB",
        "open files: 64",
        "workers of its own: 4",
        "time for a cell: 1.5 s",
        "one message: 268 MB",
        "written to mounts: no limit",
    ]
    assert explain(Policy()) == [
        "files of the host: none",
        "working directory: /home/pyodide",
        "network: none",
        "variables of the host: none",
        "memory: 4 GB",
        "open files: 1024",
        "workers of its own: 4",
        "time for a cell: no limit",
        "one message: 268 MB",
    ]


@pytest.mark.parametrize(
    ("places", "told"),
    [
        ((), "none"),
        (("*",), "all public addresses; http and https only"),
        (("A.example:80", "::1", "a.example:80"), "a.example:80, [::1]; http and https only"),
        (("10.1.2.3", "*"), "all public addresses, 10.1.2.3; http and https only"),
    ],
)
def test_the_policy_has_the_places_that_were_named(places: tuple[str, ...], told: str) -> None:
    policy = make_policy(Grants(cwd=False, allow_net=places), surroundings())
    assert f"network: {told}" in explain(policy)
    assert policy.network.granted is bool(places)


def test_the_network_is_the_hosts_and_never_the_processs() -> None:
    policy = make_policy(Grants(cwd=False, allow_net=("*", "10.1.2.3")), surroundings())
    config = replace(CONFIG, policy=policy)
    closed = replace(CONFIG, policy=make_policy(Grants(cwd=False), surroundings()))
    assert command(config, Path("/s")) == command(closed, Path("/s"))
    assert worker_permissions(config) == worker_permissions(closed)
    assert boot_content(config) == boot_content(closed)


def test_a_malformed_place_of_a_configuration_file_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"--allow-net: 'http://a' is not"):
        make_policy(Grants(cwd=False, allow_net=("http://a",)), surroundings())
