"""Which URLs the host may ask: what is configured, and what that lists or leads to. Mostly pure."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from pyodide_kernel.errors import PackageError
from pyodide_kernel.network import Address, closed_reason

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: who answers at a URL."""

    scheme: str
    host: str
    port: int


def origin(url: str) -> Origin:
    """The origin of a URL. Raises PackageError if it is not one of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise PackageError(f"{redacted(url)} is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise PackageError(f"{redacted(url)} is not an http or https URL, so it is not fetched")
    return Origin(parts.scheme, parts.hostname.lower(), port or _PORTS[parts.scheme])


def redacted(url: str) -> str:
    """A URL for messages: no user, password or query, and not too long."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return repr(url[:200])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))[:300]


def with_credentials(url: str, source: str) -> str:
    """The URL with user and password of `source`, if both have the same origin."""
    user = urlsplit(source).netloc.rpartition("@")[0]
    if not user or origin(url) != origin(source):
        return url
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, f"{user}@{host}", *parts[2:]))


def check_listed(url: str, *, page: str) -> None:
    """Raise PackageError if a page may not send us to this URL to fetch a file.

    A file may lie on another server than the page. What leads from a public server into this
    machine's network, from elsewhere into the machine itself, or from https to http, is refused.
    """
    there, here = origin(url), origin(page)
    if there == here:
        return
    if here.scheme == "https" and there.scheme != "https":
        raise PackageError(f"{redacted(page)} leads to {redacted(url)}, which is not https")
    if _nearness(there) > _nearness(here):
        raise PackageError(
            f"{redacted(page)} leads to {redacted(url)}, inside this machine or its network; "
            "it is not fetched"
        )


def check_redirect(url: str, *, asked: str, origins: Iterable[Origin]) -> None:
    """Raise PackageError if the answer to `asked` may not send us to `url`.

    It may stay at its origin, or go to another one that is among `origins`.
    """
    there, here = origin(url), origin(asked)
    if there != here and there not in set(origins):
        raise PackageError(
            f"{redacted(asked)} redirects to {there.scheme}://{there.host}:{there.port}, which is "
            "neither its own server nor configured; it is not followed"
        )


def _nearness(there: Origin) -> int:
    """0 for a public server, 1 for one of this machine's network, 2 for this machine."""
    if there.host == "localhost" or there.host.endswith(".localhost"):
        return 2
    try:
        addresses: list[Address] = [ipaddress.ip_address(there.host)]
    except ValueError:
        from urllib.request import getproxies  # it imports much

        if getproxies().get(there.scheme):  # the proxy resolves the name
            return 0
        addresses = _resolve(there)
    return max(map(_address_nearness, addresses))


def _address_nearness(address: Address) -> int:
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_loopback or mapped.is_unspecified or mapped.is_link_local:
        return 2  # link-local ones are where clouds keep a machine's own secrets
    return 1 if closed_reason(mapped) else 0


def _resolve(there: Origin) -> list[Address]:
    try:
        found = socket.getaddrinfo(there.host, there.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise PackageError(f"{there.host} can't be reached ({error.strerror or error})") from error
    return [ipaddress.ip_address(entry[4][0]) for entry in found]
