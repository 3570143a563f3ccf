"""An interpreter that resolves requirements: micropip in it chooses, the host fetches.

It is confined as a kernel's is, with no folder of the host and no network, and runs no code of the
packages that it loads.
"""

from __future__ import annotations

import json
import logging
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from types import TracebackType
from typing import Any, Final, Protocol

from pyodide_kernel.bridge.messages import PACKAGE_TYPES, QUESTION_TYPES, Message
from pyodide_kernel.errors import DeadKernelError, PackageError
from pyodide_kernel.packages.desk import Desk
from pyodide_kernel.packages.store import Store

TIMEOUT_S: Final = 1800.0
"""For one cell: a large package over a slow line."""

_CELL: Final = {
    "silent": False,
    "store_history": False,
    "allow_stdin": False,
    "user_expressions": {},
}

_LOADED: Final = """
import json
print(json.dumps({name: image["folders"] for name, image in get_ipython().packages.loaded.items()}))
"""

log = logging.getLogger(__name__)


class Bridge(Protocol):
    """What is needed of a bridge."""

    def start(self) -> None:
        """Start the interpreter."""

    def request(self, msg_type: str, content: Mapping[str, Any]) -> tuple[str, Any]:
        """Send a request; its id, and a future of the reply."""

    def reply(self, message_id: str, content: Mapping[str, Any]) -> None:
        """Answer a question of the guest."""

    def close(self) -> None:
        """End the interpreter."""


class GuestSession:
    """One interpreter, from `with` to its end. `make_bridge` is called with `on_message` alone."""

    def __init__(
        self,
        make_bridge: Callable[[Callable[[Message], None]], Bridge],
        store: Store,
        *,
        tell: Callable[[str], None],
    ) -> None:
        """`tell` is told what is being loaded, a line at a time."""
        self._printed: list[str] = []
        self._lock = threading.Lock()
        self._bridge = make_bridge(self._on_message)
        self._desk = Desk(
            store=lambda: store,
            reply=self._bridge.reply,
            begin=lambda _parent: tell,
            end=lambda _parent: None,
            after=lambda _images: None,
            log=log,
        )

    def __enter__(self) -> GuestSession:
        self._bridge.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._desk.cancel()
        self._bridge.close()

    def install(self, requirements: Sequence[str], *, pre: bool, deps: bool) -> None:
        """Install as `%pip install` does. Raises PackageError."""
        words = ["install", "-q", *requirements]
        words += ["--pre"] if pre else []
        words += [] if deps else ["--no-deps"]
        line = " ".join(map(shlex.quote, words))
        self._run(f"get_ipython().run_line_magic('pip', {line!r})")

    def load(self, names: Sequence[str]) -> None:
        """Load packages of the distribution. Raises PackageError."""
        self._run(f"get_ipython().packages.load({list(names)!r})")

    def loaded(self) -> dict[str, list[str]]:
        """Folders of the images that are loaded, by the names of packages. Raises PackageError."""
        found: dict[str, list[str]] = json.loads(self._run(_LOADED))
        return found

    def _run(self, code: str) -> str:
        """Run a cell; what it printed. Raises PackageError with the cell's error."""
        with self._lock:
            self._printed.clear()
        _, future = self._bridge.request("execute_request", {**_CELL, "code": code})
        try:
            reply = future.result(timeout=TIMEOUT_S).content
        except (TimeoutError, CancelledError, DeadKernelError) as error:
            raise PackageError(f"the interpreter that resolves packages failed: {error}") from error
        if reply["status"] != "ok":
            raise PackageError(str(reply.get("evalue") or reply.get("ename") or "no reason given"))
        with self._lock:
            return "".join(self._printed)

    def _on_message(self, message: Message) -> None:
        if message.msg_type in PACKAGE_TYPES:
            self._desk.ask(message)
        elif message.msg_type in QUESTION_TYPES:
            refusal = {"status": "error", "ename": "EOFError", "evalue": "nobody is there to ask"}
            self._bridge.reply(message.id, refusal)
        elif message.msg_type == "stream" and message.content["name"] == "stdout":
            with self._lock:
                self._printed.append(message.content["text"])
