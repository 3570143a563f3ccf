from __future__ import annotations

import io
import sys
from contextvars import copy_context

import pytest
from guest.fake_host import FakeHost

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest.parent import Parent, parent_id
from pyodide_kernel.guest.streams import FLUSH_CHARS, MAX_PIECES, MAX_TEXT_CHARS, Streams


@pytest.fixture
def streams(host: FakeHost) -> Streams:
    return Streams(host, Parent())


def test_first_line_goes_out_at_once_and_in_one_piece(host: FakeHost, streams: Streams) -> None:
    print("hello", 1, file=streams.stdout)
    assert host.texts() == ["hello 1\n"]


def test_lines_that_follow_quickly_wait_and_the_host_is_told_once(
    host: FakeHost, streams: Streams
) -> None:
    for number in range(5):
        print(number, file=streams.stdout)
    assert host.texts() == ["0\n"]
    assert host.dirty == 2  # once for each batch
    streams.flush()
    assert host.texts() == ["0\n", "1\n2\n3\n4\n"]


def test_a_line_after_a_quiet_period_goes_out_at_once(host: FakeHost, streams: Streams) -> None:
    print("a", file=streams.stdout)
    host.now += 0.03
    print("b", file=streams.stdout)
    assert host.texts() == ["a\n", "b\n"]


def test_unfinished_line_waits_for_its_end_but_the_host_knows(
    host: FakeHost, streams: Streams
) -> None:
    streams.stdout.write("wait")
    assert host.texts() == []
    assert host.dirty == 1
    streams.stdout.write(" for me\n")
    assert host.texts() == ["wait for me\n"]


def test_many_unfinished_pieces_become_an_ordinary_batch(host: FakeHost, streams: Streams) -> None:
    for _ in range(MAX_PIECES):
        streams.stdout.write(".")
    streams.stdout.write("\n")
    assert host.texts() == []
    streams.flush()
    assert host.texts() == ["." * MAX_PIECES + "\n"]


