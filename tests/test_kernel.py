"""Cells and what belongs to them, over the kernel's real sockets; a fake worker runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from kernel_process import KernelProcess, kernel_process


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelProcess]:
    file = tmp_path_factory.mktemp("history") / "history.sqlite"
    with kernel_process(f"--PyodideKernel.history_file={file}", "--output-limit=100kB") as kernel:
        yield kernel


def test_outputs_reach_iopub_in_order_with_the_parent_of_their_cell(kernel: KernelProcess) -> None:
    outcome = kernel.run("print('a'); print('b'); show(1)")
    types = [message["msg_type"] for message in outcome.iopub]
    assert types == ["status", "execute_input", "stream", "stream", "execute_result", "status"]
    assert outcome.text == "a\nb\n"
    assert outcome.states == ["busy", "idle"]
    assert outcome.content["status"] == "ok"
    metadata = outcome.reply["metadata"]
    assert metadata["status"] == "ok"
    assert {"started", "dependencies_met", "engine"} <= metadata.keys()


def test_prompt_numbers_follow_the_guest(kernel: KernelProcess) -> None:
    first = kernel.run("pass").content["execution_count"]
    assert kernel.run("pass").content["execution_count"] == first + 1
    kernel.run("worker.count = 1041")
    outcome = kernel.run("pass")
    assert outcome.outputs("execute_input")[0]["execution_count"] == 1042
    assert outcome.content["execution_count"] == 1042


def test_silent_cells_and_those_outside_history_have_no_number_of_their_own(
    kernel: KernelProcess,
) -> None:
    before = kernel.run("pass").content["execution_count"]
    aside = kernel.run("pass", store_history=False)
    assert aside.outputs("execute_input")[0]["execution_count"] == before + 1
    silent = kernel.run("print('heard')", silent=True)
    assert silent.outputs("execute_input") == []
    assert kernel.run("pass").content["execution_count"] == before + 1


def test_an_error_is_published_once_and_replied(kernel: KernelProcess) -> None:
    outcome = kernel.run("1/0")
    (error,) = outcome.outputs()
    assert error["ename"] == outcome.content["ename"] == "ZeroDivisionError"
    assert outcome.content["traceback"] == error["traceback"]


def test_an_error_aborts_what_was_queued_and_nothing_later(kernel: KernelProcess) -> None:
    sent = [kernel.execute(code) for code in ("await worker.comms.get(); 1/0", "1", "2", "3")]
    kernel.let_go()
    outcomes = [kernel.outcome(msg_id) for msg_id in sent]
    statuses = [outcome.content["status"] for outcome in outcomes]
    assert statuses == ["error", "aborted", "aborted", "aborted"]
    assert all(outcome.states == ["busy", "idle"] for outcome in outcomes[1:])
    assert outcomes[1].reply["metadata"]["status"] == "aborted"
    assert kernel.run("4").content["status"] == "ok"


def test_only_execute_requests_are_aborted(kernel: KernelProcess) -> None:
    failing = kernel.execute("await worker.comms.get(); 1/0")
    asked = kernel.send("kernel_info_request", {})
    kernel.let_go()
    kernel.outcome(failing)
    assert kernel.outcome(asked).content["status"] == "ok"


@pytest.mark.parametrize("how", [{"stop_on_error": False}, {"silent": True}])
def test_without_stop_on_error_the_next_cell_runs(
    kernel: KernelProcess, how: dict[str, bool]
) -> None:
    failing = kernel.execute("await worker.comms.get(); 1/0", **how)
    following = kernel.execute("2")
    kernel.let_go()
    assert kernel.outcome(failing).content["status"] == "error"
    assert kernel.outcome(following).content["status"] == "ok"


def test_what_a_finished_cell_prints_later_still_carries_its_parent(kernel: KernelProcess) -> None:
    first = kernel.execute("later = emit; worker.memory['later'] = later")
    kernel.outcome(first)
    second = kernel.execute("worker.memory['later']('stream', {'name': 'stdout', 'text': 'late'})")
    kernel.reply(second)
    assert kernel.output("stream")["parent_header"]["msg_id"] == first
    kernel.until_idle(second)


def test_output_in_an_unknown_name_goes_to_the_latest_cell(kernel: KernelProcess) -> None:
    code = "emit('stream', {'name': 'stdout', 'text': 'x'}, parent_id='forged')"
    assert kernel.run(code).text == "x"


def test_text_that_utf8_or_json_cannot_express_is_mended(kernel: KernelProcess) -> None:
    outcome = kernel.run(
        "emit('stream', {'name': 'stdout', 'text': 'a\\ud800b\\ud83d\\ude00'})\n"
        "data = {'application/json': {'x': [float('nan'), float('inf')]}}\n"
        "emit('display_data', {'data': data, 'metadata': {}}, metadata={'y': float('nan')})\n"
        "answer_with(payload=[{'source': 'page', 'text': '\\udfff'}])"
    )
    assert outcome.text == "a\ufffdb\U0001f600"
    (display,) = outcome.outputs("display_data")
    assert display["data"]["application/json"] == {"x": ["nan", "inf"]}
    assert outcome.content["payload"][0]["text"] == "\ufffd"


def test_buffers_and_metadata_of_outputs_reach_the_client(kernel: KernelProcess) -> None:
    msg_id = kernel.execute(
        "content = {'data': {}, 'metadata': {}}\n"
        "emit('display_data', content, buffers=[b'ab', b''], metadata={'k': 1})"
    )
    display = kernel.output("display_data")
    assert [bytes(buffer) for buffer in display["buffers"]] == [b"ab", b""]
    assert display["metadata"] == {"k": 1}
    kernel.outcome(msg_id)


def test_a_reply_is_cut_down_to_what_the_spec_names(kernel: KernelProcess) -> None:
    content = kernel.run("answer_with(payload=[1, {'a': 1}], user_expressions=3, extra=4)").content
    assert content.keys() == {"status", "execution_count", "payload", "user_expressions"}
    assert (content["payload"], content["user_expressions"]) == ([{"a": 1}], {})


def test_a_reply_with_a_senseless_status_is_an_error(kernel: KernelProcess) -> None:
    content = kernel.run("answer_with(status='splendid', traceback='none')").content
    assert (content["status"], content["ename"], content["traceback"]) == (
        "error",
        "RemoteProtocolError",
        [],
    )


def test_the_guest_gets_the_request_with_the_defaults_of_the_spec(kernel: KernelProcess) -> None:
    msg_id = kernel.send("execute_request", {"code": "show(dict(request.content))"})
    (result,) = kernel.outcome(msg_id).outputs("execute_result")
    assert eval(result["data"]["text/plain"]) == {
        "code": "show(dict(request.content))",
        "silent": False,
        "store_history": True,
        "allow_stdin": False,
        "user_expressions": {},
    }


def test_the_guest_gets_the_metadata_of_the_request(kernel: KernelProcess) -> None:
    content = {"code": "show({k: v for k, v in request.metadata.items() if '.' not in k})"}
    outcome = kernel.ask("execute_request", content, metadata={"cellId": "c"})
    assert outcome.outputs("execute_result")[0]["data"]["text/plain"] == "{'cellId': 'c'}"


@pytest.mark.parametrize("content", [{}, {"code": 3}, {"code": None}])
def test_a_malformed_cell_gets_an_error_reply(
    kernel: KernelProcess, content: dict[str, object]
) -> None:
    outcome = kernel.ask("execute_request", content)
    assert outcome.content["status"] == "error"
    assert "code must be a string" in outcome.content["evalue"]
    assert outcome.states == ["busy", "idle"]


def test_output_above_the_limit_is_cut_with_one_notice_and_the_reply_is_intact(
    kernel: KernelProcess,
) -> None:
    outcome = kernel.run("for n in range(300): print(str(n).zfill(1000))")
    *kept, notice = outcome.outputs("stream")
    lines = "".join(stream["text"] for stream in kept).split()
    assert lines == [str(n).zfill(1000) for n in range(len(lines))]
    assert 50 < len(lines) < 100
    assert notice["name"] == "stderr"
    assert "more than 0.1 MB" in notice["text"]
    assert "--output-limit" in notice["text"]
    assert outcome.content["status"] == "ok"
    assert kernel.run("print('next')").text == "next\n"


def test_a_message_of_an_unknown_type_gets_its_statuses_and_the_kernel_goes_on(
    kernel: KernelProcess,
) -> None:
    msg_id = kernel.send("no_such_request", {})
    states = [message["content"]["execution_state"] for message in kernel.until_idle(msg_id)]
    assert states == ["busy", "idle"]


def test_a_message_that_is_none_is_ignored(kernel: KernelProcess) -> None:
    socket = kernel.client.shell_channel.socket
    socket.send_multipart([b"<IDS|MSG>", b"bad signature", b"{}", b"{}", b"{}", b"{}"])
    socket.send_multipart([b"nothing"])
    assert kernel.run("pass").content["status"] == "ok"


def test_history_is_answered_with_the_cells_of_this_session(kernel: KernelProcess) -> None:
    count = kernel.run("show('marked')").content["execution_count"]
    asked = {"hist_access_type": "tail", "output": False, "raw": True, "n": 1}
    (row,) = kernel.ask("history_request", asked).content["history"]
    assert row[1:] == [count, "show('marked')"]
    asked = {"hist_access_type": "range", "output": True, "session": 0, "start": count}
    history = kernel.ask("history_request", asked).content["history"]
    assert history == [[0, count, ["show('marked')", "'marked'"]]]


def test_a_malformed_history_request_gets_an_error_reply(kernel: KernelProcess) -> None:
    content = kernel.ask("history_request", {"hist_access_type": "all"}).content
    assert (content["status"], content["history"]) == ("error", [])


@pytest.mark.parametrize(
    ("msg_type", "content", "expected"),
    [
        (
            "complete_request",
            {"code": "zi", "cursor_pos": 99},
            {"status": "ok", "matches": ["zip"], "cursor_start": 0, "cursor_end": 2}
            | {"metadata": {}},
        ),
        (
            "inspect_request",
            {"code": "zip", "cursor_pos": 3},
            {"status": "ok", "found": True, "data": {"text/plain": "help"}, "metadata": {}},
        ),
        ("is_complete_request", {"code": "if x:"}, {"status": "incomplete", "indent": "    "}),
        ("comm_info_request", {}, {"status": "ok", "comms": {"c1": {"target_name": "t"}}}),
    ],
)
def test_the_guest_answers_the_other_requests(
    kernel: KernelProcess, msg_type: str, content: dict[str, object], expected: dict[str, object]
) -> None:
    outcome = kernel.ask(msg_type, content)
    assert outcome.content == expected
    assert outcome.reply["msg_type"] == msg_type.replace("request", "reply")


@pytest.mark.parametrize(
    ("msg_type", "answer", "expected"),
    [
        ("complete_request", {"status": "ok", "matches": [1, "a"]}, {"matches": ["a"]}),
        ("complete_request", {"status": "bad"}, {"status": "error"}),
        ("inspect_request", {"status": "ok", "found": 1, "data": []}, {"found": False, "data": {}}),
        ("is_complete_request", {"status": "perhaps"}, {"status": "unknown"}),
        ("comm_info_request", {"comms": {"c": 3}}, {"comms": {}}),
    ],
)
def test_senseless_answers_of_the_guest_become_sound_replies(
    kernel: KernelProcess, msg_type: str, answer: dict[str, object], expected: dict[str, object]
) -> None:
    kernel.run(f"worker.memory[{msg_type!r}] = {answer!r}")
    content = kernel.ask(msg_type, {"code": "x", "cursor_pos": 1}).content
    kernel.run(f"del worker.memory[{msg_type!r}]")
    assert {name: content[name] for name in expected} == expected


@pytest.mark.parametrize("msg_type", ["complete_request", "inspect_request", "is_complete_request"])
def test_malformed_requests_get_error_replies(kernel: KernelProcess, msg_type: str) -> None:
    assert kernel.ask(msg_type, {"code": 1}).content["status"] == "error"


@pytest.mark.parametrize(
    "msg_type",
    ["execute_request", "complete_request", "debug_request", "create_subshell_request"],
)
def test_the_control_channel_refuses_what_would_block_it_or_does_not_exist(
    kernel: KernelProcess, msg_type: str
) -> None:
    content = {"code": "1", "cursor_pos": 0}
    reply = kernel.ask(msg_type, content, channel="control").content
    assert (reply["status"], reply["ename"]) == ("error", "NotImplementedError")


def test_kernel_info_names_only_what_works(kernel: KernelProcess) -> None:
    for channel in ("shell", "control"):
        content = kernel.ask("kernel_info_request", {}, channel=channel).content
        assert content["supported_features"] == []
        assert content["implementation"] == "pyodide-kernel"
        assert content["language_info"]["version"] == "3.14.2"
        assert "IPython 9.18.1" in content["banner"]
        assert "Pyodide 314.0.7" in content["banner"]


def test_connect_request_names_the_ports(kernel: KernelProcess) -> None:
    content = kernel.ask("connect_request", {}).content
    info = json.loads(Path(kernel.manager.connection_file).read_text("utf-8"))
    for name in ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"):
        assert content[name] == info[name]


def test_usage_request_reports_memory(kernel: KernelProcess) -> None:
    content = kernel.ask("usage_request", {}, channel="control").content
    assert content["kernel_memory"] > 10_000_000
    assert content["pid"] == kernel.pid


def test_an_interrupt_ends_the_cell_and_nothing_else(kernel: KernelProcess) -> None:
    msg_id = kernel.execute("print('on'); await asyncio.sleep(60)")
    kernel.output("stream")
    reply = kernel.ask("interrupt_request", {}, channel="control").content
    assert reply == {"status": "ok"}
    assert kernel.reply(msg_id)["content"]["ename"] == "KeyboardInterrupt"


def test_an_interrupt_while_nothing_runs_does_nothing(kernel: KernelProcess) -> None:
    assert kernel.ask("interrupt_request", {}, channel="control").content == {"status": "ok"}
    assert kernel.run("pass").content["status"] == "ok"
