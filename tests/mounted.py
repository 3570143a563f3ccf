"""An interpreter with mounts, without the kernel around it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel import runtime
from pyodide_kernel.bridge import process
from pyodide_kernel.bridge.boot import boot_content
from pyodide_kernel.bridge.bridge import Bridge, Death
from pyodide_kernel.bridge.confinement import confinement
from pyodide_kernel.bridge.deno import DenoCommand, command, find_deno
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.process import launch

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A folder or file of the host, seen in the guest."""

    host: Path
    name: str
    writable: bool = True

    @property
    def content(self) -> dict[str, Any]:
        """As the boot message has it."""
        return {
            "host": str(self.host),
            "guest": f"/mnt/{self.name}",
            "writable": self.writable,
            "file": self.host.is_file(),
        }


class MountedGuest:
    """One interpreter and what it says."""

    def __init__(self, mounts: list[Mount]) -> None:
        self.deaths: list[Death] = []
        self._texts: list[str] = []
        command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir())
        boot = boot_content(command)
        boot["guest"] |= {"mounts": [mount.content for mount in mounts]}
        boot["permissions"] |= {
            "read": [*boot["permissions"]["read"], *(str(mount.host) for mount in mounts)],
            "write": [str(mount.host) for mount in mounts if mount.writable] or False,
        }
        self.bridge = Bridge(
            launch=partial(launch, command),
            config=BridgeConfig(boot=boot),
            on_message=self._note,
            on_ready=lambda _: None,
            on_death=self.deaths.append,
            on_give_up=self.deaths.append,
        )
        self.bridge.start()

    def _note(self, message: Message) -> None:
        if message.msg_type == "stream":
            self._texts.append(message.content["text"])

    def run(self, code: str, *, timeout_s: float = TIMEOUT_S) -> str:
        """What a cell printed. Fails if the cell failed."""
        self._texts.clear()
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        _, future = self.bridge.request("execute_request", content)
        reply = future.result(timeout_s).content
        if reply["status"] != "ok":
            raise AssertionError("\n".join(reply["traceback"]))
        return "".join(self._texts)


_OUTCOMES = """
import errno, json, os, shutil, sys
from pathlib import Path

def _outcome(source):
    try:
        value = eval(source)
    except OSError as error:
        return f"{type(error).__name__} {errno.errorcode[error.errno]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "worked" if value is None else value

"""


class World:
    """A guest, and the folders of the host that it sees and doesn't see."""

    def __init__(self, guest: MountedGuest, base: Path) -> None:
        self.guest = guest
        self.base = base
        self.rw = base / "rw"
        self.ro = base / "ro"
        self.single = base / "single.txt"
        self.outside = base / "outside"
        self.twin = base / "twin"

    def run(self, code: str, **options: Any) -> str:
        """What a cell printed. Fails if the cell failed."""
        return self.guest.run(code, **options)

    def value(self, code: str, **options: Any) -> Any:
        """The value of the last line of some code, which has to be an expression."""
        *lines, last = code.strip().splitlines()
        text = "\n".join([_OUTCOMES, *lines, f"print(json.dumps({last}))"])
        return json.loads(self.run(text, **options))

    def outcomes(self, *expressions: str) -> list[Any]:
        """What each expression gives: its value, `worked` for None, or its error."""
        code = f"{_OUTCOMES}print(json.dumps([_outcome(source) for source in {expressions!r}]))"
        outcomes: list[Any] = json.loads(self.run(code))
        return outcomes


@contextlib.contextmanager
def mounted_world(base: Path) -> Iterator[World]:
    """A guest with `/mnt/rw`, `/mnt/ro` and `/mnt/single.txt`, which has to be alive at the end."""
    for name in ("rw", "ro", "outside", "twin"):
        (base / name).mkdir()
    (base / "single.txt").write_text("single")
    mounts = [
        Mount(host=base / "rw", name="rw"),
        Mount(host=base / "ro", name="ro", writable=False),
        Mount(host=base / "single.txt", name="single.txt"),
    ]
    with mounted_guest(*mounts) as guest:
        guest.run("alive = True")
        world = World(guest, base)
        yield world
        assert world.value("alive")
        assert not guest.deaths


@contextlib.contextmanager
def mounted_guest(*mounts: Mount) -> Iterator[MountedGuest]:
    """An interpreter that sees `mounts`; the same lists for Deno and for the operating system."""
    read = tuple(mount.host for mount in mounts if not mount.writable)
    write = tuple(mount.host for mount in mounts if mount.writable)

    def arguments_with_mounts(config: DenoCommand, socket_path: Path) -> list[str]:
        arguments = command(config, socket_path)
        for index, argument in enumerate(arguments):
            if argument.startswith("--allow-read="):
                arguments[index] = ",".join([argument, *map(str, read + write)])
            if argument.startswith("--allow-write="):
                arguments[index] = ",".join([argument, *map(str, write)])
        return arguments

    def confined(**options: Any) -> Mapping[str, Any]:
        return confinement(
            **{**options, "read": options["read"] + read, "write": options["write"] + write}
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "command", arguments_with_mounts)
        patch.setattr(process, "confinement", confined)
        guest = MountedGuest(list(mounts))
        try:
            yield guest
        finally:
            guest.bridge.close()
