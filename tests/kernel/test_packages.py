"""Packages in the real thing: made-up ones from a loopback server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from real_kernel import RealKernel, cache_with_snapshot, real_kernel
from wheels import Server, digest, lock_bytes, lock_entry, running_server, wheel_bytes

from pyodide_kernel.packages.maker import make_all

pytestmark = pytest.mark.deno

NOT_COMPILING = ("--PyodideKernel.compile_packages=False",)
COMPILING = ("--PyodideKernel.compile_packages=True",)

DEMO = wheel_bytes("demo", "1", {"demo.py": "import base\nvalue = base.value + 1\n"})
BASE = wheel_bytes("base", "2", {"base.py": "value = 41\n"})


def serve_distribution(server: Server) -> str:
    """A distribution of two packages behind a URL."""
    entries = lock_entry("demo", "1", DEMO, depends=("base",)), lock_entry("base", "2", BASE)
    server.serve("/full/pyodide-lock.json", lock_bytes(*entries))
    server.serve("/full/demo-1-py3-none-any.whl", DEMO)
    server.serve("/full/base-2-py3-none-any.whl", BASE)
    return f"{server.url}/full/"


def serve_index(server: Server) -> str:
    """An index of some projects."""
    server.list_wheel("alpha", "1", wheel_bytes("alpha", "1", {"alpha.py": "v = 1"}))
    needs = wheel_bytes("needs", "3", {"needs.py": "import alpha"}, requires=("alpha>=1", "demo"))
    server.list_wheel("needs", "3", needs)
    bad = wheel_bytes("bad", "1", {"bad.py": ""})
    server.list_wheel("bad", "1", bad, sha256=digest(b"other"))
    slip = wheel_bytes("slip", "1", {"../../slip.py": ""})
    server.list_wheel("slip", "1", slip)
    server.list_wheel("traitlets", "1", wheel_bytes("traitlets", "1", {}))
    server.list("native", {"filename": "native-1-cp314-cp314-win_amd64.whl", "url": "x"})
    server.serve("/simple/html/", b"<html>log in</html>", form="application/json")
    server.list_wheel("local", "1", b"", url="file:///etc/passwd")
    return f"{server.url}/simple"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running_server() as started:
        yield started


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, snapshot: Path) -> Path:
    return cache_with_snapshot(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def empty(tmp_path: Path, snapshot: Path) -> Path:
    """A cache of its own."""
    return cache_with_snapshot(tmp_path / "cache")


@contextlib.contextmanager
def kernel_of(folder: Path, server: Server, cache: Path, *options: str) -> Iterator[RealKernel]:
    settings = [
        f"--package-url={serve_distribution(server)}",
        f"--index-url={serve_index(server)}",
        f"--cache-dir={cache}",
    ]
    with real_kernel(folder, *settings, *NOT_COMPILING, *options) as started:
        yield started


@pytest.fixture(scope="module")
def kernel(
    tmp_path_factory: pytest.TempPathFactory, server: Server, cache: Path
) -> Iterator[RealKernel]:
    with kernel_of(tmp_path_factory.mktemp("kernel"), server, cache) as started:
        yield started


def test_an_import_loads_the_package_and_what_it_needs(kernel: RealKernel) -> None:
    cell = kernel.run("import demo; demo.value")
    assert cell.result == "42"
    shown = [content["data"]["text/plain"] for content in cell.of("display_data")]
    assert shown
    assert all(line.startswith(("Loading", "Downloading")) for line in shown)
    assert len(cell.of("clear_output")) == 1
    assert kernel.run("import demo").outputs[1:] == []


def test_the_line_goes_away_and_what_was_printed_stays(
    tmp_path: Path, server: Server, empty: Path
) -> None:
    with kernel_of(tmp_path, server, empty) as fresh:
        cell = fresh.run("print('before', flush=True); __import__('de' + 'mo').value")
    assert cell.text() == "before\n"
    assert cell.of("clear_output") == []
    assert cell.of("update_display_data")[-1]["data"] == {"text/plain": ""}
    assert cell.result == "42"


def test_pip_installs_resolves_shows_and_removes(kernel: RealKernel) -> None:
    cell = kernel.run("%pip install needs\nimport needs; needs.alpha.v")
    assert "Successfully installed" in cell.text()
    assert "needs-3" in cell.text()
    assert cell.result == "1"
    assert "Requirement already satisfied: needs (3)" in kernel.run("!pip install needs").text()
    assert kernel.run("%pip install -q needs").text() == ""
    assert "Location: /lib/packages" in kernel.run("%pip show needs").text()
    assert "Successfully uninstalled needs-3" in kernel.run("%pip uninstall -y needs").text()
    assert "needs" not in kernel.run("%pip list").text()
    code = "import sys; del sys.modules['needs']\nimport needs"
    assert kernel.run(code).ename == "ModuleNotFoundError"


def test_the_other_ways_to_install(kernel: RealKernel) -> None:
    assert kernel.run("import piplite\nawait piplite.install('alpha')").status == "ok"
    assert kernel.run("import micropip\nawait micropip.install(['alpha'])").status == "ok"
    assert "alpha" in (kernel.run("micropip.list()").result or "")
    code = "import pyodide_js\nawait pyodide_js.loadPackage(['demo'])\nimport demo\ndemo.value"
    assert kernel.run(code).result == "42"


@pytest.mark.parametrize(
    ("project", "reason"),
    [
        ("bad", "it is not used"),
        ("slip", "slip 1 is not usable"),
        ("native", "native has no wheel that runs in WebAssembly: the index has 1 wheels for"),
        ("html", "is not a page of a package index"),
        ("local", "is not an http or https URL, so it is not fetched"),
        ("nowhere", "no package index has a project 'nowhere'"),
        ("alpha==7", "versions with a wheel for WebAssembly: 1"),
        ("--index-url http://127.0.0.1:1/simple other", "is not among the configured"),
        ("https://8.8.8.8/x-1-py3-none-any.whl", "packages come from the configured indexes"),
        ("traitlets==1", "is part of the kernel"),
        ("needs[nothing]", "Unknown extra 'nothing'"),
    ],
)
def test_what_can_not_be_installed_is_one_clear_line(
    kernel: RealKernel, cache: Path, project: str, reason: str
) -> None:
    before = {path.name for path in (cache / "packages" / "images").iterdir()}
    cell = kernel.run(f"%pip install {project}")
    assert cell.ename == "PipError"
    assert reason in cell.evalue
    assert "\n" not in cell.evalue
    assert {path.name for path in (cache / "packages" / "images").iterdir()} <= before | {
        digest(wheel_bytes("alpha", "1", {"alpha.py": "v = 1"}))
    }
    assert kernel.run("1 + 1").result == "2"


def test_a_second_kernel_needs_no_network(
    tmp_path: Path, server: Server, cache: Path, kernel: RealKernel
) -> None:
    kernel.run("%pip install -q needs\nimport demo")
    asked = len(server.asked)
    with kernel_of(tmp_path, server, cache, "--offline") as second:
        assert second.run("%pip install -q needs\nimport needs, demo; demo.value").result == "42"
        cell = second.run("%pip install nothing")
        assert "--offline is set" in cell.evalue
    assert len(server.asked) == asked


def test_two_kernels_at_once_share_an_empty_cache(
    tmp_path: Path, server: Server, empty: Path
) -> None:
    with contextlib.ExitStack() as stack:
        kernels = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            started = kernel_of(tmp_path / name, server, empty)
            kernels.append(stack.enter_context(started))
        code = "%pip install -q needs\nimport needs, demo; demo.value"
        cells = [(started, started.start(code)) for started in kernels]
        assert [started.finish(msg_id).result for started, msg_id in cells] == ["42", "42"]


def test_an_interrupt_ends_a_download_and_the_next_cell_runs(
    tmp_path: Path, server: Server, empty: Path
) -> None:
    asked = threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        asked.set()
        server.stop.wait(60)

    with kernel_of(tmp_path, server, empty) as started:
        server.answers["/full/demo-1-py3-none-any.whl"] = hang
        msg_id = started.start("import demo")
        assert asked.wait(60)
        started.manager.interrupt_kernel()
        cell = started.finish(msg_id)
        assert cell.ename == "KeyboardInterrupt"
        serve_distribution(server)
        assert started.run("import demo; demo.value").result == "42"


@pytest.mark.parametrize("slow", ["/simple/alpha/", "/files/alpha-1-py3-none-any.whl"])
def test_an_index_that_hangs_leaves_the_kernel_usable(
    tmp_path: Path, server: Server, empty: Path, slow: str
) -> None:
    asked = threading.Event()

    def hang(_: BaseHTTPRequestHandler) -> None:
        asked.set()
        server.stop.wait(60)

    with kernel_of(tmp_path, server, empty) as started:
        server.answers[slow] = hang
        msg_id = started.start("%pip install alpha")
        assert asked.wait(60)
        # The kernel answers while it waits for the index.
        session, control = started.client.session, started.client.control_channel
        control.send(session.msg("kernel_info_request", {}))
        assert started.client.get_control_msg(timeout=60)["content"]["status"] == "ok"
        started.manager.interrupt_kernel()
        assert started.finish(msg_id).ename == "KeyboardInterrupt"
        assert started.run("6 * 7").result == "42"
        assert started.run("import demo; demo.value").result == "42"
        serve_index(server)
        assert started.run("%pip install -q alpha\nimport alpha; alpha.v").result == "1"


@pytest.mark.parametrize("where", ["page", "redirected page", "wheel", "redirected wheel"])
def test_a_public_index_leads_nobody_into_this_machine(
    tmp_path: Path, empty: Path, where: str
) -> None:
    wheel = wheel_bytes("alpha", "1", {"alpha.py": "v = 1"})
    name = "alpha-1-py3-none-any.whl"
    # A public server can be had here only behind a proxy, which is asked for whole URLs.
    public = "http://index.invalid"
    with running_server() as inside, running_server() as proxy:
        inside.list_wheel("alpha", "1", wheel)
        listed = inside.answers["/simple/alpha/"]
        entry = {"filename": name, "hashes": {"sha256": digest(wheel)}}
        page = f"{public}/simple/alpha/"
        if where == "page":
            proxy.answers[page] = listed
        elif where == "redirected page":
            proxy.redirect(page, f"{inside.url}/simple/alpha/")
        elif where == "wheel":
            proxy.list("alpha", entry | {"url": f"{inside.url}/files/{name}"})
        else:
            proxy.list("alpha", entry | {"url": f"{public}/files/{name}"})
            proxy.redirect(f"{public}/files/{name}", f"{inside.url}/files/{name}")
        if "/simple/alpha/" in proxy.answers:
            proxy.answers[page] = proxy.answers.pop("/simple/alpha/")
        env = {"http_proxy": proxy.url, "no_proxy": "127.0.0.1"}
        options = (f"--index-url={public}/simple", f"--cache-dir={empty}", *NOT_COMPILING)
        with real_kernel(tmp_path, *options, env=env) as started:
            cell = started.run("%pip install alpha")
            assert started.run("6 * 7").result == "42"
        assert proxy.asked
        assert inside.asked == []
    assert cell.ename == "PipError"
    assert "it is not f" in cell.evalue  # followed, or fetched
    assert "127.0.0.1" in cell.evalue
    assert list((empty / "packages" / "images").iterdir()) == []
    assert list((empty / "packages" / "wheels").iterdir()) == []


def test_bytecode_is_made_once_and_used(tmp_path: Path, server: Server, empty: Path) -> None:
    with kernel_of(tmp_path, server, empty, *COMPILING) as first:
        first.run("import demo")
    make_all(empty, wait=True)  # what the kernel's own maker has not done by now
    assert len(list((empty / "packages" / "images").glob("*.pyc"))) == 2
    code = (
        "import importlib.machinery as m\n"
        "def refuse(*a, **k): raise AssertionError('compiled')\n"
        "m.SourceFileLoader.source_to_code = refuse\n"
        "import demo; demo.value, demo.__spec__.cached"
    )
    with kernel_of(tmp_path, server, empty) as second:
        path = "/lib/packages/__pycache__/demo.cpython-314.pyc"
        assert second.run(code).result == f"(42, '{path}')"


def test_a_wheel_in_a_mount_is_installed(tmp_path: Path, server: Server, cache: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    wheel = wheel_bytes("own", "5", {"own.py": "v = 5"}, requires=("alpha",))
    (shared / "own-5-py3-none-any.whl").write_bytes(wheel)
    with kernel_of(tmp_path, server, cache, f"--mount={shared}=/mnt/w:ro") as started:
        cell = started.run("%pip install /mnt/w/own-5-py3-none-any.whl\nimport own, alpha; own.v")
        assert cell.result == "5"
        assert "own-5" in cell.text()


def test_find_links_is_an_index(tmp_path: Path, server: Server, cache: Path) -> None:
    (tmp_path / "own-6-py3-none-any.whl").write_bytes(wheel_bytes("own", "6", {"own.py": "v = 6"}))
    with kernel_of(tmp_path, server, cache, f"--find-links={tmp_path}", "--preload=demo") as k:
        assert k.run("import sys; 'demo' in sys.modules").result == "True"
        assert k.run("%pip install -q own\nimport own; own.v").result == "6"


def test_constraints_hold_for_imports_pip_and_micropip(
    tmp_path: Path, server: Server, empty: Path
) -> None:
    links, constraints = tmp_path / "links", tmp_path / "constraints.txt"
    links.mkdir()
    for name in ("many", "base"):
        for version in ("1", "2"):
            wheel = wheel_bytes(name, version, {f"{name}.py": f"value = {version}"})
            (links / f"{name}-{version}-py3-none-any.whl").write_bytes(wheel)
    constraints.write_text("many<2\nbase<2\n")
    options = f"--find-links={links}", f"--constraints={constraints}"
    with kernel_of(tmp_path, server, empty, *options) as kernel:
        denied = kernel.run("import demo")
        assert denied.ename == "ModuleNotFoundError"
        assert "base 2, but only base<2 is allowed" in denied.evalue
        assert "Successfully installed many-1" in kernel.run("%pip install many").text()
        assert kernel.run("%pip install many==2").ename == "PipError"
        kernel.run("%pip uninstall -y many")
        cell = kernel.run(
            "import micropip\nawait micropip.install('many')\nimport many; many.value"
        )
        assert cell.result == "1", cell.evalue
        # A version that is allowed makes the package that needs it importable.
        cell = kernel.run("%pip install -q base\nimport demo; demo.value")
        assert cell.result == "2", cell.evalue


def test_pip_goes_on_with_the_index_if_the_distribution_is_gone(
    tmp_path: Path, server: Server, empty: Path
) -> None:
    with kernel_of(tmp_path, server, empty) as started:
        del server.answers["/full/base-2-py3-none-any.whl"]
        server.list_wheel("base", "2", wheel_bytes("base", "2", {"base.py": "value = 'index'"}))
        try:
            cell = started.run("%pip install base\nimport base; base.value")
        finally:
            serve_distribution(server)
    assert cell.result == "'index'", cell.evalue
    assert "looking in the package indexes instead" in cell.text("stderr")
    assert "Successfully installed base-2" in cell.text()


# From inside


def test_code_can_read_images_and_change_nothing(kernel: RealKernel, cache: Path) -> None:
    kernel.run("import demo, js")
    outcome = kernel.run(f"""
