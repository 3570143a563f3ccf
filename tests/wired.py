"""Two Protocol objects, one for each end of the pipe, wired together."""

from __future__ import annotations

from typing import Any

from pyodide_kernel.bridge.messages import PROTOCOL_VERSION, Message
from pyodide_kernel.bridge.protocol import Protocol, Role

HELLO = Message(msg_type="hello", content={"protocol_version": PROTOCOL_VERSION})
BOOT = Message(msg_type="boot", content={"worker": {}, "permissions": {}, "guest": {}})

EXECUTE = {"code": "1+1", "silent": False, "store_history": True, "allow_stdin": True}


class Wired:
    """Both ends. What one sends the other has received when the call returns."""

    def __init__(self, **limits: int) -> None:
        self.host = Protocol(Role.HOST, **limits)
        self.deno = Protocol(Role.DENO, **limits)

    def from_host(self, msg_type: str, **members: Any) -> list[Message]:
        """Send a message of the host; what arrived."""
        return self.deno.receive_data(encoded(self.host, msg_type, **members))

    def from_deno(self, msg_type: str, **members: Any) -> list[Message]:
        """Send a message of the Deno side; what arrived."""
        return self.host.receive_data(encoded(self.deno, msg_type, **members))


def greeted(**limits: int) -> Wired:
    """Both ends, after `hello` and `boot`."""
    wired = Wired(**limits)
    wired.host.receive_data(b"".join(wired.deno.send(HELLO)))
    wired.deno.receive_data(b"".join(wired.host.send(BOOT)))
    return wired


def encoded(sender: Protocol, msg_type: str, **members: Any) -> bytes:
    """The bytes of a message that `sender` sends."""
    return b"".join(sender.send(Message(msg_type=msg_type, **members)))


def asking() -> tuple[Protocol, Protocol]:
    """A host and a Deno side that has asked it what the golden frames answer."""
    host, deno = Protocol(Role.HOST), Protocol(Role.DENO)
    wanted = {"method": "GET", "url": "https://example.com/", "headers": []}
    host.receive_data(b"".join(deno.send(HELLO)))
    for msg_type, id, content in (
        ("input_request", "question-1", {"prompt": "", "password": False}),
        ("fetch_request", "5f7c-1", wanted),
        ("fetch_read", "5f7c-2", {"fetch": "5f7c-1"}),
    ):
        host.receive_data(encoded(deno, msg_type, id=id, content=content))
    return host, deno
