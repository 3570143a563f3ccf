"""The network as code sees it, in real kernels; servers are on loopback addresses only."""

from __future__ import annotations

from pathlib import Path

import pytest
from network_programs import LIBRARIES, PYTHON, program, told
from real_kernel import Cell, RealKernel, real_kernel
from web_server import CSV, WebServer, make_certificate, web_server

pytestmark = pytest.mark.deno


@pytest.mark.parametrize("name", PYTHON)
def test_python_fetches(online: RealKernel, server: WebServer, name: str) -> None:
    answer = told(online.run(program(PYTHON[name], server, "/echo?a=b")))
    assert (answer["method"], answer["path"]) == ("GET", "/echo?a=b")
    assert answer["headers"]["Host"] == server.place


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_fetch(with_libraries: RealKernel, server: WebServer, name: str) -> None:
    answer = told(with_libraries.run(program(LIBRARIES[name], server, "/echo?a=b")))
    assert (answer["method"], answer["path"]) == ("GET", "/echo?a=b")


@pytest.mark.parametrize("name", sorted({*PYTHON} - {"http.client"}))
def test_python_follows_redirects(online: RealKernel, server: WebServer, name: str) -> None:
    cell = online.run(program(PYTHON[name], server, "/redirect/redirect/echo/there"))
    assert told(cell)["path"] == "/echo/there"


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_follow_redirects(
    with_libraries: RealKernel, server: WebServer, name: str
) -> None:
    cell = with_libraries.run(program(LIBRARIES[name], server, "/redirect/redirect/echo/there"))
    assert told(cell)["path"] == "/echo/there"


@pytest.mark.parametrize("path", ["/gzip", "/deflate"])
@pytest.mark.parametrize("name", ["js.fetch", "pyfetch"])
def test_fetch_decodes(online: RealKernel, server: WebServer, name: str, path: str) -> None:
    assert online.run(program(PYTHON[name], server, path)).text() == f"{CSV.decode()}\n"


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_decode(with_libraries: RealKernel, server: WebServer, name: str) -> None:
    assert with_libraries.run(program(LIBRARIES[name], server, "/gzip")).text().startswith("a,b\n")


POSTS = {
    "pyfetch": "r = await pyfetch('{url}', method='POST', body='h\\xe9', headers={{'X-A': 'b'}})\n"
    "print(await r.text())",
    "urllib.request": "r = urllib.request.Request('{url}', b'h\\xc3\\xa9', {{'X-A': 'b'}})\n"
    "print(urllib.request.urlopen(r).read().decode())",
    "urllib.request, in chunks": "r = urllib.request.Request('{url}', iter([b'h', b'\\xc3\\xa9']), "
    "{{'X-A': 'b'}})\nprint(urllib.request.urlopen(r).read().decode())",
}
LIBRARY_POSTS = {
    "requests": "import requests\n"
    "print(requests.post('{url}', data='h\\xe9'.encode(), headers={{'X-A': 'b'}}).text)",
    "httpx": "import httpx\n"
    "print(httpx.post('{url}', content='h\\xe9'.encode(), headers={{'X-A': 'b'}}).text)",
}


def check_post(cell: Cell) -> None:
    answer = told(cell)
    assert (answer["method"], answer["body"].encode("latin-1")) == ("POST", "h\xe9".encode())
    assert {name.lower(): value for name, value in answer["headers"].items()}["x-a"] == "b"


@pytest.mark.parametrize("name", POSTS)
def test_python_posts(online: RealKernel, server: WebServer, name: str) -> None:
    check_post(online.run(program(POSTS[name], server, "/echo")))


@pytest.mark.parametrize("name", LIBRARY_POSTS)
def test_libraries_post(with_libraries: RealKernel, server: WebServer, name: str) -> None:
    check_post(with_libraries.run(program(LIBRARY_POSTS[name], server, "/echo")))


def test_errors_of_servers_are_errors_of_urllib(online: RealKernel, server: WebServer) -> None:
    cell = online.run(f"urllib.request.urlopen('{server.url}/status/404')")
    assert (cell.ename, cell.evalue) == ("HTTPError", "HTTP Error 404: Not Found")
    cell = online.run(f"(await pyfetch('{server.url}/status/503')).status")
    assert cell.result == "503"
    assert online.run(f"(await pyfetch('{server.url}/status/204')).status").result == "204"


