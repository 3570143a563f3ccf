"""Interpreters that are restored from a snapshot: as good as booted ones, and as fresh."""

from __future__ import annotations

import getpass
import json
import logging
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Queue
from typing import Any

import psutil
import pytest
from real_kernel import TIMEOUT_S, real_kernel
from web_server import web_server

from pyodide_kernel import runtime
from pyodide_kernel.bridge.boot import deno_bridge
from pyodide_kernel.bridge.bridge import Death
from pyodide_kernel.bridge.confinement import landlock_problem
from pyodide_kernel.bridge.deno import DenoCommand, find_deno
from pyodide_kernel.bridge.fetch import Fetcher
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.bridge.messages import FETCH_TYPES, Message
from pyodide_kernel.bridge.preparation import snapshot_store
from pyodide_kernel.bridge.snapshot_store import SnapshotStore
from pyodide_kernel.limits import LEAST_MEMORY, Limits
from pyodide_kernel.network import Network, Place
from pyodide_kernel.policy import Policy

pytestmark = pytest.mark.deno

MAKING_S = 200
CELL = {
    "silent": False,
    "store_history": True,
    "allow_stdin": False,
    "user_expressions": {},
}


class Session:
    """One interpreter, and what it said."""

    def __init__(self, cache: Path | None, policy: Policy) -> None:
        self.ready: Queue[Message] = Queue()
        self.deaths: Queue[Death] = Queue()
        self._said: list[Message] = []
        self._fetcher = Fetcher(policy.network, reply=self._reply)
        self.bridge = deno_bridge(
            policy=policy,
            cache=cache,
            config=BridgeConfig(),
            on_message=self._hear,
            on_ready=self.ready.put,
            on_death=self.deaths.put,
            on_give_up=self.deaths.put,
        )
        self.bridge.start()
        self.problem = str(self.ready.get(timeout=TIMEOUT_S).content["problem"])

    def _hear(self, message: Message) -> None:
        if message.msg_type in FETCH_TYPES:
            self._fetcher.take(message)
        else:
            self._said.append(message)

    def _reply(self, *args: Any, **options: Any) -> None:
        self.bridge.reply(*args, **options)

    def close(self) -> None:
        self._fetcher.close()
        self.bridge.close()

    def ask(self, msg_type: str, **content: Any) -> dict[str, Any]:
        """Content of the reply to a request."""
        _, future = self.bridge.request(msg_type, content)
        return dict(future.result(TIMEOUT_S).content)

    def run(self, code: str) -> str:
        """What a cell prints."""
        before = len(self._said)
        reply = self.ask("execute_request", **CELL, code=code)
        assert reply["status"] == "ok", reply
        said = [message for message in self._said[before:] if message.msg_type == "stream"]
        return "".join(message.content["text"] for message in said)


StartSession = Callable[..., Session]


@pytest.fixture
def start(caplog: pytest.LogCaptureFixture) -> Iterator[StartSession]:
    sessions: list[Session] = []

    def start_session(cache: Path | None, policy: Policy | None = None) -> Session:
        sessions.append(Session(cache, policy or Policy()))
        return sessions[-1]

    with caplog.at_level(logging.WARNING, "pyodide_kernel"):
        yield start_session
    for session in sessions:
        session.close()


def store_in(cache: Path) -> SnapshotStore:
    command = DenoCommand(deno=find_deno(), runtime=runtime.runtime_dir())
    return snapshot_store(command, cache)


@pytest.fixture
def warm(snapshot: Path) -> Path:
    """A folder with a good snapshot; the same for all tests, which don't change it."""
    return snapshot


@pytest.fixture
def own(warm: Path, tmp_path: Path) -> Path:
    """A copy of that folder."""
    return Path(shutil.copytree(warm, tmp_path / "cache", symlinks=True))


FRESH = """
import json, os, random, secrets, tempfile, uuid
print(json.dumps([
    random.random(), random._inst.getrandbits(64), random.Random().random(),
    random.SystemRandom().random(), secrets.token_hex(8), os.urandom(8).hex(), tempfile.mktemp(),
    next(tempfile._get_candidate_names()), str(uuid.uuid4()), uuid.getnode(), str(uuid.uuid1()),
]))
"""


