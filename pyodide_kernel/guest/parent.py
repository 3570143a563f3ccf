"""Which request the running code belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

parent_id: ContextVar[str] = ContextVar("parent_id")
"""Id of the request that the running code belongs to.

A task copies the context it was created in, so all it prints after its cell has ended still names
that cell. Unset in callbacks that come from elsewhere (a JavaScript event, say).
"""


class Parent:
    """The current parent id, with the last request as the fallback for foreign callbacks."""

    def __init__(self) -> None:
        self.last_id = ""

    def current_id(self) -> str:
        """Id of the request that the running code belongs to."""
        return parent_id.get(self.last_id)

    @contextmanager
    def request(self, message_id: str, *, nested: bool) -> Iterator[None]:
        """Name `message_id` as the parent of everything done inside.

        A `nested` request, one that runs while another waits, hands the fallback back afterwards.
        """
        former, self.last_id = self.last_id, message_id
        token = parent_id.set(message_id)
        try:
            yield
        finally:
            parent_id.reset(token)
            if nested:
                self.last_id = former
