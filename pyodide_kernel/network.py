"""Which places of the network code may reach: one rule, kept by the host. Pure.

A place is granted by its name or its address, or because its address is a public one. What a name
stands for is looked up once, by whoever connects; each address that comes of it has to pass
`Network.problem_of_address`, since those who own a name can let it stand for anything.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

PUBLIC: Final = "*"
"""Grants all public addresses."""

FORM: Final = "* or HOST[:PORT], such as example.com, 10.1.2.3:8080 or [::1]:8888"

MAX_HOST_LENGTH: Final = 253

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_GRANT: Final = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]*)(?::([0-9]{1,5}))?")

# Python's own `is_global` differs from version to version, and takes some of these for public.
_CLOSED_V4: Final = (
    ("0.0.0.0/8", "an address of this network"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "an address shared behind a provider"),
    ("127.0.0.0/8", "a loopback address"),
    ("168.63.129.16/32", "an address for metadata of a cloud"),
    ("169.254.0.0/16", "a link-local address, as those for metadata of clouds are"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "a reserved address"),
    ("192.0.2.0/24", "an address for documentation"),
    ("192.88.99.0/24", "an address that stands for another"),
    ("192.168.0.0/16", "a private address"),
    ("198.18.0.0/15", "an address for measurements"),
    ("198.51.100.0/24", "an address for documentation"),
    ("203.0.113.0/24", "an address for documentation"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
)
_CLOSED_V6: Final = (
    ("::/128", "the unspecified address"),
    ("::1/128", "a loopback address"),
    ("::ffff:0:0/96", "an address that stands for another"),
    ("::/96", "an address that stands for another"),
    ("64:ff9b::/96", "an address that stands for another"),
    ("64:ff9b:1::/48", "an address that stands for another"),
    ("2001::/23", "a reserved address"),
    ("2001:db8::/32", "an address for documentation"),
    ("2002::/16", "an address that stands for another"),
    ("3fff::/20", "an address for documentation"),
    ("fc00::/7", "a private address"),
    ("fe80::/10", "a link-local address"),
    ("ff00::/8", "a multicast address"),
)
_CLOSED: Final = tuple(
    (ipaddress.ip_network(text), reason) for text, reason in (*_CLOSED_V4, *_CLOSED_V6)
)
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_ISATAP: Final = (0x00005EFE, 0x02005EFE)
"""What comes before an IPv4 address in the lower half of an address of RFC 5214."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A host that is granted, on one port or on all."""

    host: str
    """As `read_host` gives it."""
    port: int | None = None

    def __str__(self) -> str:
        return show(self.host, self.port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What of the network is granted; nothing by default."""

    public: bool = False
    places: tuple[Place, ...] = ()

    @property
    def granted(self) -> bool:
        """Whether anything is."""
        return self.public or bool(self.places)

    def names(self, host: str, port: int) -> bool:
        """Whether a place is granted by name, or an address as itself."""
        return any(place.host == host and place.port in (None, port) for place in self.places)

    def problem_of_host(self, host: str, port: int) -> str:
        """Why a host is closed, whatever its addresses are; empty if that depends on them."""
        if self.names(host, port) or self.public:
            return ""
        place = show(host, port)
        if not self.granted:
            return (
                f"this kernel has no network; --allow-net={place} opens that place, "
                "--allow-net all public ones"
            )
        return f"it is not in --allow-net={self}; add {place} to open it"

    def problem_of_address(
        self, host: str, port: int, address: Address, *, own: bool = False
    ) -> str:
        """Why one of the addresses of a host is closed; empty if it is open.

        `own` says that it is one of the machine that the kernel runs on, however public it is.
        """
        if problem := self.problem_of_host(host, port):
            return problem
        reason = closed_reason(address) or ("an address of this machine" if own else "")
        if not reason or self.names(str(address), port):
            return ""
        if address.is_loopback and _is_localhost(host) and self.names(host, port):
            return ""
        what = host if host == str(address) else f"{host} is {address}, which"
        return (
            f"{what} is {reason}, and those are closed unless they are named: "
            f"add {show(str(address), port)} to --allow-net={self}"
        )

    def __str__(self) -> str:
        return ",".join((*([PUBLIC] if self.public else []), *map(str, self.places)))


def show(host: str, port: int | None = None) -> str:
    """A place as users write it."""
    shown = f"[{host}]" if ":" in host else host
    return shown if port is None else f"{shown}:{port}"


def read_host(text: str) -> str:
    """A name in lower case, or an address in its canonical form. Raises ValueError for all else.

    What some programs take for an address and others for a name (`127.1`, `0x7f.1`, `2130706433`)
    is neither.
    """
    if text.startswith("[") and text.endswith("]"):
        if "%" in text:
            raise ValueError(f"{text!r} has a zone")
        return str(ipaddress.IPv6Address(text[1:-1]))
    host = text.lower().removesuffix(".")
    labels = host.split(".")
    if len(host) > MAX_HOST_LENGTH or not host.isascii():
        raise ValueError(f"{text[:MAX_HOST_LENGTH]!r} is not the name of a host")
    if _NUMBER.fullmatch(labels[-1]):
        return str(ipaddress.IPv4Address(host))
    if not all(map(_LABEL.fullmatch, labels)):
        raise ValueError(f"{text!r} is not the name of a host")
    return host


def read_address(host: str) -> Address | None:
    """The address that a host of `read_host` is; None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def read_grant(text: str) -> Place | None:
    """The place that a value of `--allow-net` names; None for all public ones.

    Raises ValueError.
    """
    text = text.strip()
    if text == PUBLIC:
        return None
    if text.count(":") > 1 and not text.startswith("["):
        return Place(host=read_host(f"[{text}]"))
    match = _GRANT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not {FORM}")
    host, port = match[1], None if match[2] is None else int(match[2])
    if port is not None and not 0 < port < 2**16:
        raise ValueError(f"there is no port {port}")
    return Place(
        host=read_host(host if host.isascii() else host.encode("idna").decode()), port=port
    )


def closed_reason(address: Address) -> str:
    """Why an address is closed unless it is named; empty for a public one."""
    for network, reason in _CLOSED:
        if address.version == network.version and address in network:
            return reason
    if address.version == 6 and address not in _GLOBAL_V6:
        return "a reserved address"
    if address.version == 6 and int(address) >> 32 & 0xFFFFFFFF in _ISATAP:
        return "an address that stands for another"
    return ""


def _is_localhost(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")
