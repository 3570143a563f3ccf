"""Comm messages of clients on their way to the guest."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from pyodide_kernel.bridge.bridge import Bridge
from pyodide_kernel.bridge.messages import CLIENT_HEADER
from pyodide_kernel.errors import PyodideKernelError
from pyodide_kernel.parents import Parent
from pyodide_kernel.shell_queue import Received


class Comms:
    """Forwards comm messages, and keeps clients informed that throttle themselves by statuses."""

    def __init__(
        self,
        *,
        bridge: Bridge,
        register: Callable[[Any, Any], Parent],
        publish_status: Callable[[str, Any], None],
        log: logging.Logger,
    ) -> None:
        self._bridge = bridge
        self._register = register
        self._publish_status = publish_status
        self._log = log

    def forward(self, ident: Any, message: Any) -> None:
        """Hand one message to the guest, as a parent of what it causes there."""
        parent = self._register(ident, message)
        try:
            self._bridge.send(
                message["header"]["msg_type"],
                message["content"],
                id=parent.id,
                metadata={**message["metadata"], CLIENT_HEADER: parent.guest_header},
                buffers=message["buffers"],
            )
        except (PyodideKernelError, ValueError, TypeError) as error:
            self._log.warning("Dropped a comm message: %s", error)

    def pass_cell(self, passed: list[Received], cell: Parent) -> None:
        """Forward messages past the running cell, which may be waiting for them.

        Each gets its busy and idle at once, since clients throttle by them; busy again afterwards,
        since a cell runs.
        """
        for received in passed:
            self._publish_status("busy", received.message)
            self.forward(received.ident, received.message)
            self._publish_status("idle", received.message)
        if passed:
            self._publish_status("busy", cell.header)
