"""Answers the guest's questions about packages, each in a thread of its own.

What the guest asks is hostile input: it can name packages, projects and files, never a URL to fetch
or a path to write.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.errors import PackageError, PyodideKernelError, UnreachableError
from pyodide_kernel.packages.jobs import Interrupted, Job, Report
from pyodide_kernel.packages.lockfile import is_project_name, normalized

if TYPE_CHECKING:
    from pyodide_kernel.packages.store import Store

MAX_NAMES: Final = 1000

MAX_JOBS: Final = 16
"""Questions that are worked on at once. The guest waits for one; those before it may take a moment
to end."""

_TOO_MANY: Final = {
    "status": "error",
    "ename": "PackageError",
    "evalue": "too many questions about packages at once; try again",
}

Reply = Callable[[str, Mapping[str, Any]], None]
"""Sends the answer to the question of an id."""


class Desk:
    """Where the questions arrive. All methods may be called from any thread and return at once."""

    def __init__(
        self,
        *,
        store: Callable[[], Store],
        reply: Reply,
        begin: Callable[[str], Report],
        end: Callable[[str], None],
        after: Callable[[list[Mapping[str, Any]]], None],
        log: logging.Logger,
    ) -> None:
        self._store = store
        self._reply = reply
        self._begin = begin
        self._end = end
        self._after = after
        self._log = log
        self._jobs: set[threading.Event] = set()
        self._lock = threading.Lock()

    def ask(self, message: Message) -> None:
        """Take a question; its answer is sent when there is one."""
        self.cancel()  # the guest waits for one answer at a time
        cancelled = threading.Event()
        with self._lock:
            if full := len(self._jobs) >= MAX_JOBS:
                self._log.warning("Refused a %s: too many at once", message.msg_type)
            else:
                self._jobs.add(cancelled)
        if full:
            self._reply(message.id, _TOO_MANY)
            return
        thread = threading.Thread(
            target=self._run, args=(message, cancelled), name="packages", daemon=True
        )
        thread.start()

    def cancel(self) -> None:
        """Stop working on what nobody waits for any more."""
        with self._lock:
            for cancelled in self._jobs:
                cancelled.set()

    def _run(self, message: Message, cancelled: threading.Event) -> None:
        job = Job(cancelled=cancelled, report=self._begin(message.parent_id))
        try:
            answer = self._answer(message, job)
        except Interrupted:
            answer = {"status": "error", "ename": "KeyboardInterrupt", "evalue": ""}
        except PyodideKernelError as error:
            kind = "Unreachable" if isinstance(error, UnreachableError) else "Package"
            answer = {"status": "error", "ename": f"{kind}Error", "evalue": str(error)}
        except Exception as error:  # a loop top: the guest must get an answer
            self._log.exception("Failed to answer a %s", message.msg_type)
            answer = {"status": "error", "ename": "PackageError", "evalue": f"a bug: {error!r}"}
        finally:
            with self._lock:
                self._jobs.discard(cancelled)
        self._end(message.parent_id)
        if not cancelled.is_set():
            self._reply(message.id, answer)
        if images := answer.get("images"):
            self._after(images)

    def _answer(self, message: Message, job: Job) -> dict[str, Any]:
        if message.msg_type == "package_request":
            names, wheels, loaded = read_package_request(message.content)
            return {"status": "ok", "images": self._store().load(names, wheels, job, loaded)}
        index, project, file = read_index_request(message.content)
        if file:
            return {"status": "ok", "metadata": self._store().metadata(project, file, job)}
        return {"status": "ok", "page": self._store().page(project, index, job)}


def read_package_request(
    content: Mapping[str, Any],
) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """Names of packages, projects and file names of wheels, and what is loaded already.

    Raises PackageError.
    """
    names, wheels, loaded = content["names"], content["wheels"], content.get("loaded", [])
    if not isinstance(loaded, list):
        raise PackageError("what is loaded is not a list")
    if len(names) + len(wheels) > MAX_NAMES or len(loaded) > MAX_NAMES:
        raise PackageError(f"more than {MAX_NAMES} packages at once")
    for name in (*names, *loaded):
        if not is_project_name(name):
            raise PackageError(f"{str(name)[:80]!r} is no name of a package")
    pairs = []
    for wheel in wheels:
        if not isinstance(wheel, list) or len(wheel) != 2 or not is_project_name(wheel[0]):
            raise PackageError("a wheel is not a project and a file name")
        if not isinstance(wheel[1], str) or wheel[1].count("-") < 4 or len(wheel[1]) > 400:
            raise PackageError(f"{str(wheel[1])[:80]!r} is no name of a wheel")
        pairs.append((normalized(wheel[0]), wheel[1]))
    return names, pairs, loaded


def read_index_request(content: Mapping[str, Any]) -> tuple[str, str, str]:
    """Index, normalized project and file; index and file may be empty. Raises PackageError."""
    index, project, file = content["index"], content["project"], content["file"]
    if not is_project_name(project):
        raise PackageError(f"{project[:80]!r} is no name of a project")
    if len(index) > 2000 or len(file) > 400:
        raise PackageError("a name that is too long")
    return index, normalized(project), file
