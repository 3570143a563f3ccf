"""Requests over TLS and through proxies, all on loopback addresses."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from bridge.fetching import Names, failure, fetch, network, request
from web_server import CSV, WebServer, make_certificate, web_server

from pyodide_kernel.bridge.certificates import make_context
from pyodide_kernel.bridge.http_client import proxy_of

pytestmark = pytest.mark.usefixtures("plain_environment")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and 127.0.0.1, signed by itself, with its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def https(certificate: Path) -> Iterator[WebServer]:
    with web_server(certificate=certificate) as running:
        yield running


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificate_is_checked_against_the_users_bundle(
    https: WebServer, certificate: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    granted = network("localhost", "127.0.0.1")
    url = f"https://localhost:{https.port}/csv"
    error = failure(request(url), granted)
    assert "certificate verify failed" in error.message
    monkeypatch.setenv(variable, str(certificate))
    assert fetch(request(url), granted)[2] == CSV
    assert fetch(request(f"https://127.0.0.1:{https.port}/csv"), granted)[2] == CSV


def test_certificate_of_another_name_is_refused(
    https: WebServer, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    names = Names(a_example=[["127.0.0.1"]])
    error = failure(
        request(f"https://a.example:{https.port}/"), network("a.example", "127.0.0.1"), names
    )
    assert "certificate verify failed" in error.message


def test_bundle_that_is_none_does_not_turn_the_check_off(tmp_path: Path) -> None:
    context = make_context({"SSL_CERT_FILE": str(tmp_path / "missing")})
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# ---- proxies -------------------------------------------------------------------------------------


class Proxy:
    """Connects whatever it is asked for to one server."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.heads: list[list[str]] = []
        self.status = "200 OK"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                self._serve(client)

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(1)
        self.heads.append(head.decode().split("\r\n"))
        client.sendall(f"HTTP/1.1 {self.status}\r\nX: y\r\n\r\n".encode())
        if not self.status.startswith("2"):
            return
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            there = threading.Thread(target=_copy, args=(client, server))
            there.start()
            _copy(server, client)
            there.join()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(server: WebServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy(server.port)
    monkeypatch.setenv("http_proxy", f"http://user:p%40ss@127.0.0.1:{made.port}")
    yield made
    made.close()


def test_proxy_is_asked_for_the_address_that_was_checked(proxy: Proxy) -> None:
    names = Names(a_example=[["1.1.1.1"]])
    assert fetch(request("http://a.example/csv"), network("*"), names)[2] == CSV
    lines = proxy.heads[0]
    assert lines[0] == "CONNECT 1.1.1.1:80 HTTP/1.1"
    credentials = base64.b64encode(b"user:p@ss").decode()
    assert f"Proxy-Authorization: Basic {credentials}" in lines


def test_proxy_is_asked_for_the_name_that_the_user_has_named(proxy: Proxy) -> None:
    granted = network("a.example")
    for names in (Names(a_example=[["1.1.1.1"]]), Names()):
        assert fetch(request("http://a.example/csv"), granted, names)[2] == CSV
    assert [lines[0] for lines in proxy.heads] == ["CONNECT a.example:80 HTTP/1.1"] * 2


@pytest.mark.parametrize("addresses", [[], ["10.0.0.1"], ["127.0.0.1"]])
def test_proxy_opens_nothing_that_is_closed(proxy: Proxy, addresses: list[str]) -> None:
    names = Names(a_example=[addresses] if addresses else [])
    error = failure(request("http://a.example/csv"), network("*"), names)
    assert error.kind == ("denied" if addresses else "unreachable")
    assert proxy.heads == []


def test_loopback_address_that_is_named_needs_no_proxy(proxy: Proxy, server: WebServer) -> None:
    assert fetch(request(f"{server.url}/csv"), network(server.place))[2] == CSV
    assert proxy.heads == []


def test_no_proxy_is_kept(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "a.example,b.example:8080")
    assert proxy_of("http", "a.example", 80) is None
    assert proxy_of("http", "b.example", 8080) is None
    assert proxy_of("http", "c.example", 80) == os.environ["http_proxy"]
    assert proxy_of("https", "c.example", 443) is None


def test_proxy_that_refuses_says_so(proxy: Proxy) -> None:
    proxy.status = "403 Forbidden"
    names = Names(a_example=[["1.1.1.1"]])
    error = failure(request("http://a.example/csv"), network("*"), names)
    assert error.message == "the proxy 127.0.0.1 does not connect to 1.1.1.1:80: it answers 403"


def test_proxy_of_another_kind_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "socks5://user:secret@127.0.0.1:1")
    error = failure(request("http://a.example/"), network("*"), Names(a_example=[["1.1.1.1"]]))
    assert "socks5://" in error.message
    assert "secret" not in error.message
