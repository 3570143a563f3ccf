"""Comms: the `comm` package's two hooks, over the pipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import comm as comm_package
from comm.base_comm import BaseComm, CommManager

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest.display import Outlet


class GuestComm(BaseComm):
    """One end of a comm; made with `comm.create_comm`."""

    def __init__(self, *args: Any, outlet: Outlet, kernel: Any = None, **kwargs: Any) -> None:
        self._outlet = outlet
        self.kernel = kernel
        super().__init__(*args, **kwargs)

    def publish_msg(
        self,
        msg_type: str,
        data: Any = None,
        metadata: Any = None,
        buffers: Any = None,
        **keys: Any,
    ) -> None:
        """Send `comm_open`, `comm_msg` or `comm_close` to the front end."""
        content = {"data": {} if data is None else data, "comm_id": self.comm_id, **keys}
        views = [_as_bytes(buffer) for buffer in buffers or ()]
        self._outlet.send(msg_type, content, metadata=metadata, buffers=views)


def _as_bytes(buffer: Any) -> memoryview:
    """The bytes of any contiguous object with the buffer protocol."""
    view = memoryview(buffer)
    if not view.contiguous:
        raise ValueError("the buffers of a comm message must be contiguous")
    return view.cast("B") if view.nbytes else memoryview(b"")


class Comms:
    """All comms of the guest, and the messages that arrive for them."""

    def __init__(self, outlet: Outlet) -> None:
        self._outlet = outlet
        self.manager = CommManager()
        self.kernel: Any = None

    def install(self) -> Callable[[], None]:
        """Make `comm.create_comm` and `comm.get_comm_manager` ours; returns how to undo it."""
        former = comm_package.create_comm, comm_package.get_comm_manager
        comm_package.create_comm = self.create
        comm_package.get_comm_manager = lambda: self.manager

        def undo() -> None:
            comm_package.create_comm, comm_package.get_comm_manager = former

        return undo

    def create(self, *args: Any, **kwargs: Any) -> GuestComm:
        """A new comm; a primary one opens its other end at once."""
        return GuestComm(*args, outlet=self._outlet, kernel=self.kernel, **kwargs)

    def info(self, target_name: str | None) -> dict[str, dict[str, str]]:
        """The open comms by id, all or those of one target."""
        return {
            comm_id: {"target_name": comm.target_name}
            for comm_id, comm in self.manager.comms.items()
            if not target_name or comm.target_name == target_name
        }

    def receive(self, message: Message) -> None:
        """Hand a `comm_open`, `comm_msg` or `comm_close` to its comm.

        The `comm` package catches and logs what a callback raises, closes a comm whose target is
        unknown and logs a message for an unknown comm; the log ends up on stderr.
        """
        msg = {
            "header": {
                "msg_id": message.id,
                **self._outlet.parent.current_header(),
                "msg_type": message.msg_type,
            },
            "msg_type": message.msg_type,
            "msg_id": message.id,
            "parent_header": {},
            "content": {"data": {}, **message.content},
            "metadata": dict(message.metadata),
            "buffers": list(message.buffers),
        }
        receive = getattr(self.manager, message.msg_type)
        receive(None, "", msg)
