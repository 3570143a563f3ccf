"""Downloads from servers that are broken, slow or hostile."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from wheels import Server, digest, running_server

from pyodide_kernel.errors import NotThereError, PackageError
from pyodide_kernel.packages.downloads import Answer, Downloads
from pyodide_kernel.packages.jobs import Interrupted
from pyodide_kernel.packages.origins import (
    check_listed,
    check_redirect,
    origin,
    redacted,
    with_credentials,
)

MakeDownloads = Callable[..., Downloads]


def fetch(downloads: Downloads, url: str, **options: object) -> bytes:
    body = io.BytesIO()
    answer = downloads.fetch(url, body, **({"limit_bytes": 1000} | options))  # type: ignore[arg-type]
    assert isinstance(answer, Answer)
    assert answer.sha256 == digest(body.getvalue())
    return body.getvalue()


def test_what_is_there_comes_with_its_digest(server: Server, downloads: Downloads) -> None:
    server.serve("/a", b"content")
    assert fetch(downloads, f"{server.url}/a", sha256=digest(b"content")) == b"content"


def test_a_wrong_digest_is_refused(server: Server, downloads: Downloads) -> None:
    server.serve("/a", b"content")
    with pytest.raises(PackageError, match=r"/a has SHA-256 .* it is not used"):
        fetch(downloads, f"{server.url}/a", sha256=digest(b"other"))


def test_a_busy_server_is_asked_again(server: Server, downloads: Downloads) -> None:
    def busy(request: BaseHTTPRequestHandler) -> None:
        server.serve("/a", b"content")
        request.send_error(503)

    server.answers["/a"] = busy
    assert fetch(downloads, f"{server.url}/a") == b"content"
    assert server.asked == ["/a", "/a"]


def test_a_server_that_stays_broken_is_given_up(server: Server, downloads: Downloads) -> None:
    server.serve("/a", b"", status=500)
    with pytest.raises(PackageError, match=r"/a can't be fetched: the server answered 500"):
        fetch(downloads, f"{server.url}/a")
    assert len(server.asked) == 3


def test_what_is_not_there_is_not_asked_for_again(server: Server, downloads: Downloads) -> None:
    with pytest.raises(NotThereError, match="the server answered 404"):
        fetch(downloads, f"{server.url}/a")
    assert len(server.asked) == 1


def test_a_cut_answer_is_asked_for_again_and_then_an_error(
    server: Server, downloads: Downloads
) -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"only this")
        request.close_connection = True

    server.answers["/a"] = cut
    with pytest.raises(PackageError, match="/a can't be fetched"):
        fetch(downloads, f"{server.url}/a")
    assert len(server.asked) == 3


def test_a_server_that_says_nothing_is_given_up(
    server: Server, make_downloads: MakeDownloads
) -> None:
    def say_nothing(_: BaseHTTPRequestHandler) -> None:
        server.stop.wait(30)

    server.answers["/a"] = say_nothing
    downloads = make_downloads(read_timeout_s=0.2, back_off_s=())
    with pytest.raises(PackageError, match=r"/a can't be fetched: .*timed out"):
        fetch(downloads, f"{server.url}/a")


def drip(server: Server) -> Callable[[BaseHTTPRequestHandler], None]:
    """An answer without end, in small pieces, each within every timeout of a read."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        request.close_connection = True
        try:
            while not server.stop.wait(0.01):
                request.wfile.write(b"x" * 300_000)
                request.wfile.flush()
        except OSError:
            pass

    return answer


def test_an_answer_without_end_is_cut_at_the_limit(server: Server, downloads: Downloads) -> None:
    server.answers["/a"] = drip(server)
    with pytest.raises(PackageError, match="/a has more than 1,000 bytes"):
        fetch(downloads, f"{server.url}/a")


def test_an_answer_that_takes_too_long_is_cut(
    server: Server, make_downloads: MakeDownloads
) -> None:
    server.answers["/a"] = drip(server)
    with pytest.raises(PackageError, match=r"/a took more than 0 s"):
        fetch(make_downloads(total_timeout_s=0), f"{server.url}/a", limit_bytes=10**12)


def test_a_file_of_five_gigabytes_is_refused_before_it_comes(
    server: Server, downloads: Downloads
) -> None:
    def huge(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "5000000000")
        request.end_headers()
        request.close_connection = True

    server.answers["/a"] = huge
    with pytest.raises(PackageError, match=r"has 5,000,000,000 bytes, over 1,000"):
        fetch(downloads, f"{server.url}/a")


def test_an_interrupt_ends_a_download(server: Server, downloads: Downloads) -> None:
    server.answers["/a"] = drip(server)
    cancelled = threading.Event()
    with pytest.raises(Interrupted):
        fetch(
            downloads,
            f"{server.url}/a",
            limit_bytes=10**12,
            cancelled=cancelled,
            progress=lambda _: cancelled.set(),
        )


