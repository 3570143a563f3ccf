"""Which places are open, and what counts as the name of one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyodide_kernel.network import (
    Address,
    Network,
    Place,
    closed_reason,
    read_address,
    read_grant,
    read_host,
    show,
)

NOTHING = Network()
PUBLIC = Network(public=True)


def named(*texts: str) -> Network:
    places = [read_grant(text) for text in texts]
    found = tuple(place for place in places if place is not None)
    return Network(public=None in places, places=found)


def is_open(network: Network, host: str, address: str, port: int = 80) -> bool:
    return not network.problem_of_address(host, port, ipaddress.ip_address(address))


CLOSED = (
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200"),
    *("127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.0.1"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1"),
    *("198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1"),
    *("2002:7f00:1::1", "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254"),
    *("fe80::1", "fec0::1", "ff02::1", "4000::1", "::2:3", "::ffff:0:10.0.0.1"),
    *("2a00::5efe:10.0.0.1", "2a00::200:5efe:10.0.0.1"),
)
OPEN = ("1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "193.0.0.1", "223.255.255.254")
OPEN_V6 = ("2606:4700::1111", "2a00:1450:4001::1", "2400:cb00::1", "2001:4860:4860::8888")


@pytest.mark.parametrize("address", CLOSED)
def test_address_is_closed_unless_it_is_named(address: str) -> None:
    assert closed_reason(ipaddress.ip_address(address))
    assert not is_open(PUBLIC, "example.com", address)
    host = str(ipaddress.ip_address(address))
    assert not is_open(PUBLIC, host, address)
    assert not is_open(named("example.com"), "example.com", address)
    assert is_open(named(show(host)), host, address)


@pytest.mark.parametrize("address", [*OPEN, *OPEN_V6])
def test_public_address_is_open_when_public_ones_or_its_name_are(address: str) -> None:
    assert is_open(PUBLIC, "example.com", address)
    assert is_open(named("example.com"), "example.com", address)
    assert not is_open(NOTHING, "example.com", address)
    assert not is_open(named("example.org"), "example.com", address)


@given(st.ip_addresses())
def test_closed_address_is_never_open_to_public(address: Address) -> None:
    # A second opinion: what Python takes for local is never open.
    if not address.is_global or address.is_multicast or address.is_reserved:
        assert not is_open(PUBLIC, "example.com", str(address))
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if mapped is not None:
        assert not is_open(PUBLIC, "example.com", str(address))


@given(st.ip_addresses(v=4))
def test_form_of_ipv6_that_stands_for_another_address_is_closed(address: Address) -> None:
    number = int(address)
    for prefix, shift in (("::", 0), ("::ffff:0:0", 0), ("64:ff9b::", 0), ("2002::", 80)):
        hidden = ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number << shift)
        assert not is_open(PUBLIC, "example.com", str(hidden))


def test_zone_opens_nothing() -> None:
    assert not is_open(PUBLIC, "example.com", "fe80::1%eth0")
    assert not is_open(named("*", "fe80::1"), "example.com", "::1%1")


def test_address_of_this_machine_is_closed_unless_it_is_named() -> None:
    address = ipaddress.ip_address("1.1.1.1")
    problem = PUBLIC.problem_of_address("a.example", 80, address, own=True)
    assert "a.example is 1.1.1.1, which is an address of this machine" in problem
    assert not named("*", "1.1.1.1").problem_of_address("a.example", 80, address, own=True)


def test_port_is_part_of_a_place() -> None:
    network = named("example.com:8080", "[::1]:9000")
    assert is_open(network, "example.com", "1.1.1.1", 8080)
    assert not is_open(network, "example.com", "1.1.1.1", 80)
    assert is_open(network, "::1", "::1", 9000)
    assert not is_open(network, "::1", "::1", 9001)
    assert not is_open(network, "::2", "::2", 9000)


def test_name_that_stands_for_a_private_address_needs_that_named_too() -> None:
    assert not is_open(named("db.corp"), "db.corp", "10.1.2.3", 5000)
    assert is_open(named("db.corp", "10.1.2.3"), "db.corp", "10.1.2.3", 5000)
    assert not is_open(named("db.corp", "10.1.2.3:80"), "db.corp", "10.1.2.3", 5000)
    assert not is_open(named("db.corp", "10.1.2.3"), "other.corp", "10.1.2.3", 5000)
    assert is_open(named("*", "10.1.2.3"), "other.corp", "10.1.2.3", 5000)


def test_localhost_stands_for_loopback_addresses_and_for_no_others() -> None:
    network = named("localhost:8888")
    assert is_open(network, "localhost", "127.0.0.1", 8888)
    assert is_open(network, "localhost", "::1", 8888)
    assert not is_open(network, "localhost", "10.0.0.1", 8888)
    assert not is_open(network, "localhost", "127.0.0.1", 80)
    assert not is_open(network, "127.0.0.1", "127.0.0.1", 8888)
    assert not is_open(named("evil.example"), "evil.example", "127.0.0.1")


@pytest.mark.parametrize(
    ("network", "host", "address", "told"),
    [
        (NOTHING, "example.com", "1.1.1.1", "no network; --allow-net=example.com:80 opens"),
        (named("a.example"), "b.example", "1.1.1.1", "--allow-net=a.example; add b.example:80"),
        (PUBLIC, "127.0.0.1", "127.0.0.1", "127.0.0.1 is a loopback address"),
        (PUBLIC, "evil.example", "10.0.0.1", "add 10.0.0.1:80 to --allow-net=*"),
        (PUBLIC, "::1", "::1", "add [::1]:80 to --allow-net=*"),
        (PUBLIC, "169.254.169.254", "169.254.169.254", "metadata of clouds"),
    ],
)
def test_reason_names_the_place_and_the_option(
    network: Network, host: str, address: str, told: str
) -> None:
    assert told in network.problem_of_address(host, 80, ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("example.com", "example.com"),
        ("EXAMPLE.Com.", "example.com"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("a_b-c.example", "a_b-c.example"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("[::1]", "::1"),
        ("[0:0::0:1]", "::1"),
        ("[::ffff:127.0.0.1]", "::ffff:7f00:1"),
        ("1.2.3.4.example", "1.2.3.4.example"),
    ],
)
def test_host_has_one_form(text: str, host: str) -> None:
    assert ipaddress.ip_address(host) == read_address(read_host(text)) if ":" in host else True
    assert read_host(text) in (host, str(read_address(host)))


NO_HOSTS = (
    *("", ".", "..", "a..b", ".a", "-a.b", "a-.b", "a b", "a\tb", "a\nb", "a\x00b", "a%2eb", "a/b"),
    *("a@b", "a:b", "a?b", "a#b", "a\\b", "[::1", "::1]", "[]", "[::1%eth0]", "[1.2.3.4]", "[x]"),
    *("127.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.0.0.01", "1.2.3"),
    *("1.2.3.4.5", "256.0.0.1", "127.0.0.0x1", "0x", "1.2.3.4..", "127.0.0.1.0x", "a.1", "a.0x1"),
    *(
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "\u2460.example",
        "\uff45xample.com",
        "exa\u200bmple.com",
        "münchen.de",
    ),
    *("a" * 64 + ".example", ".".join(["a" * 60] * 5)),
)


@pytest.mark.parametrize("text", NO_HOSTS)
def test_what_could_be_read_in_two_ways_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_host(text)


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-fxA-F.:\[\]%]{1,30}", fullmatch=True))
def test_host_is_a_plain_name_or_an_address_or_refused(text: str) -> None:
    try:
        host = read_host(text)
    except ValueError:
        return
    assert host.isascii()
    assert host == host.lower()
    if read_address(host) is None:
        last = host.rpartition(".")[2]
        assert not last.isdecimal()
        assert not last.startswith("0x") or not set(last[2:]) <= set("0123456789abcdef")
        assert set(host) <= set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert read_host(show(host)) == host


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("*", None),
        (" * ", None),
        ("example.com", Place(host="example.com")),
        ("Example.com:8080", Place(host="example.com", port=8080)),
        ("[::1]:8888", Place(host="::1", port=8888)),
        ("::1", Place(host="::1")),
        ("10.1.2.3:80", Place(host="10.1.2.3", port=80)),
        ("münchen.example", Place(host="xn--mnchen-3ya.example")),
    ],
)
def test_grant_is_read(text: str, place: Place | None) -> None:
    assert read_grant(text) == place


NO_GRANTS = (
    *("", ":80", "a:", "a:0", "a:65536", "a:x", "a:80:80", "http://a", "a/b", "*.a", "u@a", "a b"),
    *("[::1]x", "[::1]:", "127.1", "**", "*:80", "-"),
)


@pytest.mark.parametrize("text", NO_GRANTS)
def test_malformed_grant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_grant(text)
