from __future__ import annotations

import logging
import queue
from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from pyodide_kernel.session import KernelSession
from pyodide_kernel.stdin import Question, StdinChannel

TIMEOUT_MS = 10_000


class Desk:
    """A stdin channel, its one client, and what it answered."""

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.server = self.context.socket(zmq.ROUTER)
        self.server.bind("inproc://stdin")
        self.client = self.context.socket(zmq.DEALER)
        self.client.identity = b"me"
        self.client.rcvtimeo = TIMEOUT_MS
        self.client.connect("inproc://stdin")
        self.session = KernelSession(key=b"k")
        self.answers: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.channel = StdinChannel(
            session=KernelSession(key=b"k"),
            socket_=self.server,
            on_answer=lambda question, answer: self.answers.put((question, answer)),
            log=logging.getLogger("stdin-test"),
        )
        self.channel.start()

    def ask(self, prompt: str, *, cancelled: int | None = None) -> None:
        question = Question(
            id=prompt, prompt=prompt, password=False, ident=[b"me"], parent={"msg_id": "p"}
        )
        since = self.channel.cancelled if cancelled is None else cancelled
        self.channel.ask(question, cancelled=since)

    def asked(self) -> dict[str, Any]:
        message = self.session.recv(self.client, mode=0)[1]
        assert message is not None
        return message

    def reply(self, value: object, parent: dict[str, Any] | None = None) -> None:
        self.session.send(self.client, "input_reply", {"value": value}, parent=parent)

    def close(self) -> None:
        self.channel.close()
        self.client.close(linger=0)
        self.server.close(linger=0)
        self.context.term()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_the_answer_comes_with_the_id_of_the_question(desk: Desk) -> None:
    desk.ask("a")
    asked = desk.asked()
    assert (asked["content"]["prompt"], asked["parent_header"]["msg_id"]) == ("a", "p")
    desk.reply("yes")
    assert desk.answers.get(timeout=10) == ("a", {"status": "ok", "value": "yes"})


def test_a_newer_question_replaces_an_older_one(desk: Desk) -> None:
    desk.ask("a")
    first = desk.asked()
    desk.ask("b")
    second = desk.asked()
    desk.reply("to the first", parent=first)
    desk.reply("to the second", parent=second)
    question, answer = desk.answers.get(timeout=10)
    assert (question, answer["value"]) == ("b", "to the second")


def test_a_question_from_before_an_interrupt_is_not_sent_after_it(desk: Desk) -> None:
    before = desk.channel.cancelled
    desk.channel.cancel()
    desk.ask("too late", cancelled=before)
    desk.ask("in time")
    assert desk.asked()["content"]["prompt"] == "in time"


def test_a_cancelled_question_is_not_answered(desk: Desk) -> None:
    desk.ask("a")
    desk.asked()
    desk.channel.cancel()
    desk.reply("nobody asked")
    desk.ask("b")
    desk.asked()
    desk.reply("this one")
    assert desk.answers.get(timeout=10)[1]["value"] == "this one"


def test_messages_that_are_none_do_not_end_the_wait(desk: Desk) -> None:
    desk.ask("a")
    desk.asked()
    desk.client.send_multipart([b"<IDS|MSG>", b"bad", b"{}", b"{}", b"{}", b"{}"])
    desk.client.send_multipart([b"nonsense"])
    desk.session.send(desk.client, "something_else", {"value": "x"})
    desk.reply("good")
    assert desk.answers.get(timeout=10)[1]["value"] == "good"


def test_close_ends_a_wait_at_once_and_may_be_repeated(desk: Desk) -> None:
    desk.ask("a")
    desk.asked()
    desk.channel.close()
    desk.channel.close()


def test_cancel_after_close_does_nothing(desk: Desk) -> None:
    desk.channel.close()
    desk.channel.cancel()
