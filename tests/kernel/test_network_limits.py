"""Fetches that are interrupted, too long, too large or hostile, in real kernels."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from network_programs import LIBRARIES, PYTHON, program, told
from real_kernel import Cell, RealKernel, real_kernel
from web_server import WebServer

pytestmark = pytest.mark.deno

WAITING = ("pyfetch", "js.fetch", "urllib.request", "open_url")
IN_A_TASK = "pyfetch, in a task"
PROGRAMS = {**PYTHON, IN_A_TASK: "await asyncio.create_task(pyfetch('{url}'))"}


@pytest.mark.parametrize(
    ("name", "path"),
    [*((name, path) for name in WAITING for path in ("/hang", "/stall")), (IN_A_TASK, "/hang")],
)
def test_interrupt_ends_a_fetch_at_once(
    online: RealKernel, server: WebServer, name: str, path: str
) -> None:
    msg_id = online.start("kept = 1\n" + program(PROGRAMS[name], server, path))
    server.wait_until_hanging()
    online.manager.interrupt_kernel()
    cell = online.finish(msg_id)
    assert cell.ename == "KeyboardInterrupt"
    assert online.run("kept").result == "1"
    assert told(online.run(program(PYTHON.get(name, PYTHON["pyfetch"]), server, "/")))


@pytest.mark.parametrize("name", ["requests", "httpx", "httpx, asynchronous"])
def test_interrupt_ends_a_fetch_of_a_library_at_once(
    with_libraries: RealKernel, server: WebServer, name: str
) -> None:
    msg_id = with_libraries.start(program(LIBRARIES[name], server, "/hang"))
    server.wait_until_hanging()
    with_libraries.manager.interrupt_kernel()
    assert with_libraries.finish(msg_id).ename == "KeyboardInterrupt"
    assert told(with_libraries.run(program(LIBRARIES[name], server, "/echo")))


@pytest.mark.parametrize(
    "code",
    [
        "kept = js.fetch('{url}')\nawait asyncio.sleep(600)",
        "urllib.request.urlopen('{url}')",
        "await pyfetch('{url}')",
    ],
)
def test_interrupt_closes_the_connections_of_its_cell(
    online: RealKernel, server: WebServer, code: str
) -> None:
    msg_id = online.start(code.format(url=f"{server.url}/watch"))
    server.wait_until_hanging()
    online.manager.interrupt_kernel()
    assert online.finish(msg_id).ename == "KeyboardInterrupt"
    server.wait_until_gone()


def test_death_closes_the_connections_and_the_next_interpreter_fetches(
    server: WebServer, tmp_path: Path
) -> None:
    with real_kernel(tmp_path, f"--allow-net={server.place}", "--no-cwd") as kernel:
        code = program("import urllib.request\n" + PYTHON["urllib.request"], server, "/watch")
        msg_id = kernel.start(code)
        server.wait_until_hanging()
        kernel.deno().kill()
        assert kernel.finish(msg_id).ename == "DeadKernelError"
        server.wait_until_gone()
        code = program("import urllib.request\n" + PYTHON["urllib.request"], server, "/echo")
        assert told(kernel.run(code))["path"] == "/echo"
        kernel.start(code.replace("/echo", "/watch"))
        server.wait_until_hanging()
    server.wait_until_gone()


def test_time_of_a_cell_ends_its_fetches(server: WebServer, tmp_path: Path) -> None:
    options = (f"--allow-net={server.place}", "--no-cwd", "--cell-timeout=3")
    with real_kernel(tmp_path, *options) as kernel:
        cell = kernel.run(f"import js\nawait js.fetch('{server.url}/watch')")
        assert (cell.ename, "--cell-timeout" in cell.evalue) == ("KeyboardInterrupt", True)
        server.wait_until_gone()


def test_import_of_a_module_that_is_patched_can_be_interrupted(online: RealKernel) -> None:
    code = """
import pathlib, sys
folder = pathlib.Path('/tmp/hooked/httpx/_transports')
folder.mkdir(parents=True)
(folder / 'default.py').write_text("print('started', flush=True)\\nwhile True: pass")
sys.path.insert(0, '/tmp/hooked')
try:
    import httpx._transports.default
finally:
    sys.path.remove('/tmp/hooked')
"""
    assert online.run_interrupted(code).ename == "KeyboardInterrupt"
    assert online.run("'httpx._transports.default' in sys.modules").result == "False"


def test_fetch_of_an_earlier_cell_is_not_interrupted(online: RealKernel, server: WebServer) -> None:
    online.run(f"task = asyncio.create_task(pyfetch('{server.url}/hang'))\nawait asyncio.sleep(0)")
    server.wait_until_hanging()
    online.run_interrupted("print('started', flush=True)\nawait asyncio.sleep(600)")
    assert online.run("task.done(), task.cancel()").result == "(False, True)"


def test_timeout_of_the_caller_is_kept(online: RealKernel, server: WebServer) -> None:
    cell = online.run(f"urllib.request.urlopen('{server.url}/hang', timeout=0.2)")
    assert cell.ename == "TimeoutError"
    cell = online.run(f"await asyncio.wait_for(pyfetch('{server.url}/hang'), 0.2)")
    assert cell.ename == "TimeoutError"


def test_fetches_run_beside_each_other_and_beside_other_tasks(
    online: RealKernel, server: WebServer
) -> None:
    code = f"""
ticks = 0
async def tick():
    global ticks
    while True:
        ticks += 1
        await asyncio.sleep(0)
