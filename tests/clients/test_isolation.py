"""The kernel where something is missing: the network, a home, the right to write into it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from clients.place import KERNEL_NAME, TIMEOUT_S, Place

pytestmark = [pytest.mark.deno, pytest.mark.slow]

RUN_A_CELL = f"""
import os, sys, tempfile
from jupyter_client.manager import KernelManager

manager = KernelManager(kernel_name={KERNEL_NAME!r}, transport=sys.argv[1])
if manager.transport == "ipc":
    # The sockets lie beside the connection file, and their paths must be short.
    manager.connection_file = os.path.join(tempfile.mkdtemp(), "connection.json")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready(timeout={TIMEOUT_S})
code = "import sys; print(sys.platform, 6 * 7)"
reply = client.execute_interactive(code, timeout={TIMEOUT_S})
print(reply["content"]["status"])
client.stop_channels()
manager.shutdown_kernel()
"""
"""A client in a process of its own: what is taken away is taken away from client and kernel."""

LOOPBACK_UP = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", IFF_UP, b""))
"""
"""Nothing but the loopback interface, which TCP between client and kernel needs."""

DONE = "emscripten 42\nok\n"


def run_a_cell(
    place: Place, *wrapper: str, before: str = "", transport: str = "tcp"
) -> subprocess.CompletedProcess[str]:
    return place.run(*wrapper, sys.executable, "-c", before + RUN_A_CELL, transport)


def unshare(*options: str) -> list[str]:
    """A command that runs another one in namespaces of its own; skips where that is forbidden."""
    command = ["unshare", *options]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], check=False).returncode:
        pytest.skip(f"not allowed here: {' '.join(command)}")
    return command


def test_a_cell_runs_without_a_network(place: Place) -> None:
    done = run_a_cell(place, *unshare("-rn"), before=LOOPBACK_UP)
    assert done.stdout == DONE, done.stderr


def test_a_cell_runs_without_even_a_loopback_interface(place: Place) -> None:
    done = run_a_cell(place, *unshare("-rn"), transport="ipc")
    assert done.stdout == DONE, done.stderr


def test_a_cell_runs_without_a_home(place: Place) -> None:
    # Without a HOME, the user's entry in the system's list of users would lead to the real one.
    place = place.without("HOME", "IPYTHONDIR", XDG_DATA_HOME=str(place.work / "data"))
    done = run_a_cell(place)
    assert done.stdout == DONE, done.stderr


def test_a_cell_runs_for_a_user_that_the_system_does_not_know(place: Place) -> None:
    done = run_a_cell(place.without("HOME", "IPYTHONDIR"), *unshare("--user", "--map-user=4711"))
    assert done.stdout == DONE, done.stderr


@pytest.mark.parametrize("home", ["/dev/null/home", "/proc/self", "sealed"])
def test_a_cell_runs_with_a_home_that_nobody_can_write_to(place: Place, home: str) -> None:
    sealed = place.work / "sealed"
    sealed.mkdir(mode=0o500)
    done = run_a_cell(place.without("IPYTHONDIR", HOME=str(Path(place.work, home))))
    assert done.stdout == DONE, done.stderr