def test_full_batch_goes_out_without_a_look_at_the_clock(host: FakeHost, streams: Streams) -> None:
    print("first", file=streams.stdout)
    host.monotonic = lambda: 0.0  # type: ignore[method-assign]  # far in the past
    for _ in range(FLUSH_CHARS // 8):
        streams.stdout.write("12345678")
    assert len(host.texts()) == 1
    streams.stdout.write("9")
    assert len(host.texts()[1]) == FLUSH_CHARS + 1


def test_million_prints_lose_nothing_and_keep_their_order(host: FakeHost, streams: Streams) -> None:
    for number in range(100_000):
        print(number, file=streams.stdout)
    streams.flush()
    assert "".join(host.texts()) == "".join(f"{number}\n" for number in range(100_000))
    assert len(host.messages) < 120


def test_long_text_is_cut_into_messages_of_limited_size(host: FakeHost, streams: Streams) -> None:
    text = "äöü𝄞" * MAX_TEXT_CHARS
    streams.stdout.write(text)
    assert max(map(len, host.texts())) == MAX_TEXT_CHARS
    assert "".join(host.texts()) == text


def test_stdout_and_stderr_keep_their_order(host: FakeHost, streams: Streams) -> None:
    for name in ("stdout", "stderr", "stdout", "stdout", "stderr"):
        getattr(streams, name).write(name[3])
    streams.flush()
    assert [(m.content["name"], m.content["text"]) for m in host.messages] == [
        ("stdout", "o"),
        ("stderr", "e"),
        ("stdout", "oo"),
        ("stderr", "e"),
    ]


def test_text_keeps_the_parent_it_was_written_under(host: FakeHost, streams: Streams) -> None:
    def write(text: str, parent: str) -> None:
        parent_id.set(parent)
        streams.stdout.write(text)

    for text, parent in (("1", "a"), ("2", "a"), ("3", "b"), ("4", "a")):
        copy_context().run(write, text, parent)
    streams.flush()
    assert [(m.parent_id, m.content["text"]) for m in host.messages] == [
        ("a", "12"),
        ("b", "3"),
        ("a", "4"),
    ]


def test_foreign_context_writes_under_the_last_request(host: FakeHost) -> None:
    parent = Parent()
    streams = Streams(host, parent)
    with parent.request("last", nested=False):
        pass
    streams.stdout.write("late\n")
    assert host.messages[0].parent_id == "last"


def test_carriage_returns_and_escapes_pass_unchanged(host: FakeHost, streams: Streams) -> None:
    text = "10%\r20%\r\x1b[31mred\x1b[0m\x08\r\n"
    streams.stdout.write(text)
    assert host.texts() == [text]


def test_lone_surrogates_pass(host: FakeHost, streams: Streams) -> None:
    streams.stdout.write("\ud83d\n")
    assert host.texts() == ["\ud83d\n"]


def test_empty_writes_send_nothing(host: FakeHost, streams: Streams) -> None:
    assert streams.stdout.write("") == 0
    print(end="", file=streams.stdout)
    streams.flush()
    assert host.messages == []


def test_subclasses_of_str_are_text(host: FakeHost, streams: Streams) -> None:
    class Text(str):
        __slots__ = ()

    assert streams.stdout.write(Text("abc\n")) == 4
    assert host.texts() == ["abc\n"]


@pytest.mark.parametrize("value", [b"bytes", 1, None, ["list"]])
def test_only_text_can_be_written(streams: Streams, value: object) -> None:
    with pytest.raises(TypeError, match="must be str"):
        streams.stdout.write(value)  # type: ignore[arg-type]  # the point of the test


def test_bytes_are_decoded_across_writes(host: FakeHost, streams: Streams) -> None:
    for byte in "aé€𝄞\n".encode():
        assert streams.stdout.buffer.write(bytes([byte])) == 1
        streams.stdout.buffer.flush()
    assert "".join(host.texts()) == "aé€𝄞\n"


def test_garbage_bytes_are_replaced(host: FakeHost, streams: Streams) -> None:
    streams.stderr.buffer.write(memoryview(b"\xff\xfea\n"))
    assert host.texts("stderr") == ["��a\n"]


def test_text_is_no_bytes(streams: Streams) -> None:
    with pytest.raises(TypeError):
        streams.stdout.buffer.write("text")


def test_streams_answer_what_libraries_ask(streams: Streams) -> None:
    stream = streams.stdout
    assert isinstance(stream, io.TextIOBase)
    assert (stream.encoding, stream.name, stream.mode) == ("utf-8", "stdout", "w")
    assert stream.writable()
    no = (stream.isatty(), stream.readable(), stream.seekable(), stream.line_buffering)
    assert not any(no)
    assert stream.errors == "surrogatepass"
    stream.reconfigure(line_buffering=True)
    for part in (stream, stream.buffer):
        with pytest.raises(io.UnsupportedOperation):
            part.fileno()


def test_streams_can_not_be_closed(host: FakeHost, streams: Streams) -> None:
    with streams.stdout as stream:
        stream.write("a")
    streams.stdout.buffer.close()
    assert not streams.stdout.closed
    assert not streams.stdout.buffer.closed
    streams.stdout.writelines(["b", "c\n"])
    streams.flush()
    assert "".join(host.texts()) == "abc\n"


def test_flush_in_the_middle_of_a_send_leaves_the_rest_to_a_later_one(host: FakeHost) -> None:
    streams = Streams(host, Parent())

    def emit(message: Message) -> None:
        host.messages.append(message)
        if len(host.messages) == 1:
            streams.stdout.write("printed while sending")
            streams.flush()

    host.emit = emit  # type: ignore[method-assign]  # a host that prints
    print("line", file=streams.stdout)
    assert host.texts() == ["line\n"]
    assert host.dirty >= 2
    streams.flush()
    assert host.texts() == ["line\n", "printed while sending"]


def test_flush_at_any_moment_of_a_write_loses_and_repeats_nothing(
    host: FakeHost, streams: Streams
) -> None:
    """A trace function flushes where a signal handler could."""
    steps = 0

    def trace(_frame: object, _event: str, _arg: object) -> object:
        nonlocal steps
        steps += 1
        if steps % 7 == 0:
            sys.settrace(None)
            streams.flush()
            sys.settrace(trace)  # type: ignore[arg-type]
        return trace

    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        for number in range(300):
            print(number, file=streams.stdout)
    finally:
        sys.settrace(None)
    streams.flush()
    assert "".join(host.texts()) == "".join(f"{number}\n" for number in range(300))


def test_new_session_forgets_old_text_and_old_times(host: FakeHost, streams: Streams) -> None:
    streams.stdout.write("from the snapshot")
    streams.begin_session()
    host.now = 0.0  # the clock restarts
    print("fresh", file=streams.stdout)
    assert host.texts() == ["fresh\n"]


def test_a_tick_between_the_two_pieces_of_a_printed_line_does_not_tear_it(
    host: FakeHost, streams: Streams
) -> None:
    streams.stdout.write("first\n")  # what comes next is within the quiet period
    streams.stdout.write("line")
    streams.tick()
    assert host.texts() == ["first\n"]
    streams.stdout.write("\n")
    streams.tick()
    assert host.texts() == ["first\n", "line\n"]


def test_an_unfinished_line_waits_for_one_tick_only(host: FakeHost, streams: Streams) -> None:
    streams.stdout.write("...")
    assert host.dirty == 1
    streams.tick()
    assert host.texts() == []
    assert host.dirty == 2
    streams.tick()
    assert host.texts() == ["..."]
