"""A web server on a loopback address, well-behaved and hostile."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import ssl
import subprocess
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CSV = b"a,b\n1,2\n3,4\n"
MEGABYTE = b"0123456789abcdef" * 65536


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The requests of a test that is over.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, family: socket.AddressFamily, address: str) -> None:
        self.address_family = family
        self.scheme = "http"
        self.requests: list[tuple[str, str]] = []
        self.released = threading.Event()
        self.hanging = threading.Semaphore(0)
        self.gone = threading.Semaphore(0)
        super().__init__((address, 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        self.close_connection = True
        if self.raw_requestline and self.parse_request():
            self.server.requests.append((self.command, self.path))
            name = self.path[1:].partition("?")[0].partition("/")[0] or "echo"
            getattr(self, f"answer_{name}", self.answer_echo)()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(self, body: bytes, *headers: tuple[str, str], code: int = 200) -> None:
        self.send_response(code)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {
            "method": self.command,
            "path": self.path,
            "headers": dict(self.headers),
            "body": body.decode("latin-1"),
        }
        cookie = ("Set-Cookie", "a=b; Path=/")
        self.send(json.dumps(told).encode(), ("Content-Type", "application/json"), cookie)

    def answer_csv(self) -> None:
        self.send(CSV, ("Content-Type", "text/csv"))

    def answer_status(self) -> None:
        code = int(self.path.rpartition("/")[2])
        self.send(b"" if code in (204, 304) else b"body", code=code)

    def answer_redirect(self) -> None:
        """To the rest of the path, which is a URL if it begins like one."""
        target = self.path.removeprefix("/redirect/")
        self.send(b"", ("Location", target if "://" in target else f"/{target}"), code=302)

    def answer_loop(self) -> None:
        self.send(b"", ("Location", "/loop"), code=307)

    def answer_megabytes(self) -> None:
        count = int(self.path.rpartition("/")[2])
        self.send_response(200)
        self.send_header("Content-Length", str(count * len(MEGABYTE)))
        self.end_headers()
        for _ in range(count):
            self.wfile.write(MEGABYTE)

    def answer_gzip(self) -> None:
        self.send(gzip.compress(CSV), ("Content-Encoding", "gzip"))

    def answer_deflate(self) -> None:
        self.send(zlib.compress(CSV), ("Content-Encoding", "deflate"))

    def answer_bomb(self) -> None:
        """8 GB in 8 MB."""
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        part = packer.compress(bytes(2**26)) + packer.flush(zlib.Z_SYNC_FLUSH)
        again = packer.compress(bytes(2**26)) + packer.flush(zlib.Z_SYNC_FLUSH)
        self.send_response(200)
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(part)
        for _ in range(127):
            self.wfile.write(again)

    def answer_hang(self) -> None:
        """Nothing, until the server is closed."""
        self.server.hanging.release()
        self.server.released.wait()

    def answer_watch(self) -> None:
        """Nothing, until the client goes."""
        self.server.hanging.release()
        if self.connection.recv(1) == b"":
            self.server.gone.release()

    def answer_stall(self) -> None:
        """A head and a little, and then nothing."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"some")
        self.answer_hang()

    def answer_endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(MEGABYTE)

    def answer_headers(self) -> None:
        """A head without an end."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            self.wfile.write(b"X-Flood: " + b"x" * 1000 + b"\r\n")

    def answer_continue(self) -> None:
        """Provisional answers without an end."""
        while not self.server.released.is_set():
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def answer_drip(self) -> None:
        """A head, a byte now and then."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not self.server.released.wait(0.05):
            self.wfile.write(b"x")

    def answer_slow(self) -> None:
        """A body, a byte now and then."""
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.end_headers()
        for _ in range(10):
            self.server.released.wait(0.05)
            self.wfile.write(b"x")

    def answer_short(self) -> None:
        """Less than the head says."""
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"some")

    def answer_garbage(self) -> None:
        self.wfile.write(b"\x00\xff not HTTP at all\r\n\r\n")

    def answer_close(self) -> None:
        """Not a word."""

    def answer_odd(self) -> None:
        self.wfile.write(
            b"HTTP/1.1 999 \xff\xfe odd\r\nX: \xe9\r\nX: 2\r\nContent-Length: 1\r\n\r\nx"
        )

    do_GET = do_POST = answer_echo  # BaseHTTPRequestHandler looks for them; see above


class WebServer:
    """One that runs."""

    def __init__(self, server: _Server) -> None:
        self._server = server

    @property
    def port(self) -> int:
        """Its port."""
        return self._server.server_port

    @property
    def place(self) -> str:
        """Its address and port, as users write them."""
        address = str(self._server.server_address[0])
        return f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    @property
    def url(self) -> str:
        """The beginning of its URLs."""
        return f"{self._server.scheme}://{self.place}"

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Method and path of what it was asked."""
        return self._server.requests

    def wait_until_hanging(self) -> None:
        """Block until a request has arrived that gets no answer."""
        assert self._server.hanging.acquire(timeout=30)

    def wait_until_gone(self) -> None:
        """Block until a client that waited for `/watch` has closed its connection."""
        assert self._server.gone.acquire(timeout=30)


def make_certificate(folder: Path) -> Path:
    """A certificate for localhost and 127.0.0.1, signed by itself; its key lies beside it."""
    path = folder / "certificate.pem"
    done = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(path.with_suffix(".key")), "-out", str(path)),
        ],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return path


@contextlib.contextmanager
def web_server(
    address: str = "127.0.0.1", *, certificate: Path | None = None
) -> Iterator[WebServer]:
    """Run a server, with a certificate of `make_certificate` one of https."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    server = _Server(family, address)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield WebServer(server)
    finally:
        server.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
