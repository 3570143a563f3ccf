"""What the guest needs from the side that runs it; `entry.py` injects it, tests inject a fake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pyodide_kernel.bridge.messages import Message

if TYPE_CHECKING:
    from pyodide_kernel.guest.programs import Call, Ended


class Host(Protocol):
    """The world outside the guest. Everything the guest says goes through `emit`."""

    message_limit: int
    """Bytes of a message beyond which it is not to be sent."""

    def emit(self, message: Message) -> None:
        """Send a message; may wait for room on the pipe, never drops or reorders."""

    def ask(self, msg_type: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a question of the guest's and wait for the content of its answer.

        The answer is `{"status": "ok"}` with what this type of question asks for, or `{"status":
        "error", "ename": str, "evalue": str}`. Raises KeyboardInterrupt if the wait is interrupted.
        """

    def new_fetch_id(self) -> str:
        """A name for a fetch or for a read of one, which no other interpreter has had."""

    def exchange(self, message: Message) -> Message:
        """Send a `fetch_request` or a `fetch_read` and block until its answer is here.

        Raises KeyboardInterrupt at once if interrupted; the fetch is cancelled then.
        """

    async def exchange_async(self, message: Message) -> Message:
        """The same without blocking; the fetch is cancelled if the wait is."""

    def sleep(self, seconds: float) -> None:
        """Wait; raises KeyboardInterrupt at once if interrupted."""

    def run_sync(self, awaitable: Awaitable[Any]) -> Any:
        """Drive an awaitable to its end and return its result; interruptible."""

    async def run_bash(
        self,
        script: str,
        place: Mapping[str, Any],
        write: Callable[[str, str], None],
        program: Callable[[Call], Ended],
    ) -> tuple[int, bool]:
        """Run a script of bash: its exit code, and whether an interrupt ended it.

        `place` has `cwd`, `env` and `stdin`; `write` is called with "stdout" or "stderr" and text,
        `program` for each program in Python. Cancelling ends the script.
        """

    def mark_dirty(self) -> None:
        """Output waits in a buffer: call `GuestKernel.tick` within some 20 ms, cell or no cell."""

    def lock(self, descriptor: int, operation: int) -> int:
        """Take or release a lock (`fcntl.LOCK_EX`, …): 0, EAGAIN if another has it, or an errno."""

    def mount_image(self, folder: str, library: bool) -> None:
        """Show a package, or a library, of which the host has named the image."""

    def unmount_image(self, folder: str) -> None:
        """Take a package away again."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back within a session."""