def test_https_is_checked_against_the_certificates_of_the_host(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    programs = [PYTHON[name] for name in ("pyfetch", "js.fetch", "urllib.request", "open_url")]
    with web_server(certificate=certificate) as server:
        options = (f"--allow-net={server.place},localhost:{server.port}", "--no-cwd")
        prelude = "from pyodide.http import pyfetch, open_url\nimport js, urllib.request"
        with real_kernel(tmp_path, *options) as kernel:
            kernel.run(prelude)
            for text in programs:
                cell = kernel.run(program(text, server, "/echo"))
                assert "certificate verify failed" in cell.evalue, text
        trusted = {"SSL_CERT_FILE": str(certificate)}
        with real_kernel(tmp_path, *options, env=trusted) as kernel:
            kernel.run(prelude)
            for text in programs:
                assert told(kernel.run(program(text, server, "/echo")))["path"] == "/echo", text


# ---- denials -------------------------------------------------------------------------------------


def check_denied(cell: Cell, *words: str) -> None:
    assert cell.status == "error"
    shown = cell.evalue + "".join(cell.reply["traceback"])
    for word in ("--allow-net", *words):
        assert word in shown


@pytest.mark.parametrize("name", PYTHON)
def test_nothing_is_reached_by_default(offline: RealKernel, server: WebServer, name: str) -> None:
    before = len(server.requests)
    cell = offline.run(program(PYTHON[name], server, "/echo"))
    check_denied(cell, "this kernel has no network", server.place)
    assert len(server.requests) == before
    assert offline.run("40 + 2").result == "42"


@pytest.mark.parametrize("name", PYTHON)
def test_denial_is_an_os_error_in_python(offline: RealKernel, server: WebServer, name: str) -> None:
    code = program(PYTHON[name], server, "/echo").replace("\n", "\n    ")
    expected = "Exception" if name == "js.fetch" else "OSError"
    cell = offline.run(f"try:\n    {code}\nexcept {expected} as error: print('caught', error)")
    assert cell.text().startswith("caught")


@pytest.mark.parametrize("name", LIBRARIES)
def test_denial_is_an_error_of_the_library(
    with_libraries: RealKernel, other: WebServer, name: str
) -> None:
    check_denied(with_libraries.run(program(LIBRARIES[name], other, "/echo")), other.place)
    code = program(LIBRARIES[name], other, "/echo").replace("\n", "\n    ")
    if name != "urllib3":  # its own errors are no OSErrors anywhere
        cell = with_libraries.run(f"try:\n    {code}\nexcept OSError: print('caught')")
        assert cell.text() == "caught\n"
    assert other.requests == []


def test_denial_is_a_type_error_in_javascript(offline: RealKernel, server: WebServer) -> None:
    code = f"""
from pyodide.code import run_js
await run_js("fetch('{server.url}').catch(e => `${{e instanceof TypeError}} ${{e.message}}`)")
"""
    result = offline.run(code).result
    assert result is not None
    assert result.startswith("'true code may not connect to")


def test_redirect_to_a_closed_place_is_denied(
    online: RealKernel, server: WebServer, other: WebServer
) -> None:
    for name in ("pyfetch", "urllib.request", "open_url", "js.fetch"):
        cell = online.run(program(PYTHON[name], server, f"/redirect/{other.url}/echo"))
        check_denied(cell, other.place)
    assert other.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}@127.0.0.1:{other}/",
        "http://127.0.0.1:{other}\\@127.0.0.1:{port}/",
        "http://127.1:{other}/",
        "http://2130706433:{other}/",
        "http://0x7f.0.0.1:{other}/",
        "http://0177.0.0.1:{other}/",
        "http://[::ffff:127.0.0.1]:{other}/",
        "http://127.0.0.1.:{other}/",
        "http://localhost:{other}/",
        "http://LOCALHOST.:{other}/",
        "http://127。0。0。1:{other}/",
        "http://0:{other}/",
        "http://127.0.0.2:{port}/",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/",
    ],
)
def test_no_spelling_of_a_url_leads_elsewhere(
    online: RealKernel, server: WebServer, other: WebServer, url: str
) -> None:
    url = url.format(port=server.port, other=other.port)
    for code in (
        f"urllib.request.urlopen({url!r}).read()",
        f"(await pyfetch({url!r})).status",
        f"(await js.fetch({url!r})).status",
    ):
        cell = online.run(code)
        assert cell.status == "error", (code, cell.result)
    assert other.requests == []


def test_raw_sockets_say_what_to_use(online: RealKernel, server: WebServer) -> None:
    connect = "import socket\ns = socket.socket()\n"
    for code in (
        f"{connect}s.connect(('127.0.0.1', {server.port}))",
        f"{connect}s.connect_ex(('127.0.0.1', {server.port}))",
        f"{connect}socket.create_connection(('127.0.0.1', {server.port}))",
        f"{connect}socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.1', 53))",
        f"await asyncio.open_connection('127.0.0.1', {server.port})",
    ):
        cell = online.run(code)
        assert cell.ename == "OSError", code
        assert "urllib.request" in cell.evalue
        assert "--allow-net" in cell.evalue


def test_deno_itself_has_no_network_with_an_allowed_one(
    online: RealKernel, server: WebServer
) -> None:
    before = len(server.requests)
    code = f"""
from pyodide.code import run_js
out = []
for text in (
    "Deno.connect({{hostname: '127.0.0.1', port: {server.port}}})",
    "Deno.resolveDns('localhost', 'A')",
    "import('{server.url}/module.js')",
    "new Promise((yes, no) => {{ const w = new WebSocket('ws://127.0.0.1:{server.port}'); "
        "w.onopen = yes; w.onerror = no }})",
):
    try: out.append(await run_js(text))
    except Exception as error: out.append(None)
out
"""
    assert online.run(code).result == "[None, None, None, None]"
    assert len(server.requests) == before


def test_all_public_addresses_do_not_include_ours(server: WebServer, tmp_path: Path) -> None:
    with real_kernel(tmp_path, "--allow-net", "--no-cwd") as kernel:
        for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"):
            url = f"http://{host}:{server.port}/"
            cell = kernel.run(f"from pyodide.http import pyfetch\nawait pyfetch({url!r})")
            check_denied(cell, "and those are closed unless they are named")
    assert ("GET", "/") not in server.requests