def test_a_redirect_on_the_same_server_is_followed(server: Server, downloads: Downloads) -> None:
    server.redirect("/a", "/b")
    server.serve("/b", b"content")
    assert fetch(downloads, f"{server.url}/a") == b"content"


def test_a_redirect_to_another_server_is_not_followed(server: Server, downloads: Downloads) -> None:
    with running_server() as other:
        other.serve("/b", b"secret")
        server.redirect("/a", f"{other.url}/b")
        with pytest.raises(PackageError, match=r"redirects to http://127\.0\.0\.1:\d+, which is"):
            fetch(downloads, f"{server.url}/a")
        assert other.asked == []


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher:x", "//[x"])
def test_a_redirect_to_no_url_of_http_is_not_followed(
    server: Server, downloads: Downloads, target: str
) -> None:
    server.redirect("/a", target)
    with pytest.raises(PackageError):
        fetch(downloads, f"{server.url}/a")
    assert server.asked == ["/a"]


def test_a_circle_of_redirects_ends(server: Server, downloads: Downloads) -> None:
    server.redirect("/a", "/a")
    with pytest.raises(PackageError, match="redirects more than 5 times"):
        fetch(downloads, f"{server.url}/a")


def test_offline_nothing_is_asked(server: Server, make_downloads: MakeDownloads) -> None:
    with pytest.raises(PackageError, match="is not in the cache, and --offline is set"):
        fetch(make_downloads(offline=True), f"{server.url}/a")
    assert server.asked == []


def test_credentials_are_sent_and_never_shown(server: Server, downloads: Downloads) -> None:
    server.serve("/a", b"", status=403)
    url = server.url.replace("http://", "http://user:s3cret@") + "/a"
    with pytest.raises(PackageError) as caught:
        fetch(downloads, url)
    assert "s3cret" not in str(caught.value)
    assert server.headers[0][
        "authorization" if "authorization" in server.headers[0] else "Authorization"
    ].startswith("Basic ")


def test_proxies_of_the_environment_are_used(
    monkeypatch: pytest.MonkeyPatch, make_downloads: MakeDownloads
) -> None:
    with running_server() as proxy:
        proxy.serve("http://index.invalid/simple/", b"through the proxy")
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        downloads = make_downloads()
        assert fetch(downloads, "http://index.invalid/simple/") == b"through the proxy"


def test_a_bundle_of_certificates_that_is_named_is_read(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("no certificates")
    with pytest.raises(OSError, match=r"SSL|X509|PEM"):
        Downloads(certificates=bundle)._context()


# Which URLs may be asked


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x",
        "http://localhost:8000/x",
        "http://[::1]/",
        "http://10.0.0.1/x",
        "http://169.254.169.254/latest",
        "http://0.0.0.0/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://168.63.129.16/metadata",
        "http://239.1.1.1/",
    ],
)
def test_a_public_page_may_not_lead_inside(url: str) -> None:
    with pytest.raises(PackageError, match="inside this machine or its network"):
        check_listed(url, page="http://8.8.8.8/simple/a/")


def test_a_page_may_lead_to_a_server_as_far_away_as_itself() -> None:
    check_listed("http://9.9.9.9/a.whl", page="http://8.8.8.8/simple/a/")
    check_listed("http://10.0.0.2/a.whl", page="http://10.0.0.1/simple/a/")
    check_listed("http://127.0.0.1:2/a.whl", page="http://127.0.0.1:1/simple/a/")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://8.8.8.8/x", "data:,x", "http://", "x"]
)
def test_a_page_may_lead_to_urls_of_http_only(url: str) -> None:
    with pytest.raises(PackageError):
        check_listed(url, page="http://8.8.8.8/simple/a/")


def test_a_page_of_https_may_not_lead_to_http() -> None:
    with pytest.raises(PackageError, match="which is not https"):
        check_listed("http://9.9.9.9/a.whl", page="https://8.8.8.8/simple/a/")


def test_a_redirect_may_lead_to_what_is_configured() -> None:
    configured = [origin("https://9.9.9.9/simple")]
    check_redirect("https://9.9.9.9:443/x", asked="https://8.8.8.8/x", origins=configured)
    with pytest.raises(PackageError):
        check_redirect("http://9.9.9.9/x", asked="https://8.8.8.8/x", origins=configured)


def test_credentials_go_to_their_own_server_only() -> None:
    page = "https://user:pw@8.8.8.8/simple/a/"
    assert with_credentials("https://8.8.8.8/a.whl", page) == "https://user:pw@8.8.8.8/a.whl"
    assert with_credentials("https://9.9.9.9/a.whl", page) == "https://9.9.9.9/a.whl"
    assert redacted("https://user:pw@8.8.8.8/a?token=1#x") == "https://8.8.8.8/a"
