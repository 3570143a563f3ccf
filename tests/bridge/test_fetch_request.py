"""Requests of the worker: hostile input, read part by part."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyodide_kernel.bridge.fetch_request import (
    MAX_BODY_BYTES,
    FetchError,
    FetchRequest,
    read_request,
)
from pyodide_kernel.bridge.messages import Message


def read(
    url: str = "http://example.com/",
    *,
    method: str = "GET",
    headers: Any = (),
    body: bytes = b"",
    **more: Any,
) -> FetchRequest:
    content = {"method": method, "url": url, "headers": list(headers), **more}
    buffers = (body,) if body else ()
    return read_request(Message(msg_type="fetch_request", content=content, buffers=buffers))


@pytest.mark.parametrize(
    ("url", "place", "target", "host_header"),
    [
        ("http://example.com", "example.com:80", "/", "example.com"),
        ("https://example.com", "example.com:443", "/", "example.com"),
        ("HTTPS://Example.COM./A?b=C#d", "example.com:443", "/A?b=C", "example.com"),
        ("http://example.com:8080?x", "example.com:8080", "/?x", "example.com:8080"),
        ("https://[::1]:8443/x", "[::1]:8443", "/x", "[::1]:8443"),
        ("http://127.0.0.1:/", "127.0.0.1:80", "/", "127.0.0.1"),
        ("http://a.example/?q=http://b@c/", "a.example:80", "/?q=http://b@c/", "a.example"),
        ("http://a.example//b.example/", "a.example:80", "//b.example/", "a.example"),
    ],
)
def test_url_is_taken_apart(url: str, place: str, target: str, host_header: str) -> None:
    request = read(url)
    assert (request.place, request.target, request.host_header) == (place, target, host_header)


NO_URLS = (
    *("", "http:", "http://", "http:///x", "//example.com", "/x", "example.com", "ftp://a.example"),
    *("file:///etc/passwd", "gopher://a.example", "data:,x", "javascript:1", "ws://a.example"),
    *("unix:///x", "http+unix://x", "httpx://a.example", " http://a.example", "http://a.example "),
    *("http://a.example/\r\nX: y", "http://a.example/ x", "http://a.example/\x00", "http://a\n.b/"),
    *("http://a.example\\@b.example", "http://a.example\\b.example", "http:\\\\a.example"),
    *("http:/a.example", "http:a.example", "http://a.example:99999", "http://a.example:0"),
    *("http://a.example:80:80", "http://a.example:x", "http://[::1", "http://::1/", "http://[x]/"),
    *("http://münchen.de", "http://a.example/ü", "http://127.1/", "http://0x7f000001/"),
    *("http://2130706433/", "http://0177.0.0.1/", "http://[::ffff:127.0.0.1%25lo]/"),
    *(
        "http://a.example%00.b/",
        "http://a.example;b/",
        "http://a.example,b.example/",
        "http://a|b/",
    ),
    "http://a.example/" + "x" * 20_000,
)


@pytest.mark.parametrize("url", NO_URLS)
def test_odd_url_is_refused(url: str) -> None:
    with pytest.raises(FetchError) as caught:
        read(url)
    assert caught.value.kind == "malformed"
    assert len(caught.value.message) < 600
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    "url", ["http://u:p@a.example/", "http://allowed@evil.example/", "http://@a/"]
)
def test_user_in_a_url_is_refused_and_no_password_is_told(url: str) -> None:
    with pytest.raises(FetchError, match="Authorization header") as caught:
        read(url)
    assert "p@" not in caught.value.message
    assert "allowed" not in caught.value.message


_HOST_FORMS = st.from_regex(
    r"https?://[a-z0-9.:@\[\]%\\/?#x_-]{0,30}(/[ -~]{0,10})?", fullmatch=True
)


@given(st.text(max_size=60) | _HOST_FORMS)
@example("http://a.example:80@b.example/")
@example("http://a.example#@b.example/")
@example("http://a.example?@b.example/")
def test_url_is_read_as_one_place_or_refused(url: str) -> None:
    with contextlib.suppress(FetchError):
        check_place(url)


def check_place(url: str) -> None:
    request = read(url)
    assert 0 < request.port < 2**16
    assert re.fullmatch(r"/[\x21-\x7e]*", request.target)
    again = read(f"{request.scheme}://{request.place}{request.target}")
    assert (again.scheme, again.place, again.target) == (
        request.scheme,
        request.place,
        request.target,
    )


@pytest.mark.parametrize("method", ["", "G ET", "GET\r\n", "GET /", "G\x00", "é", "X" * 33])
def test_odd_method_is_refused(method: str) -> None:
    with pytest.raises(FetchError, match="is not a method"):
        read(method=method)


@pytest.mark.parametrize("method", ["CONNECT", "trace", "Track"])
def test_methods_that_are_for_proxies_and_tests_are_refused(method: str) -> None:
    with pytest.raises(FetchError, match="is not sent"):
        read(method=method)


@pytest.mark.parametrize(
    "header",
    [
        *("x", ["x"], ["x", "y", "z"], ["x", 1], [1, "y"], None, {}, [["x"], "y"]),
        *(["", "y"], ["x:", "y"], ["x y", "y"], ["x\r\n", "y"], ["é", "y"], ["x\x00", "y"]),
        *(["x", "y\r\nz: a"], ["x", "y\n"], ["x", "\x00"], ["x", "\u4e16"], ["x", "\x7f"]),
    ],
)
def test_odd_header_is_refused(header: Any) -> None:
    with pytest.raises(FetchError) as caught:
        read(headers=[header])
    assert caught.value.kind == "malformed"


def test_headers_about_the_connection_are_the_hosts() -> None:
    theirs = [
        *(["Host", "evil.example"], ["Connection", "keep-alive"], ["Transfer-Encoding", "chunked"]),
        *(["Content-Length", "5"], ["Proxy-Authorization", "x"], ["Upgrade", "h2c"], ["TE", "x"]),
        *(["Expect", "100-continue"], ["X-Mine", " value\t"], ["user-agent", "mine"]),
    ]
    assert read(headers=theirs).headers == ((b"X-Mine", b"value"), (b"user-agent", b"mine"))


def test_length_of_the_body_is_counted_here() -> None:
    assert (b"Content-Length", b"3") in read(method="POST", body=b"abc").headers
    assert (b"Content-Length", b"0") in read(method="POST").headers
    assert not [name for name, _ in read().headers if name == b"Content-Length"]


def test_floods_are_refused() -> None:
    with pytest.raises(FetchError, match="headers"):
        read(headers=[["x", "y"]] * 257)
    with pytest.raises(FetchError, match="headers"):
        read(headers=[["x", "y" * 1000]] * 100)
    content = {"method": "GET", "url": "http://a.example", "headers": []}
    message = Message(msg_type="fetch_request", content=content, buffers=(b"", b""))
    with pytest.raises(FetchError, match="one body"):
        read_request(message)
    with pytest.raises(FetchError, match="larger than"):
        read(method="POST", body=bytes(MAX_BODY_BYTES + 1))


@pytest.mark.parametrize("timeout", [0, -1, True, "5", [], 1e10, float("inf"), float("nan")])
def test_odd_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(FetchError, match="timeout"):
        read(timeout=timeout)


def test_timeout_is_read() -> None:
    assert read(timeout=2).timeout_s == 2.0
    assert read().timeout_s == 0.0
