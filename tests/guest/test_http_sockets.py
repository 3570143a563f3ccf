"""`http.client` and `urllib.request` with sockets that are none, on plain CPython."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from guest.fake_host import FakeHost
from guest.scripted_network import ScriptedNetwork

from pyodide_kernel.guest.fetches import Fetches
from pyodide_kernel.guest.http_sockets import patch_http_client, take_body, take_head
from pyodide_kernel.guest.patches import Patches


@pytest.fixture
def network(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedNetwork]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # The one that urlopen has kept may hold connections of before.
    monkeypatch.setattr(urllib.request, "_opener", None)
    host.network = scripted = ScriptedNetwork()
    patches = Patches()
    patch_http_client(http.client, Fetches(host), patches.set)
    yield scripted
    patches.undo()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_urllib_fetches(network: ScriptedNetwork, scheme: str) -> None:
    network.answer(b"one", b"two", headers=(("X-A", "b"),))
    with urllib.request.urlopen(f"{scheme}://a.example/path?q=1") as answer:
        assert answer.read() == b"onetwo"
        assert answer.headers["x-a"] == "b"
    content = network.requests[0].content
    port = 443 if scheme == "https" else 80
    assert (content["method"], content["url"]) == (
        "GET",
        f"{scheme}://a.example:{port}/path?q=1",
    )
    assert ["Host", "a.example"] in content["headers"]


def test_path_may_look_like_a_url(network: ScriptedNetwork) -> None:
    network.answer()
    connection = http.client.HTTPConnection("a.example", 8080)
    connection.request("GET", "/to/http://b.example/")
    connection.getresponse().read()
    assert network.requests[0].content["url"] == "http://a.example:8080/to/http://b.example/"


def test_connection_is_used_for_one_request_after_the_other(network: ScriptedNetwork) -> None:
    connection = http.client.HTTPConnection("a.example")
    for path in ("/1", "/2"):
        network.answer(path.encode())
        connection.request("POST", path, body=b"x")
        assert connection.getresponse().read() == path.encode()
    assert [bytes(asked.buffers[0]) for asked in network.requests] == [b"x", b"x"]


@pytest.mark.parametrize(
    "body",
    [b"", b"0\r\n\r\n", b"a" * 100_000, b"5\r\nhello\r\n0\r\n\r\n"],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_body_arrives_as_it_was_written(
    network: ScriptedNetwork, body: bytes, chunked: bool
) -> None:
    network.answer(b"done")
    pieces = iter([body[:7], body[7:50], body[50:]]) if chunked else body
    connection = http.client.HTTPConnection("a.example")
    connection.request("PUT", "/", body=pieces, encode_chunked=chunked)
    assert connection.getresponse().read() == b"done"
    assert b"".join(map(bytes, network.requests[0].buffers)) == body


def test_large_body_in_small_pieces_is_not_read_again_with_each(network: ScriptedNetwork) -> None:
    network.answer()
    size = 8192 * 4000
    pieces = (b"x" * 8192 for _ in range(4000))
    connection = http.client.HTTPConnection("a.example")
    began = time.process_time()
    connection.request("PUT", "/", body=pieces, headers={"Content-Length": str(size)})
    # 0.1 s; copying what is there with each piece takes 20.
    assert time.process_time() - began < 5
    assert len(network.requests[0].buffers[0]) == size


def test_length_beside_a_transfer_encoding_is_not_believed(network: ScriptedNetwork) -> None:
    headers = (("Transfer-Encoding", "chunked"), ("Content-Length", "1"))
    network.answer(b"whole", headers=headers)
    assert urllib.request.urlopen("http://a.example/").read() == b"whole"


def test_answer_to_head_has_no_body(network: ScriptedNetwork) -> None:
    network.answer(headers=(("Content-Length", "5"),))
    request = urllib.request.Request("http://a.example/", method="HEAD")
    with urllib.request.urlopen(request) as answer:
        assert (answer.headers["content-length"], answer.read()) == ("5", b"")


def test_rest_of_an_answer_is_given_up_when_it_is_closed(
    host: FakeHost, network: ScriptedNetwork
) -> None:
    network.answer(*[b"x" * 1000] * 100)
    with urllib.request.urlopen("http://a.example/") as answer:
        assert answer.read(10) == b"x" * 10
    assert [message.msg_type for message in host.messages] == ["fetch_cancel"]
    assert host.messages[0].content == {"fetch": network.requests[0].id}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("denied", urllib.error.URLError),
        ("refused", urllib.error.URLError),
        ("timeout", TimeoutError),
        ("broken", ConnectionResetError),
        ("unreachable", urllib.error.URLError),
        ("malformed", urllib.error.URLError),
    ],
)
def test_failure_is_an_os_error_as_natively(
    network: ScriptedNetwork, kind: str, error: type[OSError]
) -> None:
    network.refuse(kind, "because --allow-net")
    with pytest.raises(error, match="because --allow-net") as caught:
        urllib.request.urlopen("http://a.example/")
    assert isinstance(caught.value, OSError)


def test_what_is_not_http_is_refused() -> None:
    with pytest.raises(OSError, match="only HTTP"):
        take_head(bytearray(b"HELLO\r\n\r\n"), "http://a.example")
    with pytest.raises(OSError, match="only HTTP"):
        take_head(bytearray(b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"), "http://a.example")
    for size in (b"-5", b"x", b"", b"1_0"):
        with pytest.raises(OSError, match="only HTTP"):
            take_body(bytearray(size + b"\r\nhello\r\n0\r\n\r\n"), None)


def test_body_is_complete_with_its_last_byte_only() -> None:
    written = b"5\r\nhello\r\n5\r\n0\r\n\r\n\r\n0\r\n\r\n"
    for end in range(len(written)):
        assert take_body(bytearray(written[:end]), None) is None, end
    assert take_body(bytearray(written), None) == b"hello0\r\n\r\n"
    assert take_body(bytearray(b"abc"), 4) is None
    assert take_body(bytearray(b"abcd"), 4) == b"abcd"
