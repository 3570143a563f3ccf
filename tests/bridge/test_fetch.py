"""The fetcher: every question is answered once, within its limits, whoever asks."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from pyodide_kernel.bridge.fetch import Fetcher
from pyodide_kernel.bridge.fetch_request import FetchError, FetchRequest
from pyodide_kernel.bridge.fetch_transfer import FetchLimits, Send
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.network import Network, Place

PATIENCE_S = 30.0
NETWORK = Network(places=(Place(host="a.example"),))


@dataclass
class Answered:
    """One answer of the fetcher."""

    question: str
    msg_type: str
    content: dict[str, Any]
    data: bytes


@dataclass(kw_only=True)
class Script:
    """What the network does, in place of a client."""

    chunks: list[bytes] = field(default_factory=list)
    error: BaseException | None = None
    """Raised instead of a head, or, with chunks, after them."""
    hang: bool = False
    """Whether it never ends."""
    sent: list[FetchRequest] = field(default_factory=list)
    working: int = 0
    most: int = 0
    produced: int = 0

    @property
    def code(self) -> int:
        return 200

    @property
    def reason(self) -> str:
        return "OK"

    @property
    def headers(self) -> list[tuple[str, str]]:
        return [("x", "y"), ("x", "z")]

    @property
    def body(self) -> AsyncIterator[bytes]:
        return self._body()

    async def _body(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            self.produced += len(chunk)
            yield chunk
        if self.error is not None:
            raise self.error
        if self.hang:
            await asyncio.Event().wait()

    @asynccontextmanager
    async def send(self, request: FetchRequest) -> AsyncIterator[Script]:
        self.sent.append(request)
        self.working += 1
        self.most = max(self.most, self.working)
        try:
            if self.hang and not self.chunks:
                await asyncio.Event().wait()
            if self.error is not None and not self.chunks:
                raise self.error
            yield self
        finally:
            self.working -= 1


class World:
    """A fetcher with a scripted network, and what it answers."""

    def __init__(self, script: Script, *, network: Network = NETWORK, **limits: Any) -> None:
        self.script = script
        self.answers: queue.Queue[Answered] = queue.Queue()
        self.owner = "cell"
        self._ids = itertools.count(1)

        def reply(question_id: str, content: Any, *, msg_type: str, buffers: Any) -> None:
            data = b"".join(buffers)
            self.answers.put(Answered(question_id, msg_type, dict(content), data))

        self.fetcher = Fetcher(
            network,
            reply=reply,
            owner=lambda: self.owner,
            limits=FetchLimits(**limits),
            make_send=self.make_send,
        )

    def make_send(self, _network: Network) -> Send:
        return self.script.send

    def request(self, id: str = "", url: str = "http://a.example/", **content: Any) -> str:
        id = id or f"f{next(self._ids)}"
        buffers = content.pop("buffers", ())
        wanted = {"method": "GET", "url": url, "headers": [], **content}
        message = Message(msg_type="fetch_request", id=id, content=wanted, buffers=buffers)
        self.fetcher.take(message)
        return id

    def read(self, fetch: str) -> str:
        id = f"r{next(self._ids)}"
        self.fetcher.take(Message(msg_type="fetch_read", id=id, content={"fetch": fetch}))
        return id

    def cancel(self, fetch: str) -> None:
        self.fetcher.take(Message(msg_type="fetch_cancel", content={"fetch": fetch}))

    def answer(self) -> Answered:
        return self.answers.get(timeout=PATIENCE_S)

    def answer_to(self, question: str) -> Answered:
        answer = self.answer()
        assert answer.question == question
        return answer

    def head(self, **content: Any) -> str:
        """Begin a fetch and take its head."""
        id = self.request(**content)
        assert self.answer_to(id).content["status"] == "ok"
        return id

    def chunk(self, fetch: str) -> Answered:
        return self.answer_to(self.read(fetch))


@pytest.fixture
def worlds() -> Iterator[Any]:
    made: list[World] = []

    def make(script: Script | None = None, **options: Any) -> World:
        made.append(World(script or Script(), **options))
        return made[-1]

    yield make
    for world in made:
        world.fetcher.close()
        names = [thread.name for thread in threading.enumerate()]
        assert "network" not in names


def test_answer_comes_as_its_head_and_as_it_is_read(worlds: Any) -> None:
    world = worlds(Script(chunks=[b"one", b"two"]))
    fetch = world.request()
    head = world.answer_to(fetch)
    assert head.msg_type == "fetch_reply"
    assert head.content == {
        "status": "ok",
        "code": 200,
        "reason": "OK",
        "headers": [["x", "y"], ["x", "z"]],
    }
    data, last = b"", False
    while not last:
        chunk = world.chunk(fetch)
        assert chunk.msg_type == "fetch_chunk"
        data, last = data + chunk.data, chunk.content["last"]
    assert data == b"onetwo"
    assert world.fetcher.log[0].outcome == "done"
    assert world.fetcher.log[0].received_bytes == 6


def test_no_thread_and_no_library_without_a_granted_fetch(worlds: Any) -> None:
    world = worlds(network=Network())
    content = world.answer_to(world.request()).content
    assert content["kind"] == "denied"
    assert "--allow-net=a.example" in content["message"]
    assert world.script.sent == []
    assert "network" not in [thread.name for thread in threading.enumerate()]
    assert [record.outcome for record in world.fetcher.log] == ["denied"]


@pytest.mark.parametrize("url", ["http://b.example/", "http://a.example@b.example/", "file:///x"])
def test_what_is_not_granted_is_answered_at_once(worlds: Any, url: str) -> None:
    world = worlds()
    world.request(url=url)
    assert world.answers.get_nowait().content["status"] == "error"
    assert world.script.sent == []


def test_error_before_the_head_is_the_answer(worlds: Any) -> None:
    world = worlds(Script(error=FetchError("unreachable", "nobody there")))
    content = world.answer_to(world.request()).content
    assert content == {"status": "error", "kind": "unreachable", "message": "nobody there"}
    assert world.fetcher.log[0].outcome == "unreachable"


def test_error_in_the_body_comes_after_what_was_read(worlds: Any) -> None:
    world = worlds(Script(chunks=[b"some"], error=FetchError("broken", "cut")))
    fetch = world.head()
    chunk = world.chunk(fetch)
    assert (chunk.data, chunk.content["last"]) == (b"some", False)
    assert world.chunk(fetch).content["kind"] == "broken"
    assert world.chunk(fetch).content["kind"] == "cancelled"


@pytest.mark.parametrize("chunks", [[], [b"x"]])
def test_error_of_ours_is_an_answer_too(worlds: Any, chunks: list[bytes]) -> None:
    world = worlds(Script(chunks=chunks, error=RuntimeError("a bug")))
    fetch = world.request()
    answer = world.answer_to(fetch)
    while answer.content["status"] == "ok":
        answer = world.chunk(fetch)
    assert "a bug" in answer.content["message"]


def test_library_that_can_not_be_imported_is_an_answer(worlds: Any) -> None:
    world = worlds()

    def broken(_network: Network) -> Send:
        raise ImportError("no httpcore")

    world.fetcher._make_send = broken
    assert "no httpcore" in world.answer_to(world.request()).content["message"]
    assert "no httpcore" in world.answer_to(world.request()).content["message"]


def test_cancel_ends_the_connection_and_answers_who_waits(worlds: Any) -> None:
    world = worlds(Script(hang=True))
    fetch = world.request()
    world.cancel(fetch)
    assert world.answer_to(fetch).content["kind"] == "cancelled"
    world.script.chunks = [b"x"]
    fetch = world.head()
    world.chunk(fetch)
    question = world.read(fetch)
    world.cancel(fetch)
    world.cancel(fetch)
    assert world.answer_to(question).content["kind"] == "cancelled"
    assert world.chunk(fetch).content["kind"] == "cancelled"
    world.cancel("unheard of")
    assert world.answers.empty()


def test_interrupt_cancels_what_its_cell_began_and_nothing_else(worlds: Any) -> None:
    world = worlds(Script(hang=True))
    first = world.request()
    world.owner = "another"
    second = world.request()
    world.fetcher.cancel("another")
    assert world.answer_to(second).content["kind"] == "cancelled"
    world.fetcher.cancel()
    assert world.answer_to(first).content["kind"] == "cancelled"


def test_second_read_before_the_first_is_answered_is_refused(worlds: Any) -> None:
    world = worlds(Script(chunks=[b"x"], hang=True))
    fetch = world.head()
    world.chunk(fetch)
    waiting = world.read(fetch)
    assert world.chunk(fetch).content["kind"] == "malformed"
    world.cancel(fetch)
    assert world.answer_to(waiting).content["kind"] == "cancelled"


def test_id_of_an_open_fetch_is_refused(worlds: Any) -> None:
    world = worlds(Script(hang=True))
    world.request("f")
    world.request("f")
    assert world.answer_to("f").content["kind"] == "malformed"


def test_unread_answer_is_kept_up_to_the_window_only(worlds: Any) -> None:
    script = Script(chunks=[b"x" * 1000] * 1000)
    world = worlds(script, window_bytes=10_000)
    fetch = world.head()
    total, last, most = 0, False, 0
    while not last:
        chunk = world.chunk(fetch)
        most = max(most, script.produced - total)
        total += len(chunk.data)
        last = chunk.content["last"]
    assert total == 1_000_000
    # What was handed out last, and what is kept behind it.
    assert most <= 2 * 11_000


def test_answer_that_is_too_large_is_cut_with_a_reason(worlds: Any) -> None:
    world = worlds(Script(chunks=[b"x" * 1000] * 100), answer_bytes=5000)
    fetch = world.head()
    answer = world.chunk(fetch)
    while answer.content["status"] == "ok":
        answer = world.chunk(fetch)
    assert "more than 5,000 bytes" in answer.content["message"]


def test_fetch_that_takes_too_long_is_ended(worlds: Any) -> None:
    world = worlds(Script(hang=True), total_s=0.05)
    assert world.answer_to(world.request()).content["kind"] == "timeout"


def test_answer_that_nobody_reads_is_given_up(worlds: Any) -> None:
    world = worlds(Script(chunks=[b"x"]), unread_s=0.05, open=1)
    world.head()
    # Its turn is free again.
    world.head()


def test_requests_beyond_the_turns_wait(worlds: Any) -> None:
    script = Script(chunks=[b"x"])
    world = worlds(script, open=3)
    fetches = [world.request() for _ in range(50)]
    done: set[str] = set()
    while len(done) < len(fetches):
        answer = world.answer()
        if answer.msg_type == "fetch_reply":
            world.read(answer.question)
            done.add(answer.question)
    assert done == set(fetches)
    assert script.most <= 3


def test_requests_beyond_what_may_be_kept_are_refused_at_once(worlds: Any) -> None:
    world = worlds(Script(hang=True), held_bytes=100_000)
    for _ in range(1000):
        world.request(method="POST", buffers=(b"x" * 10_000,))
    refused = [world.answer().content["kind"] for _ in range(997)]
    assert set(refused) == {"busy"}
    assert world.answers.empty()
    world.fetcher.cancel()
    assert [world.answer().content["kind"] for _ in range(3)] == ["cancelled"] * 3
    # What they held is free again.
    world.request()
    world.fetcher.cancel()
    assert world.answer().content["kind"] == "cancelled"


def test_reads_in_a_flood_are_answered_one_by_one(worlds: Any) -> None:
    world = worlds()
    for number in range(10_000):
        message = Message(msg_type="fetch_read", id=f"{number}", content={"fetch": "none"})
        world.fetcher.take(message)
    assert [world.answers.get_nowait().question for _ in range(10_000)] == [
        f"{number}" for number in range(10_000)
    ]


def test_answer_that_came_whole_and_is_cancelled_is_not_read_as_if_it_were_empty(
    worlds: Any,
) -> None:
    world = worlds(Script(chunks=[b"x"]))
    fetch = world.head()
    transfer = world.fetcher._transfers[fetch]
    while not transfer._ended:
        wait_for_the_loop(world)
    # As if the read had been on its way already when the other thread cancelled.
    world.fetcher._call(transfer.fail, FetchError("cancelled", "gone"))
    world.fetcher._call(transfer.read, "late")
    assert world.answer_to("late").content["kind"] == "cancelled"
    assert world.fetcher.log[0].outcome == "cancelled"


def test_fetch_that_is_cancelled_before_it_begins_never_does(worlds: Any) -> None:
    world = worlds(Script(chunks=[b"x"]))
    call = world.fetcher._call
    later: list[Any] = []
    # As if the other thread had cancelled between the two steps of the bridge's.
    world.fetcher._call = lambda *call: later.append(call)
    fetch = world.request()
    world.fetcher.cancel()
    assert [step[0].__name__ for step in later] == ["_start", "fail"]
    world.fetcher._call = call
    for step in reversed(later):
        call(*step)
    assert world.answer_to(fetch).content["kind"] == "cancelled"
    # One that comes after it has all its answers, and there were no others.
    after = world.head()
    assert world.chunk(after).data == b"x"
    assert len(world.script.sent) == 1


def wait_for_the_loop(world: World) -> None:
    """Block until the loop has done what it was told so far."""
    turned = threading.Event()
    world.fetcher._call(turned.set)
    assert turned.wait(PATIENCE_S)


@pytest.mark.parametrize("granted", [NETWORK, Network()])
def test_questions_in_a_flood_leave_nothing_behind(worlds: Any, granted: Network) -> None:
    world = worlds(network=granted)

    def flood(count: int) -> None:
        for number in range(count):
            world.read("none")
            world.cancel("none")
            world.request(url=f"http://b.example/{number}")
            world.request(url="nonsense")
            for _ in range(3):
                world.answers.get_nowait()

    flood(1100)  # until the log is full
    tracemalloc.start()
    try:
        flood(10)
        before, _ = tracemalloc.get_traced_memory()
        flood(500)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The log has other entries than before, of the same size.
    assert after - before < 500 * 300


def test_log_tells_of_each_place_what_came_of_it(
    worlds: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    world = worlds(Script(chunks=[b"x" * 2000]))
    for _ in range(2):
        fetch = world.head(method="POST", buffers=(b"abc",))
        while not world.chunk(fetch).content["last"]:
            pass
    world.request(url="https://b.example/")
    world.answer()
    (denied, said), (place, told) = world.fetcher.rows()
    assert (denied, place) == ("b.example:443", "a.example:80")
    assert said.startswith("denied; 0 bytes sent, 0 bytes received; last at ")
    assert told.startswith("200 (2 times); 6 bytes sent, 4 kB received; last at ")
    assert caplog.messages == [
        *["POST a.example:80: 200, 3 bytes sent, 2,000 received"] * 2,
        "GET b.example:443: denied, 0 bytes sent, 0 received",
    ]


def test_log_is_bounded(worlds: Any) -> None:
    world = worlds(network=Network())
    for number in range(1500):
        world.request(url=f"http://h{number}.example/")
    assert len(world.fetcher.log) == 1000
    assert world.fetcher.log[-1].host == "h1499.example"
    rows = world.fetcher.rows()
    assert (len(rows), rows[0][0]) == (50, "h1499.example:80")


def test_close_answers_who_waits_and_may_be_repeated(worlds: Any) -> None:
    world = worlds(Script(hang=True))
    fetch = world.request()
    world.fetcher.close()
    world.fetcher.close()
    assert world.answer_to(fetch).content["kind"] == "cancelled"
    assert world.answer_to(world.request()).content["kind"] == "cancelled"
