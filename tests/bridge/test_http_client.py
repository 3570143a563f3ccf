"""Requests that go to real servers, all of them on loopback addresses."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import queue
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from bridge.fetching import PATIENCE_S, Names, failure, fetch, network, request
from web_server import CSV, WebServer, web_server

from pyodide_kernel.bridge import http_client
from pyodide_kernel.bridge.names import Lookups, own_addresses

pytestmark = pytest.mark.usefixtures("plain_environment")


def test_request_arrives_as_it_was_wanted(server: WebServer) -> None:
    wanted = request(
        f"{server.url}/a%20b?c=d", method="PUT", headers=[["X-Mine", "1"]], body=b"body"
    )
    code, headers, body = fetch(wanted, network(server.place))
    told = json.loads(body)
    assert code == 200
    assert ("Content-Type", "application/json") in headers
    assert (told["method"], told["path"], told["body"]) == ("PUT", "/a%20b?c=d", "body")
    assert told["headers"] == {
        "Host": server.place,
        "X-Mine": "1",
        "User-Agent": "pyodide-kernel",
        "Content-Length": "4",
        "Connection": "close",
    }


def test_no_cookie_and_no_password_of_the_host_is_sent(
    server: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    for _ in range(2):
        _, _, body = fetch(request(server.url), network(server.place))
        assert not {"cookie", "authorization"} & {
            name.lower() for name in json.loads(body)["headers"]
        }


def test_ipv6_works_where_the_system_has_it() -> None:
    try:
        running = web_server("::1")
        server = running.__enter__()
    except OSError:
        pytest.skip("no IPv6 loopback address here")
    with contextlib.ExitStack() as stack:
        stack.push(running)
        code, _, _ = fetch(request(f"{server.url}/csv"), network(server.place))
        assert code == 200
        assert failure(request(f"{server.url}/csv"), network("*")).kind == "denied"


def test_name_is_looked_up_once_and_its_address_connected_to(server: WebServer) -> None:
    names = Names(a_example=[["127.0.0.1"], ["10.0.0.1"]])
    granted = network("a.example", "127.0.0.1")
    wanted = request(f"http://a.example:{server.port}/csv")
    assert fetch(wanted, granted, names)[2] == CSV
    assert names.asked == ["a.example"]


@pytest.mark.parametrize("granted", [("*",), ("a.example",), ("a.example", "127.0.0.2")])
def test_name_that_is_pointed_to_loopback_is_denied(
    server: WebServer, granted: tuple[str, ...]
) -> None:
    before = len(server.requests)
    names = Names(a_example=[["127.0.0.1"]])
    error = failure(request(f"http://a.example:{server.port}/"), network(*granted), names)
    assert error.kind == "denied"
    assert "a.example is 127.0.0.1, which is a loopback address" in error.message
    assert len(server.requests) == before


def test_of_several_addresses_only_open_ones_are_tried(server: WebServer) -> None:
    names = Names(a_example=[["127.0.0.1", "10.0.0.1", "127.0.0.2"]])
    granted = network("a.example", "127.0.0.2")
    with web_server("127.0.0.2") as other:
        wanted = request(f"http://a.example:{other.port}/csv")
        assert fetch(wanted, granted, names)[2] == CSV
        assert other.requests == [("GET", "/csv")]


def test_some_addresses_of_many_are_tried(server: WebServer) -> None:
    many = [f"127.0.1.{number}" for number in range(1, http_client.MAX_ADDRESSES + 1)]
    granted = network("a.example", "127.0.0.1", *many)
    url = f"http://a.example:{server.port}/csv"
    names = Names(a_example=[[*many[1:], "127.0.0.1"]])
    assert fetch(request(url), granted, names)[2] == CSV
    names = Names(a_example=[[*many, "127.0.0.1"]])
    assert failure(request(url), granted, names).kind == "refused"


def test_next_address_is_tried_if_one_refuses(server: WebServer) -> None:
    names = Names(a_example=[["127.0.0.3", "127.0.0.1"]])
    granted = network("a.example", "127.0.0.1", "127.0.0.3")
    wanted = request(f"http://a.example:{server.port}/csv")
    assert fetch(wanted, granted, names)[2] == CSV


def test_unknown_name_says_so() -> None:
    error = failure(request("http://a.example/"), network("*"), Names())
    assert error.kind == "unreachable"
    assert error.message == "a.example can't be resolved: unknown name"


def test_public_address_of_this_machine_is_closed_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = frozenset([ipaddress.ip_address("1.1.1.1")])
    monkeypatch.setattr(http_client, "own_addresses", lambda: own)
    names = Names(a_example=[["1.1.1.1"]])
    error = failure(request("http://a.example/"), network("*"), names)
    assert error.kind == "denied"
    assert "a.example is 1.1.1.1, which is an address of this machine" in error.message


def test_machine_knows_its_own_addresses() -> None:
    assert ipaddress.ip_address("127.0.0.1") in own_addresses()


def test_look_ups_that_hang_are_bounded_however_many_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer, asked = threading.Event(), queue.Queue[str]()

    def getaddrinfo(name: str, *_args: Any, **_options: Any) -> list[Any]:
        asked.put(name)
        assert answer.wait(PATIENCE_S)
        return [(0, 0, 0, "", ("1.1.1.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)

    async def work() -> None:
        lookups = Lookups(3)
        tasks = [asyncio.ensure_future(lookups(f"h{number}.example")) for number in range(50)]
        for _ in range(3):
            await asyncio.to_thread(asked.get, timeout=PATIENCE_S)
        for task in tasks[:40]:
            task.cancel()
        await asyncio.wait(tasks[:40])
        assert asked.empty()
        answer.set()
        found = await asyncio.gather(*tasks[40:])
        assert found == [[ipaddress.ip_address("1.1.1.1")]] * 10

    asyncio.run(work())
    assert asked.qsize() == 10


def test_system_resolves_localhost_to_loopback_addresses() -> None:
    found = asyncio.run(Lookups()("localhost"))
    assert found
    assert all(address.is_loopback for address in found)


def test_connection_that_is_refused_says_so() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = failure(request(f"http://127.0.0.1:{port}/"), network("127.0.0.1"))
    assert (error.kind, error.message) == (
        "refused",
        f"127.0.0.1:{port}: the connection was refused",
    )


@pytest.mark.parametrize("path", ["garbage", "close", "short"])
def test_broken_answer_says_so(server: WebServer, path: str) -> None:
    error = failure(request(f"{server.url}/{path}"), network(server.place))
    assert error.kind == "broken"
    assert error.message.startswith(server.place)


def test_flood_of_headers_is_cut(server: WebServer) -> None:
    error = failure(request(f"{server.url}/headers"), network(server.place))
    assert error.kind == "broken"


def test_flood_of_provisional_answers_is_cut(server: WebServer) -> None:
    error = failure(request(f"{server.url}/continue"), network(server.place))
    assert error.message.endswith("bytes came, and no answer among them")


def test_head_that_comes_too_slowly_is_given_up(server: WebServer) -> None:
    # Each byte comes in time, but not the last one.
    wanted = request(f"{server.url}/drip", timeout=0.3)
    assert failure(wanted, network(server.place)).kind == "timeout"


def test_body_may_take_longer_than_a_head(server: WebServer) -> None:
    wanted = request(f"{server.url}/slow", timeout=0.3)
    assert fetch(wanted, network(server.place))[2] == b"x" * 10


@pytest.mark.parametrize("path", ["hang", "stall"])
def test_server_that_is_silent_is_given_up(server: WebServer, path: str) -> None:
    wanted = request(f"{server.url}/{path}", timeout=0.2)
    assert failure(wanted, network(server.place)).kind == "timeout"


def test_body_comes_as_the_server_has_encoded_it(server: WebServer) -> None:
    _, headers, body = fetch(request(f"{server.url}/gzip"), network(server.place))
    assert ("Content-Encoding", "gzip") in headers
    assert body != CSV


def test_redirect_is_an_answer_like_others(server: WebServer) -> None:
    before = len(server.requests)
    url = f"{server.url}/redirect/http://127.0.0.1:1/"
    code, headers, _ = fetch(request(url), network(server.place))
    assert code == 302
    assert ("Location", "http://127.0.0.1:1/") in headers
    assert len(server.requests) == before + 1


def test_odd_status_and_headers_are_passed_on(server: WebServer) -> None:
    code, headers, body = fetch(request(f"{server.url}/odd"), network(server.place))
    assert (code, body) == (999, b"x")
    assert headers[:2] == [("X", "\xe9"), ("X", "2")]


def test_only_modules_of_http_import_httpcore() -> None:
    folder = Path(http_client.__file__).parents[1]
    found = {
        path.name
        for path in folder.rglob("*.py")
        if "_runtime" not in path.parts and "import httpcore" in path.read_text("utf-8")
    }
    assert found == {"http_client.py", "http_head.py"}
