"""The network as Python here sees it: HTTP through the host, and nothing else.

`requests` and `urllib3` need no patch: they use JavaScript's `fetch`, which goes to the host too.
What libraries need is patched when they are imported.
"""

from __future__ import annotations

import errno
import socket
from types import ModuleType
from typing import Any, Protocol

from pyodide_kernel.guest.after_import import AfterImport
from pyodide_kernel.guest.fetches import Fetches
from pyodide_kernel.guest.host import Host

NO_SOCKETS = (
    "WebAssembly has no sockets. For http and https use urllib.request, requests, httpx or "
    "pyodide.http.pyfetch, which the kernel's --allow-net lets through"
)

_CONNECTING = ("connect", "connect_ex", "sendto", "sendmsg", "bind")


class Patching(Protocol):
    """What is needed of `patches.Patches`."""

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute that exists."""

    def later(self, undo: Any) -> None:
        """Remember a step of the way back."""


def patch(patches: Patching, host: Host) -> None:
    """Let HTTP go through the host; other connections fail with a reason."""
    fetches = Fetches(host)

    def http_client(module: ModuleType) -> None:
        from pyodide_kernel.guest.http_sockets import patch_http_client

        patch_http_client(module, fetches, patches.set)

    def httpx(module: ModuleType) -> None:
        from pyodide_kernel.guest.httpx_transport import patch_httpx

        patch_httpx(module, fetches, patches.set)

    def pyodide_http(module: ModuleType) -> None:
        from pyodide_kernel.guest.web_requests import patch_pyodide_http

        patch_pyodide_http(module, fetches)

    hook = AfterImport(
        {
            "http.client": http_client,
            "httpx._transports.default": httpx,
            # In Pyodide's own build of it.
            "httpx._transports.jsfetch": httpx,
            "pyodide.http": pyodide_http,
        }
    )
    hook.install()
    patches.later(hook.uninstall)
    _sockets(patches)


def _sockets(patches: Patching) -> None:
    def refuse(_self: Any, *_args: Any) -> Any:
        __tracebackhide__ = True
        raise OSError(errno.ENOTSUP, NO_SOCKETS)

    # The class inherits them from one in C, which can't be changed.
    for name in _CONNECTING:
        setattr(socket.socket, name, refuse)
        patches.later(lambda name=name: delattr(socket.socket, name))
