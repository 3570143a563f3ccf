"""An interpreter with mounts, without the kernel around it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from pyodide_kernel import runtime
from pyodide_kernel.bridge.bridge import Bridge, Death
from pyodide_kernel.bridge.deno import DenoCommand, find_deno
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.bridge.preparation import boot_content
from pyodide_kernel.bridge.process import launch
from pyodide_kernel.mounts import Mount
from pyodide_kernel.policy import Policy

TIMEOUT_S = 60.0


class MountedGuest:
    """One interpreter and what it says."""

    def __init__(self, mounts: tuple[Mount, ...]) -> None:
        self.deaths: list[Death] = []
        self._texts: list[str] = []
        policy = Policy(mounts=mounts)
        command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir(), policy=policy)
        self.bridge = Bridge(
            launch=partial(launch, command),
            config=BridgeConfig(boot=boot_content(command)),
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
    mounts = (
        Mount(host=base / "rw", guest="/mnt/rw", writable=True),
        Mount(host=base / "ro", guest="/mnt/ro", writable=False),
        Mount(host=base / "single.txt", guest="/mnt/single.txt", writable=True, file=True),
    )
    with mounted_guest(*mounts) as guest:
        guest.run("alive = True")
        world = World(guest, base)
        yield world
        assert world.value("alive")
        assert not guest.deaths


@contextlib.contextmanager
def mounted_guest(*mounts: Mount) -> Iterator[MountedGuest]:
    """An interpreter that sees `mounts`."""
    guest = MountedGuest(mounts)
    try:
        yield guest
    finally:
        guest.bridge.close()
