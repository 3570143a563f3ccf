"""Which request the running code belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

parent_id: ContextVar[str] = ContextVar("parent_id")
"""Id of the request that the running code belongs to.

A task copies the context it was created in, so all it prints after its cell has ended still names
that cell. Unset in callbacks that come from elsewhere (a JavaScript event, say).
"""

client_header: ContextVar[Mapping[str, Any]] = ContextVar("client_header")
"""Header of the client's message behind that request."""


class Parent:
    """The current parent id, with the last request as the fallback for foreign callbacks."""

    def __init__(self) -> None:
        self.last_id = ""
        self._last_header: Mapping[str, Any] = {}

    def current_header(self) -> Mapping[str, Any]:
        """Header of the client's message that the running code belongs to; empty if there is none.

        Front ends know the message by it, not by the id on the pipe.
        """
        return client_header.get(self._last_header)

    def current_id(self) -> str:
        """Id of the request that the running code belongs to."""
        return parent_id.get(self.last_id)

    @contextmanager
    def request(
        self, message_id: str, *, nested: bool, header: Mapping[str, Any] | None = None
    ) -> Iterator[None]:
        """Name `message_id` as the parent of everything done inside, `header` as the client's.

        A `nested` request, one that runs while another waits, hands the fallback back afterwards.
        """
        former = self.last_id, self._last_header
        self.last_id, self._last_header = message_id, header or {}
        token = parent_id.set(message_id)
        header_token = client_header.set(self._last_header)
        try:
            yield
        finally:
            client_header.reset(header_token)
            parent_id.reset(token)
            if nested:
                self.last_id, self._last_header = former
