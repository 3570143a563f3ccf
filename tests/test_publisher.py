from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import zmq
from ipykernel.iostream import IOPubThread

from pyodide_kernel.parents import Parent
from pyodide_kernel.publisher import MARK_BYTES, Publisher, end_tasks
from pyodide_kernel.session import KernelSession


class Iopub:
    """A publisher with a client that listens to it."""

    def __init__(self, window_bytes: int = MARK_BYTES) -> None:
        self.context = zmq.Context()
        self.session = KernelSession(key=b"k")
        server = self.context.socket(zmq.XPUB)
        server.sndhwm = 0
        server.bind("inproc://iopub")
        make_thread: Any = IOPubThread
        self.thread = make_thread(server, session=self.session)
        self.thread.start()
        self.client = self.context.socket(zmq.SUB)
        self.client.rcvhwm = 0
        self.client.rcvtimeo = 10_000
        self.client.connect("inproc://iopub")
        self.client.subscribe(b"")
        self.client.recv_multipart()  # the welcome message: subscribed
        self.publisher = Publisher(
            session=self.session,
            thread=self.thread,
            topic=lambda name: f"kernel.{name}".encode(),
            window_bytes=window_bytes,
        )

    def received(self) -> dict[str, Any]:
        message = KernelSession(key=b"k").recv(self.client, mode=0)[1]
        assert message is not None
        return message

    def close(self) -> None:
        end_tasks(self.thread)
        self.thread.stop()
        self.thread.close()
        self.client.close()
        self.context.term()


@pytest.fixture
def iopub() -> Iterator[Iopub]:
    iopub = Iopub()
    yield iopub
    iopub.close()


def parent(message_id: str = "p") -> Parent:
    return Parent(id=message_id, header={"msg_id": message_id, "msg_type": "execute_request"})


def stream(text: str) -> dict[str, str]:
    return {"name": "stdout", "text": text}


def test_a_message_carries_its_parent_and_topic(iopub: Iopub) -> None:
    iopub.publisher.publish("stream", stream("x"), parent=parent("p1").header)
    message = iopub.received()
    assert message["parent_header"]["msg_id"] == "p1"
    assert message["content"] == stream("x")


def test_output_above_the_limit_is_replaced_by_one_notice(iopub: Iopub) -> None:
    cell = parent()
    for n in range(5):
        iopub.publisher.publish_output("stream", stream(str(n)), parent=cell, limit_bytes=1200)
    texts = [iopub.received()["content"]["text"] for _ in range(3)]
    assert texts[:2] == ["0", "1"]
    assert "the rest is dropped" in texts[2]
    iopub.publisher.publish_output("stream", stream("other"), parent=parent(), limit_bytes=1200)
    assert iopub.received()["content"]["text"] == "other"


def test_the_writer_waits_while_the_iopub_thread_is_far_behind(iopub: Iopub) -> None:
    block, blocked = threading.Event(), threading.Event()

    def stand_still() -> None:
        blocked.set()
        block.wait(10)

    iopub.thread.schedule(stand_still)
    assert blocked.wait(10)
    done = threading.Event()
    text = "x" * MARK_BYTES

    def write() -> None:
        for _ in range(3):
            iopub.publisher.publish_output(
                "stream", stream(text), parent=parent(), limit_bytes=10**9
            )
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert not done.wait(0.2)
    block.set()
    writer.join(10)
    assert done.is_set()
    assert [len(iopub.received()["content"]["text"]) for _ in range(3)] == [MARK_BYTES] * 3


def test_many_small_outputs_arrive_complete_and_in_order(iopub: Iopub) -> None:
    count = 5000
    for n in range(count):
        iopub.publisher.publish_output("stream", stream(str(n)), parent=parent(), limit_bytes=10**9)
    assert [iopub.received()["content"]["text"] for _ in range(count)] == [*map(str, range(count))]


def test_call_when_sent_comes_after_everything_queued_before(iopub: Iopub) -> None:
    order: list[str] = []
    sent = threading.Event()
    iopub.thread.schedule(lambda: order.append("queued"))
    iopub.publisher.call_when_sent(lambda: order.append("called"))
    iopub.publisher.call_when_sent(sent.set)
    assert sent.wait(10)
    assert order == ["queued", "called"]
