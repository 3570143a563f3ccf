"""What names stand for, asked of the system without waiting for it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from typing import Final

import psutil

from pyodide_kernel.network import Address, read_address

Resolve = Callable[[str], Awaitable[list[Address]]]
"""The addresses of a name. Raises OSError."""

MAX_LOOKUPS: Final = 16
"""Look-ups at a time. One that was given up still has its thread, until the system answers."""


class Lookups:
    """Asks the system, in threads that the end of the kernel may cut. For one event loop."""

    def __init__(self, limit: int = MAX_LOOKUPS) -> None:
        self._turns = asyncio.Semaphore(limit)

    async def __call__(self, name: str) -> list[Address]:
        """The addresses of a name. Raises OSError."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Address]] = loop.create_future()

        def settle(result: list[Address] | OSError) -> None:
            self._turns.release()
            if found.done():
                return
            if isinstance(result, OSError):
                found.set_exception(result)
            else:
                found.set_result(result)

        def work() -> None:
            result = _look_up(name)
            try:
                loop.call_soon_threadsafe(settle, result)
            except RuntimeError:
                return  # the loop was closed meanwhile, and nobody waits any more

        await self._turns.acquire()
        try:
            threading.Thread(target=work, name="look up", daemon=True).start()
        except RuntimeError as error:  # the system has no more
            self._turns.release()
            raise OSError(str(error)) from error
        return await found


def _look_up(name: str) -> list[Address] | OSError:
    try:
        infos = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        return OSError(str(error))
    except OSError as error:
        return error
    addresses = (read_address(str(info[4][0])) for info in infos)
    return [address for address in addresses if address is not None]


def own_addresses() -> frozenset[Address]:
    """The addresses of this machine, those of which services for itself are behind too."""
    texts = (item.address for items in psutil.net_if_addrs().values() for item in items)
    return frozenset(
        address for text in texts if (address := read_address(text.partition("%")[0])) is not None
    )
