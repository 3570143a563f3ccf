"""Comms between a client and a target that a cell has registered, with binary buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from clients.place import KERNEL_NAME, TIMEOUT_S, Place
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

pytestmark = pytest.mark.deno

ALL_BYTES = bytes(range(256))

ECHO = """
comms = []

def opened(comm, message):
    comms.append(comm)

    @comm.on_msg
    def received(message):
        buffers = [bytes(buffer)[::-1] for buffer in message["buffers"]]
        comm.send({"echo": message["content"]["data"]}, {"kind": "answer"}, buffers)

    @comm.on_close
    def closed(message):
        comms.remove(comm)

    comm.send({"opened with": message["content"]["data"]}, buffers=message["buffers"])

get_ipython().kernel.comm_manager.register_target("echo", opened)
"""

OPEN = """
from comm import create_comm

heard = []

def hear(message):
    right = [bytes(buffer) for buffer in message["buffers"]] == [bytes(range(256))]
    heard.append((message["content"]["data"], right))

comm = create_comm("front end", {"hello": 1}, buffers=[bytes(range(256))])
comm.on_msg(hear)
"""

WAIT = """
import asyncio

while not heard:
    await asyncio.sleep(0.01)
print(heard)
"""


class Client:
    """A client that sends any message and waits for what answers it."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def send(
        self, msg_type: str, comm_id: str, data: Any = None, *buffers: bytes, **content: Any
    ) -> str:
        """Send a comm message; its id."""
        session = self._client.session
        message = session.msg(msg_type, {"comm_id": comm_id, "data": data or {}} | content)
        session.send(self._client.shell_channel.socket, message, buffers=list(buffers))
        return str(message["header"]["msg_id"])

    def wait_for(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next message on iopub of that kind."""
        while True:
            message: dict[str, Any] = self._client.get_iopub_msg(timeout=TIMEOUT_S)
            if wanted(message):
                return message

    def answer(self, msg_type: str, comm_id: str) -> dict[str, Any]:
        """The next message of this type from a comm."""
        return self.wait_for(
            lambda message: (
                message["msg_type"] == msg_type and message["content"]["comm_id"] == comm_id
            )
        )

    def start(self, code: str) -> str:
        """Send a cell; its id."""
        return str(self._client.execute(code))

    def run(self, code: str) -> str:
        """Run a cell; what it printed."""
        printed: list[str] = []
        reply = self._client.execute_interactive(
            code,
            timeout=TIMEOUT_S,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    def open_comms(self, target: str) -> dict[str, Any]:
        """What comm_info says."""
        reply = self._client.comm_info(target, reply=True, timeout=TIMEOUT_S)
        comms: dict[str, Any] = reply["content"]["comms"]
        return comms


@pytest.fixture
def client(place: Place) -> Iterator[Client]:
    manager, client = start_new_kernel(kernel_name=KERNEL_NAME)
    try:
        yield Client(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def test_data_and_buffers_go_both_ways_until_the_client_closes(client: Client) -> None:
    client.run(ECHO)
    sent = client.send("comm_open", "one", {"n": 1}, ALL_BYTES, target_name="echo")
    greeting = client.answer("comm_msg", "one")
    assert greeting["content"]["data"] == {"opened with": {"n": 1}}
    assert [bytes(buffer) for buffer in greeting["buffers"]] == [ALL_BYTES]
    assert greeting["parent_header"]["msg_id"] == sent
    assert client.open_comms("echo") == {"one": {"target_name": "echo"}}

    sent = client.send("comm_msg", "one", {"text": "é𝄞"}, b"", b"abc", ALL_BYTES * 4096)
    echo = client.answer("comm_msg", "one")
    assert echo["content"]["data"] == {"echo": {"text": "é𝄞"}}
    assert echo["metadata"] == {"kind": "answer"}
    assert [bytes(buffer) for buffer in echo["buffers"]] == [b"", b"cba", ALL_BYTES[::-1] * 4096]
    assert echo["parent_header"]["msg_id"] == sent

    client.send("comm_close", "one")
    assert client.run("print(len(comms))") == "0\n"
    assert client.open_comms("echo") == {}


def test_a_cell_opens_a_comm_and_hears_the_client_until_it_closes_it(client: Client) -> None:
    cell = client.start(OPEN)
    opened = client.wait_for(lambda message: message["msg_type"] == "comm_open")
    assert opened["content"]["target_name"] == "front end"
    assert opened["content"]["data"] == {"hello": 1}
    assert [bytes(buffer) for buffer in opened["buffers"]] == [ALL_BYTES]
    assert opened["parent_header"]["msg_id"] == cell

    comm_id = opened["content"]["comm_id"]
    client.send("comm_msg", comm_id, {"answer": 2}, ALL_BYTES)
    assert client.run("print(heard)") == "[({'answer': 2}, True)]\n"
    client.start("comm.close({'good': 'bye'})")
    assert client.answer("comm_close", comm_id)["content"]["data"] == {"good": "bye"}


def test_a_cell_that_waits_hears_the_client(client: Client) -> None:
    cell = client.start(OPEN + WAIT)
    opened = client.wait_for(lambda message: message["msg_type"] == "comm_open")
    client.send("comm_msg", opened["content"]["comm_id"], {"answer": 3}, ALL_BYTES)
    printed = client.wait_for(lambda message: message["msg_type"] == "stream")
    assert printed["content"]["text"] == "[({'answer': 3}, True)]\n"
    assert printed["parent_header"]["msg_id"] == cell


def test_a_comm_for_an_unknown_target_is_closed_at_once(client: Client) -> None:
    client.run("pass")
    client.send("comm_open", "lost", target_name="nobody")
    client.answer("comm_close", "lost")
    assert client.open_comms("nobody") == {}