ticking = asyncio.create_task(tick())
async def one(number):
    return (await (await pyfetch('{server.url}/echo/%d' % number)).json())['path']
paths = await asyncio.gather(*map(one, range(300)))
ticking.cancel()
paths == ['/echo/%d' % number for number in range(300)], ticks > 300
"""
    assert online.run(code).result == "(True, True)"


@pytest.mark.parametrize(
    "code",
    [
        "len(urllib.request.urlopen('{url}').read())",
        "len(await (await pyfetch('{url}')).bytes())",
    ],
)
def test_large_answer_comes_whole_and_the_host_keeps_little(
    online: RealKernel, server: WebServer, code: str
) -> None:
    host = psutil.Process(online.pid)
    online.run(code.format(url=f"{server.url}/megabytes/1"))
    before = host.memory_info().rss
    cell = online.run(code.format(url=f"{server.url}/megabytes/200"))
    assert cell.result == str(200 * 2**20)
    assert host.memory_info().rss - before < 50 * 10**6


def test_answer_that_is_read_in_part_and_forgotten_blocks_nothing(
    online: RealKernel, server: WebServer
) -> None:
    code = f"""
for _ in range(100):
    with urllib.request.urlopen('{server.url}/endless') as f:
        assert len(f.read(100)) == 100
"""
    assert online.run(code).status == "ok"


def test_compressed_bomb_costs_the_interpreter_and_not_the_host(
    server: WebServer, tmp_path: Path
) -> None:
    option = f"--allow-net={server.place}"
    with real_kernel(tmp_path, option, "--no-cwd", "--memory-limit=400MB") as kernel:
        kernel.run("from pyodide.http import pyfetch")
        host = psutil.Process(kernel.pid)
        before = host.memory_info().rss
        cell = kernel.run(f"len(await (await pyfetch('{server.url}/bomb')).bytes())")
        assert cell.status == "error"
        assert host.memory_info().rss - before < 100 * 10**6
        assert kernel.run("40 + 2").result == "42"


@pytest.mark.parametrize("path", ["/headers", "/garbage", "/close", "/short", "/loop"])
@pytest.mark.parametrize("name", ["pyfetch", "urllib.request", "open_url"])
def test_hostile_server_is_an_error(
    online: RealKernel, server: WebServer, name: str, path: str
) -> None:
    cell = online.run(program(PYTHON[name], server, path))
    assert cell.status == "error"
    assert online.run("40 + 2").result == "42"


RAW = """
const encode = (content) => new TextEncoder().encode(JSON.stringify({content, metadata: {}}));
const say = (msg_type, id, content, buffers = [], question = 0) =>
  postMessage({msg_type, id, parent_id: "", body: encode(content), buffers, question});
const get = (url) => ({method: "GET", url, headers: []});
"""
"""What hostile code may say past `fetch`."""


def raw(kernel: RealKernel, script: str) -> Cell:
    return kernel.run(f"from pyodide.code import run_js\nrun_js({RAW + script!r})")


def test_flood_of_raw_questions_costs_the_host_nothing(
    online: RealKernel, server: WebServer
) -> None:
    host = psutil.Process(online.pid)
    online.run(f"urllib.request.urlopen('{server.url}/megabytes/1').read()")
    before = host.memory_info().rss
    script = f"""
say("fetch_request", "endless", get("{server.url}/endless"));
for (let i = 0; i < 5000; i++) say("fetch_read", `read${{i}}`, {{fetch: "endless"}});
say("fetch_cancel", "", {{fetch: "endless"}});
for (let i = 0; i < 500; i++) {{
  say("fetch_request", `body${{i}}`, get("{server.url}/hang"), [new Uint8Array(1e5)]);
}}
for (let i = 0; i < 500; i++) say("fetch_cancel", "", {{fetch: `body${{i}}`}});
"""
    assert raw(online, script).status == "ok"
    assert told(online.run(program(PYTHON["open_url"], server, "/echo/after")))
    assert host.memory_info().rss - before < 150 * 10**6


def test_raw_messages_of_hostile_code_hang_nothing_and_reach_nothing(
    online: RealKernel, server: WebServer, other: WebServer
) -> None:
    script = f"""
for (let i = 0; i < 1000; i++) {{
  say("fetch_request", `h${{i}}`, get("{other.url}/"));
  say("fetch_request", `u${{i}}`, get("http://{server.place}@{other.place}/"), [], i);
  say("fetch_read", `r${{i}}`, {{fetch: `x${{i}}`}});
  say("fetch_cancel", "", {{fetch: `h${{i}}`}});
}}
const url = "{server.url}";
say("fetch_request", "o1", {{method: "GET", url: "x".repeat(1e7), headers: []}});
say("fetch_request", "o2", {{method: "A\\r\\nGET /injected", url, headers: []}});
say("fetch_request", "o3", {{method: "GET", url, headers: [["a", "b\\r\\nGET /injected"]]}});
say("fetch_request", "o4", {{method: "GET", url, headers: [["a\\r\\nX", "b"], 5, [[]], null]}});
say("fetch_request", "o5", {{method: "GET", url, headers: Array(1e5).fill(["a", "b"])}});
say("fetch_request", "o6", {{method: "GET", url, headers: [], timeout: {{a: 1}}}});
say("fetch_request", "o7", get(url), [new Uint8Array(1), new Uint8Array(1)]);
"""
    assert raw(online, script).status == "ok"
    assert told(online.run(program(PYTHON["pyfetch"], server, "/echo/after")))["path"] == (
        "/echo/after"
    )
    assert other.requests == []
    assert not [path for _, path in server.requests if path == "/injected"]
