"""Memory-mapped files."""

from __future__ import annotations

import mmap
import os
from typing import Any


class GuestMmap(mmap.mmap):
    """A mapping with a descriptor of its own.

    Emscripten writes a shared mapping back through the number of the descriptor that it was made
    from. If that is closed by then, changes are lost; if it belongs to another file by then, they
    land there (emscripten-core/emscripten#20459).
    """

    _descriptor = -1

    def __new__(cls, fileno: int, length: int, *args: Any, **kwargs: Any) -> GuestMmap:
        """Map a file, or memory if `fileno` is -1."""
        __tracebackhide__ = True
        if fileno == -1:
            return super().__new__(cls, fileno, length, *args, **kwargs)
        descriptor = os.dup(fileno)
        try:
            mapping = super().__new__(cls, descriptor, length, *args, **kwargs)
        except BaseException:
            os.close(descriptor)
            raise
        mapping._descriptor = descriptor
        return mapping

    def close(self) -> None:
        """Write changes back and free the memory."""
        __tracebackhide__ = True
        super().close()
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor != -1:
            os.close(descriptor)

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


GuestMmap.__name__ = GuestMmap.__qualname__ = "mmap"
GuestMmap.__module__ = "mmap"
