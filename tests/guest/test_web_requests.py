"""XMLHttpRequest as `pyodide.http` uses it, on plain CPython."""

from __future__ import annotations

import pytest
from guest.fake_host import FakeHost
from guest.scripted_network import ScriptedNetwork

from pyodide_kernel.guest.fetches import Fetches
from pyodide_kernel.guest.web_requests import MAX_REDIRECTS, SyncRequest

SECRET = ("Authorization", "secret")


@pytest.fixture
def network(host: FakeHost) -> ScriptedNetwork:
    host.network = scripted = ScriptedNetwork()
    return scripted


def send(host: FakeHost, method: str = "GET", body: str | None = None) -> SyncRequest:
    request = SyncRequest(Fetches(host))
    request.open(method, "https://a.example/one", False)
    request.setRequestHeader(*SECRET)
    request.send(body)
    return request


def test_answer_has_text_headers_and_status(host: FakeHost, network: ScriptedNetwork) -> None:
    network.answer(b"h\xc3", b"\xa9", code=404, headers=(("X-A", "b"),))
    request = send(host)
    assert (request.status, request.responseText, request.response) == (404, "hé", "hé")
    assert request.getResponseHeader("x-A") == "b"
    assert request.getAllResponseHeaders() == "x-a: b\r\n"
    request.responseType = "arraybuffer"
    assert request.response == "hé".encode()


@pytest.mark.parametrize(
    ("target", "url", "kept"),
    [
        ("two", "https://a.example/two", True),
        ("//b.example/", "https://b.example/", False),
        ("http://a.example/", "http://a.example/", False),
        ("https://a.example:444/", "https://a.example:444/", False),
    ],
)
def test_credentials_go_to_their_own_origin_only(
    host: FakeHost, network: ScriptedNetwork, target: str, url: str, kept: bool
) -> None:
    network.answer(code=302, headers=(("Location", target),))
    network.answer(b"there")
    request = send(host)
    assert (request.responseText, request.responseURL) == ("there", url)
    first, second = (asked.content for asked in network.requests)
    assert [*SECRET] in first["headers"]
    assert ([*SECRET] in second["headers"]) is kept


@pytest.mark.parametrize(
    ("code", "method", "then"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (302, "PUT", "PUT"),
        (303, "PUT", "GET"),
        (303, "HEAD", "HEAD"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
def test_redirect_keeps_the_method_or_gets(
    host: FakeHost, network: ScriptedNetwork, code: int, method: str, then: str
) -> None:
    network.answer(code=code, headers=(("Location", "/two"),))
    network.answer()
    send(host, method, "body")
    assert network.requests[1].content["method"] == then
    assert [bytes(part) for part in network.requests[1].buffers] == (
        [] if then == "GET" else [b"body"]
    )


def test_redirects_have_an_end(host: FakeHost, network: ScriptedNetwork) -> None:
    for _ in range(MAX_REDIRECTS + 1):
        network.answer(code=307, headers=(("Location", "/one"),))
    with pytest.raises(OSError, match="redirects too often"):
        send(host)


def test_refusal_names_the_option(host: FakeHost, network: ScriptedNetwork) -> None:
    network.refuse("denied", "--allow-net=a.example opens it")
    with pytest.raises(PermissionError, match="--allow-net=a"):
        send(host)
