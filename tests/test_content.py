from __future__ import annotations

from typing import Any

import pytest

from pyodide_kernel import content


def test_an_execute_request_gets_the_defaults_of_the_spec() -> None:
    request = content.read_execute_request({"code": "1"})
    assert (request.silent, request.store_history, request.allow_stdin) == (False, True, False)
    assert request.stop_on_error is True
    assert request.user_expressions == {}


def test_a_silent_request_is_never_stored() -> None:
    request = content.read_execute_request({"code": "1", "silent": True, "store_history": True})
    assert request.store_history is False


@pytest.mark.parametrize("access", [None, "all", 3])
def test_an_unknown_kind_of_history_is_refused(access: object) -> None:
    with pytest.raises(ValueError, match="tail, range or search"):
        content.read_history_request({"hist_access_type": access})


def test_senseless_members_of_a_history_request_count_as_absent() -> None:
    query = content.read_history_request(
        {"hist_access_type": "range", "session": "x", "start": None, "stop": True, "pattern": 5}
    )
    assert (query.session, query.start, query.stop, query.pattern) == (0, 1, None, "*")


def test_an_aborted_reply_is_nothing_but_aborted() -> None:
    assert content.execute_reply({"status": "aborted", "x": 1}, execution_count=3) == {
        "status": "aborted"
    }


@pytest.mark.parametrize("count", [None, True, "7", -1, 2.5, 10**400])
def test_a_senseless_prompt_number_is_replaced(count: object) -> None:
    reply = content.execute_reply({"status": "ok", "execution_count": count}, execution_count=3)
    assert reply["execution_count"] == 3


def test_an_error_reply_without_a_name_names_the_breach() -> None:
    reply = content.execute_reply({"status": "error", "traceback": [1, "x"]}, execution_count=1)
    assert (reply["ename"], reply["evalue"]) == ("RemoteProtocolError", "")
    assert reply["traceback"] == ["x"]


@pytest.mark.parametrize(("asked", "expected"), [(99, 2), (-1, 0), (None, 2), ("1", 2), (1, 1)])
def test_cursor_positions_stay_within_the_code(asked: object, expected: int) -> None:
    read = content.RELAYS["complete_request"].read
    assert read({"code": "ab", "cursor_pos": asked})["cursor_pos"] == expected


def test_cursor_positions_count_code_points() -> None:
    read = content.RELAYS["complete_request"].read
    assert read({"code": "\U0001f600x", "cursor_pos": 2})["cursor_pos"] == 2


@pytest.mark.parametrize(
    ("msg_type", "answer"),
    [
        ("complete_request", {"status": "ok"}),
        ("inspect_request", {"status": "ok"}),
        ("is_complete_request", {}),
        ("comm_info_request", {"comms": None}),
    ],
)
def test_replies_are_whole_whatever_the_guest_left_out(
    msg_type: str, answer: dict[str, Any]
) -> None:
    relay = content.RELAYS[msg_type]
    asked = relay.read({"code": "x", "cursor_pos": 1})
    assert relay.answer(answer, asked)["status"] in ("ok", "unknown")
