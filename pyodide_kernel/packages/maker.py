"""Makes bytecode for the images of a cache: python -m pyodide_kernel.packages.maker FOLDER

A process of its own, of the lowest priority, which ends when there is nothing left to do, or at the
end of its stdin (background.py); there is one at most for each cache. It compiles in a sandboxed
interpreter that runs no code of packages: Python 3.14's bytecode for WebAssembly can be made
nowhere else.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Final

from pyodide_kernel import runtime
from pyodide_kernel.bridge.boot import deno_bridge
from pyodide_kernel.bridge.bridge import Bridge
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import PyodideKernelError
from pyodide_kernel.packages.cache import BYTECODE, Cache
from pyodide_kernel.packages.config import package_cache
from pyodide_kernel.packages.image import INDEX, ImageWriter
from pyodide_kernel.packages.lockfile import is_sha256
from pyodide_kernel.policy import PackageView, Policy

log = logging.getLogger(__name__)

TIME_LIMIT_S: Final = 900.0
"""When it ends in any case; what is left is done the next time."""

IMAGE_LIMIT_S: Final = 300.0
CACHE_TAG: Final = "cpython-314"
_CODE: Final = """
from pyodide_kernel.guest.bytecode import compile_image
compile_image(get_ipython(), {folder!r}, {names!r})
"""


def images_without_bytecode(cache: Cache) -> list[Path]:
    """Images that nobody has compiled yet, the one used last first."""
    found = []
    for path in cache.images.iterdir():
        if is_sha256(path.name) and not (cache.images / (path.name + BYTECODE)).exists():
            with contextlib.suppress(OSError):  # removed meanwhile
                found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found, reverse=True)]


def pyc_name(source: str) -> str:
    """Where Python looks for a module's bytecode: a/b.py -> a/__pycache__/b.cpython-314.pyc."""
    folder, _, file = source.rpartition("/")
    return f"{folder}/__pycache__/{file[:-3]}.{CACHE_TAG}.pyc".lstrip("/")


class Maker:
    """One sandboxed interpreter that compiles."""

    def __init__(self, cache: Cache, snapshots: Path) -> None:
        self._cache = cache
        self._compiled: dict[str, bytes] = {}
        self._bridge: Bridge = deno_bridge(
            policy=Policy(packages=PackageView(images=cache.images)),
            cache=snapshots,
            config=BridgeConfig(),
            on_message=self._receive,
            on_ready=lambda _: None,
            on_death=lambda death: log.warning("An interpreter ended: %s", death.cause),
            on_give_up=lambda _: None,
        )
        self._bridge.start()

    def close(self) -> None:
        """End the interpreter."""
        self._bridge.close()

    def make(self, image: Path) -> None:
        """Write the bytecode of one image; of one that can't be compiled, an empty one."""
        names = [name for name in _files(image) if name.endswith(".py")]
        self._compiled = {}
        try:
            if names:
                self._compile(image, names)
        except (PyodideKernelError, TimeoutError) as error:
            log.warning("No bytecode for %s: %s", image, error)
            self._compiled = {}
        wanted = {name: data for name in names if (data := self._compiled.get(name)) is not None}

        def write(folder: Path) -> None:
            with ImageWriter(folder) as writer:
                for name, data in wanted.items():
                    writer.add(pyc_name(name), data)
                writer.finish()

        self._cache.keep_image(image.name + BYTECODE, write)

    def _compile(self, image: Path, names: list[str]) -> None:
        code = _CODE.format(folder=str(image), names=names)
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        _, reply = self._bridge.request("execute_request", content, time_limit_s=IMAGE_LIMIT_S)
        outcome = reply.result(IMAGE_LIMIT_S + 30).content
        if outcome["status"] != "ok":
            raise PyodideKernelError(str(outcome.get("evalue")))

    def _receive(self, message: Message) -> None:
        """Output of the interpreter: names of modules, and their bytecode as buffers."""
        names = message.content.get("transient", {}).get("bytecode", [])
        for name, data in zip(names, message.buffers, strict=False):
            self._compiled[name] = bytes(data)


def _files(image: Path) -> list[str]:
    return list(json.loads((image / INDEX).read_text("utf-8"))["files"])


@contextlib.contextmanager
def only_one(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Whether this is the one process that works on the folder, for that long."""
    with (folder / "maker.lock").open("w") as file:
        yield _take(file, wait)


def _take(file: IO[str], wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: two at once do the same work twice, and that is all
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def make_all(folder: Path, *, wait: bool = False) -> int:
    """Compile until nothing is left, or time is up; how many images that were.

    `folder` is that of all cached files. If another process is at it, leave it to that, or with
    `wait` do what it has left undone. Raises PyodideKernelError.
    """
    cache = Cache(package_cache(folder))
    cache.prepare()
    end = time.monotonic() + TIME_LIMIT_S
    done = 0
    with only_one(cache.folder, wait=wait) as alone:
        if not alone or not images_without_bytecode(cache):
            return 0
        maker = Maker(cache, folder)
        try:
            while (left := images_without_bytecode(cache)) and time.monotonic() < end:
                maker.make(left[0])
                done += 1
        finally:
            maker.close()
    return done


def end_with_stdin() -> None:
    """Have the main thread end in good order when nobody holds the other end of stdin any more."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    def listen() -> None:
        while os.read(sys.stdin.fileno(), 1):  # nothing is ever said
            pass
        # A signal to the process may reach another thread, and the main one would go on waiting.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=listen, name="stdin", daemon=True).start()


def main(folder: str) -> None:
    """Do what there is to do at the lowest priority."""
    end_with_stdin()
    if hasattr(os, "nice"):
        os.nice(19)
    runtime.check(full=False)
    make_all(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1])
