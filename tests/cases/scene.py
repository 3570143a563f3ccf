"""Where cases take place: folders, a secret, and listeners that nobody may reach."""

from __future__ import annotations

import secrets
import selectors
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyodide_kernel.runtime import runtime_dir

CANARY_VARIABLE = "KERNEL_TEST_CANARY"


class Listeners:
    """TCP and UDP on one loopback port, and a Unix socket; they note who comes."""

    def __init__(self, stack: ExitStack) -> None:
        self.hits: list[str] = []
        self._selector = stack.enter_context(selectors.DefaultSelector())
        tcp, udp = self._pair(stack)
        unix = stack.enter_context(socket.socket(socket.AF_UNIX))
        folder = stack.enter_context(TemporaryDirectory(prefix="cases-"))  # short: 107 bytes fit
        self.path = Path(folder, "listener")
        unix.bind(str(self.path))
        self.port: int = tcp.getsockname()[1]
        for name, listener in (("tcp", tcp), ("unix", unix)):
            listener.listen()
            self._selector.register(listener, selectors.EVENT_READ, name)
        self._selector.register(udp, selectors.EVENT_READ, "udp")
        ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
        self._selector.register(theirs, selectors.EVENT_READ, "end")
        thread = threading.Thread(target=self._serve)
        thread.start()
        stack.callback(thread.join)
        stack.callback(ours.send, b"end")

    def _pair(self, stack: ExitStack) -> tuple[socket.socket, socket.socket]:
        """A TCP and a UDP socket with the same number; it may be taken for one of them."""
        while True:
            tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                tcp.close()
                udp.close()
                continue
            return stack.enter_context(tcp), stack.enter_context(udp)

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data == "end":
                    return
                self.hits.append(key.data)
                listener = key.fileobj
                assert isinstance(listener, socket.socket)
                if key.data == "udp":
                    listener.recvfrom(100)
                    continue
                peer, _ = listener.accept()
                with peer:
                    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")


class Scene:
    """The folders and listeners of one run; made in a folder of its own."""

    def __init__(self, base: Path, stack: ExitStack) -> None:
        self.base = base
        self.canary = f"canary-{secrets.token_hex(12)}"
        self.rw, self.ro, self.out, self.work = (
            base / name for name in ("rw", "ro", "out", "work")
        )
        for folder in (self.rw, self.ro, self.out, self.work):
            folder.mkdir()
        (self.out / "canary.txt").write_text(self.canary)
        self.listeners = Listeners(stack)

    @property
    def options(self) -> list[str]:
        """The mounts, as options of the kernel."""
        return [f"--mount={self.rw}=/mnt/rw", f"--mount={self.ro}=/mnt/ro:ro"]

    def fill_in(self, text: str) -> str:
        """`text` with the tokens replaced."""
        tokens = {
            "RW": self.rw,
            "RO": self.ro,
            "OUT": self.out,
            "CANARY": self.canary,
            "PORT": self.listeners.port,
            "RT": runtime_dir(),
            "SOCKET": self.listeners.path,
        }
        for name, value in tokens.items():
            text = text.replace(f"@@{name}@@", str(value))
        return text

    def set_up(self, lines: tuple[str, ...]) -> None:
        """Empty the mounts and run the shell lines of a case."""
        for folder in (self.rw, self.ro):
            _empty(folder)
        for line in lines:
            subprocess.run(self.fill_in(line), shell=True, check=True)

    def untouchable(self) -> dict[str, object]:
        """Everything that no case may change, described so that a change shows."""
        places = (self.ro, self.out, self.work, runtime_dir().parent)
        return {str(path): _description(path) for place in places for path in _walk(place)}


@contextmanager
def scene(base: Path) -> Iterator[Scene]:
    """A scene, whose listeners are closed at exit."""
    with ExitStack() as stack:
        yield Scene(base, stack)


def _walk(folder: Path) -> Iterator[Path]:
    yield folder
    for path in folder.rglob("*"):
        if "__pycache__" not in path.parts:  # the host's own Python writes there
            yield path


def _description(path: Path) -> object:
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        return str(path.readlink())
    changed = 0 if path.is_dir() else info.st_mtime_ns
    return info.st_mode, info.st_uid, info.st_size if path.is_file() else 0, changed


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