def attempt(run):
    try:
        return repr(run())[:60]
    except BaseException as error:
        return type(error).__name__ + ": " + str(error)[:60]

image = {str(cache / "packages" / "images" / digest(DEMO))!r}
print(attempt(lambda: js.Deno.writeTextFileSync(image + "/files.json", "x")))
print(attempt(lambda: js.Deno.removeSync(image + "/files.bin")))
print(attempt(lambda: js.Deno.mkdirSync({str(cache / "packages" / "images" / "evil")!r})))
print(attempt(lambda: js.Deno.readTextFileSync({str(cache / "packages" / "pages")!r})))
print(attempt(lambda: open("/lib/packages/demo.py", "w")))
""").text()
    lines = outcome.splitlines()
    assert all("NotCapable" in line for line in lines[:4]), outcome
    assert lines[4].startswith("PermissionError")
    assert not (cache / "packages" / "images" / "evil").exists()


def test_code_can_not_make_the_host_fetch_what_is_not_listed(
    kernel: RealKernel, server: Server
) -> None:
    server.serve("/secret", b"secret")
    asked = len(server.asked)
    outcome = kernel.run(f"""
host = get_ipython().host
for question in (
    ("index_request", {{"index": "{server.url}", "project": "secret", "file": ""}}),
    ("index_request", {{"index": "", "project": "../secret", "file": ""}}),
    ("index_request", {{"index": "", "project": "alpha", "file": "../../secret"}}),
    ("package_request", {{"names": ["../secret"], "wheels": []}}),
    ("package_request", {{"names": ["{server.url}/secret"], "wheels": []}}),
    ("package_request", {{"names": [], "wheels": [["alpha", "{server.url}/secret-1-a-b-c.whl"]]}}),
):
    print(host.ask(*question)["status"])
""")
    assert outcome.text() == "error\n" * 6
    assert not any("secret" in path for path in server.asked[asked:])


def test_credentials_of_an_index_stay_on_the_host(tmp_path: Path, server: Server) -> None:
    url = serve_index(server).replace("http://", "http://user:s3cret@")
    options = (f"--index-url={url}", f"--cache-dir={tmp_path / 'cache'}")
    with real_kernel(tmp_path, f"--package-url={serve_distribution(server)}", *options) as started:
        started.run("%pip install -q alpha")
        cell = started.run(
            "page = get_ipython().host.ask('index_request', "
            "{'index': '', 'project': 'alpha', 'file': ''})\nprint(page)\n"
            "print(vars(get_ipython().pip._installer), get_ipython().packages.lock)"
        )
        failed = started.run("%pip install bad")
    assert "alpha-1-py3-none-any.whl" in cell.text()
    assert "s3cret" not in cell.text() + failed.evalue
    assert any("Basic" in str(headers) for headers in server.headers)