def test_two_sessions_share_no_random_number_and_no_name(
    warm: Path, start: StartSession, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (json.loads(start(warm).run(FRESH)) for _ in range(2))
    assert caplog.messages == []
    assert len(first) == 11
    assert [a for a, b in zip(first, second, strict=True) if a == b] == []


def test_a_restored_session_has_a_life_of_its_own(warm: Path, start: StartSession) -> None:
    session = start(warm, Policy(env={"GREETING": "hello"}, cwd="/tmp"))
    said = session.run(
        "import os, sys, time, asyncio, logging\n"
        "print(os.environ['GREETING'], os.getcwd(), sys.argv, repr(sys.executable))\n"
        "print(sys.path.count(''), sys.path[0] == '', '_' in os.environ)\n"
        "print(len(In), Out, get_ipython().execution_count)\n"
        "print(abs(time.time() - logging.LogRecord('', 0, '', 0, '', (), None).created) < 5)\n"
        "print(0 <= logging.LogRecord('', 0, '', 0, '', (), None).relativeCreated < 60_000)\n"
        "print([name for name in dir() if not name.startswith('_')])\n"
    )
    lines = said.splitlines()
    assert lines[0] == "hello /tmp [''] ''"
    assert lines[1] == "1 True False"
    assert lines[2] == "2 {} 2"
    assert lines[3:5] == ["True", "True"]
    names = set(eval(lines[5]))
    assert names == {
        *("In", "Out", "exit", "get_ipython", "open", "quit"),
        *("os", "sys", "time", "asyncio", "logging"),
    }


def test_the_event_loop_timers_and_top_level_await_work(warm: Path, start: StartSession) -> None:
    session = start(warm)
    code = "import asyncio, time\nb = time.monotonic()\nawait asyncio.sleep(0.05)\n"
    assert session.run(code + "print(0.04 < time.monotonic() - b < 20)") == "True\n"
    assert session.run("print(asyncio.run(asyncio.sleep(0, 7)))") == "7\n"
    assert session.run("import js\nprint(js.Math.max(1, 2))") == "2\n"


def test_completion_tracebacks_and_inspection_work(warm: Path, start: StartSession) -> None:
    session = start(warm)
    code = "import os; os.pa"
    matches = session.ask("complete_request", code=code, cursor_pos=len(code))["matches"]
    assert "path" in " ".join(matches)
    reply = session.ask("execute_request", **CELL, code="def f():\n    1/0\nf()")
    assert reply["ename"] == "ZeroDivisionError"
    assert "1/0" in re.sub(r"\x1b\[[\d;]*m", "", "".join(reply["traceback"]))
    found = session.ask("inspect_request", code="print", cursor_pos=2, detail_level=0)
    assert found["found"]


def test_user_code_can_neither_read_nor_write_the_snapshot(warm: Path, start: StartSession) -> None:
    path = store_in(warm).find().path
    session = start(warm)
    for call in ("readFileSync(p)", "writeTextFileSync(p, '')", "removeSync(p)", "statSync(p)"):
        code = (
            f"import js\np = {str(path)!r}\n"
            f"try:\n    js.Deno.{call}\n    print('done')\n"
            "except Exception as e:\n    print(e.name)"
        )
        assert session.run(code) == "NotCapable\n", call
    assert store_in(warm).find().is_intact()


@pytest.mark.skipif(bool(landlock_problem()), reason="compiled code is only used with Landlock")
def test_a_session_uses_the_compiled_code(warm: Path, start: StartSession) -> None:
    """Deno closes a database that it can't use, and compiles everything again."""
    session = start(warm)
    pid = session.bridge.pid()
    assert pid is not None
    names = {Path(file.path).name for file in psutil.Process(pid).open_files()}
    assert {"v8_code_cache_v2", "dep_analysis_cache_v2"} <= names


def test_what_deno_stores_by_itself_cannot_be_written(warm: Path, start: StartSession) -> None:
    before = sorted(store_in(warm).folder.rglob("*"))
    said = start(warm).run(
        "import js\n"
        "try:\n    print('opened', await js.caches.open('x'))\n"
        "except Exception as e:\n    print('refused')"
    )
    assert said == "refused\n"
    assert sorted(store_in(warm).folder.rglob("*")) == before


@pytest.mark.parametrize("memory", [LEAST_MEMORY, 10**9])
def test_one_snapshot_serves_every_limit_of_memory(
    warm: Path, start: StartSession, memory: int, caplog: pytest.LogCaptureFixture
) -> None:
    session = start(warm, Policy(limits=Limits(memory_bytes=memory)))
    assert session.run("print(6 * 7)") == "42\n"
    assert (session.problem, caplog.messages) == ("", [])
    code = f"try:\n    bytearray({memory} + 2**16)\nexcept MemoryError:\n    print('no')"
    assert session.run(code) == "no\n"


def test_a_snapshot_with_a_changed_bit_is_not_run_but_told_of_and_replaced(
    own: Path, start: StartSession, caplog: pytest.LogCaptureFixture
) -> None:
    harmed = store_in(own).find()
    with harmed.path.open("r+b") as file:
        file.seek(harmed.size // 2)
        byte = file.read(1)
        file.seek(harmed.size // 2)
        file.write(bytes([byte[0] ^ 1]))
    session = start(own)
    assert session.run("print(6 * 7)") == "42\n"
    assert "not what was made" in session.problem
    (line,) = caplog.messages
    assert str(harmed.path) in line
    wait_for_snapshot(session)
    assert store_in(own).find().is_intact()
    again = start(own)
    assert (again.problem, len(caplog.messages)) == ("", 1)


def wait_for_snapshot(session: Session) -> None:
    """Block until the session has done what it does in the background."""
    import concurrent.futures

    async def done() -> None:
        task = session.bridge._afterwards
        assert task is not None
        await task

    import asyncio

    future: concurrent.futures.Future[None] = asyncio.run_coroutine_threadsafe(
        done(), session.bridge._loop
    )
    future.result(MAKING_S)


def test_a_first_session_boots_and_leaves_a_snapshot_for_the_next(
    tmp_path: Path, start: StartSession, caplog: pytest.LogCaptureFixture
) -> None:
    first = start(tmp_path / "cache")
    assert first.run("print(6 * 7)") == "42\n"
    (line,) = caplog.messages
    assert "none has been made yet" in line
    wait_for_snapshot(first)
    second = start(tmp_path / "cache")
    assert second.run("print(6 * 7)") == "42\n"
    assert (second.problem, len(caplog.messages)) == ("", 1)


def test_a_session_that_ends_early_leaves_no_maker_behind(
    tmp_path: Path, start: StartSession
) -> None:
    import psutil

    session = start(tmp_path / "cache")
    session.bridge.close()
    assert psutil.Process().children(recursive=True) == []
    assert list((tmp_path / "cache").rglob("*.memory")) == []


def test_a_snapshot_holds_nothing_of_the_machine_that_made_it(warm: Path) -> None:
    data = store_in(warm).find().path.read_bytes()
    secrets = {
        str(runtime.runtime_dir()),
        str(Path(runtime.__file__).parent),
        str(find_deno()),
        str(Path.home()),
        str(Path.cwd()),
        str(warm),
        socket.gethostname(),
        *(value for value in os.environ.values()),
    }
    user = getpass.getuser()
    secrets |= {f"/home/{user}", f"/{user}/", f"{tempfile.gettempdir()}/pyodide-"}
    # Pyodide itself was built somewhere, under a name that may be this user's too.
    public = (runtime.runtime_dir() / "pyodide" / "pyodide.asm.wasm").read_bytes()
    telling = {
        text
        for text in secrets
        if len(text) >= 6 and text not in PUBLIC and text.encode() not in public
    }
    assert str(runtime.runtime_dir()) in telling
    assert [text for text in telling if text.encode() in data] == []
    assert [text for text in telling if text.encode("utf-16-le") in data] == []


PUBLIC = frozenset(
    {
        *("C.UTF-8", "xterm-color", "en_US.UTF-8", "dumb", "/usr/bin", "/bin/sh"),
        "module://matplotlib_inline.backend_inline",
    }
)
"""Values of common variables that Python and its libraries hold too."""


def test_a_dead_interpreter_is_replaced_by_a_restored_one(
    warm: Path, start: StartSession, caplog: pytest.LogCaptureFixture
) -> None:
    session = start(warm)
    pid = session.bridge.pid()
    assert pid is not None
    os.kill(pid, 9)
    assert session.deaths.get(timeout=TIMEOUT_S).during_start is False
    assert session.ready.get(timeout=TIMEOUT_S).content["problem"] == ""
    assert session.run("print(6 * 7)") == "42\n"
    assert caplog.messages == []


def test_a_kernel_with_a_read_only_cache_says_so_once_and_works(tmp_path: Path) -> None:
    env = {"PYODIDE_KERNEL_CACHE_DIR": "/dev/null/cache"}
    with real_kernel(tmp_path, env=env) as kernel:
        assert kernel.run("6 * 7").result == "42"


FETCHES = """
import asyncio, js, urllib.request
from pyodide.http import open_url, pyfetch
print(urllib.request.urlopen(url).read() == open_url(url).read().encode())
print(await (await pyfetch(url)).text() == await (await js.fetch(url)).text())
print(urllib.request.urlopen(url).read())
"""


def test_restored_interpreter_fetches_through_the_host(start: StartSession, warm: Path) -> None:
    with web_server() as server:
        place = Place(host="127.0.0.1", port=server.port)
        for _ in range(2):
            session = start(warm, Policy(network=Network(places=(place,))))
            assert session.problem == ""
            said = session.run(f"url = '{server.url}/csv'\n{FETCHES}")
            assert said.splitlines() == ["True", "True", r"b'a,b\n1,2\n3,4\n'"]
