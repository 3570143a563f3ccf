from __future__ import annotations

import asyncio
from typing import Any

from pyodide_kernel.shell_queue import Received, ShellQueue


def message(msg_type: str) -> dict[str, Any]:
    return {"header": {"msg_type": msg_type}}


class Log:
    """A dispatcher that notes what it gets, and whether it was aborted by then."""

    def __init__(self) -> None:
        self.queue = ShellQueue(self.dispatch)
        self.seen: list[tuple[str, bool]] = []
        self.fail_at = ""

    async def dispatch(self, received: Received) -> None:
        self.seen.append((received.msg_type, self.queue.is_aborted(received)))
        if received.msg_type == self.fail_at:
            self.queue.abort()
        if received.msg_type == "last":
            self.queue.stop()

    def run(self, *msg_types: str) -> list[tuple[str, bool]]:
        for msg_type in msg_types:
            self.queue.put([], message(msg_type))
        asyncio.run(asyncio.wait_for(self.queue.run(), 10))
        return self.seen


def test_messages_are_dispatched_in_the_order_of_arrival() -> None:
    assert Log().run("a", "b", "last") == [("a", False), ("b", False), ("last", False)]


def test_abort_marks_what_has_arrived_and_not_what_comes_later() -> None:
    log = Log()
    log.fail_at = "b"
    log.queue.put([], message("a"))
    assert log.run("b", "c", "last")[2:] == [("c", True), ("last", True)]
    later = log.queue
    later.put([], message("d"))
    assert [later.is_aborted(received) for received in later.take(["d"])] == [False]


def test_abort_with_a_grace_time_marks_what_arrives_within_it() -> None:
    queue = Log().queue
    queue.abort(grace_s=60)
    queue.put([], message("a"))
    (received,) = queue.take(["a"])
    assert queue.is_aborted(received)


def test_take_removes_messages_of_some_types_in_order() -> None:
    queue = Log().queue
    for msg_type in ("x", "comm_open", "y", "comm_msg"):
        queue.put([], message(msg_type))
    taken = queue.take({"comm_open", "comm_msg"})
    assert [received.msg_type for received in taken] == ["comm_open", "comm_msg"]
    assert [received.msg_type for received in queue.take({"x", "y"})] == ["x", "y"]


def test_stop_ends_a_queue_that_waits() -> None:
    async def stop_soon(queue: ShellQueue) -> None:
        asyncio.get_running_loop().call_soon(queue.stop)
        await asyncio.wait_for(queue.run(), 10)

    asyncio.run(stop_soon(Log().queue))
