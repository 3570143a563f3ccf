"""What Emscripten leaves out of files: mappings that find their file again, and locks."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable
from typing import Any, Final

from pyodide_kernel.guest.host import Host

_LOCK_POLL_S: Final = 0.02
"""Time between two looks at a lock that another program holds."""

_LOCK_NB: Final = 4
"""`fcntl.LOCK_NB`; Windows, where tests run, has no such module."""


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


def flock_through(host: Host) -> Callable[[Any, int], None]:
    """An `fcntl.flock` that other kernels and programs on the host see; Emscripten's does nothing.

    The host's own call would block where no interrupt reaches it, so a wait asks again and again.
    """

    def flock(fd: Any, operation: int, /) -> None:
        __tracebackhide__ = True
        descriptor = fd if isinstance(fd, int) else fd.fileno()
        os.fstat(descriptor)
        while number := host.lock(descriptor, operation & ~_LOCK_NB):
            if number != errno.EAGAIN or operation & _LOCK_NB:
                raise OSError(number, os.strerror(number))
            host.sleep(_LOCK_POLL_S)

    return flock
