from __future__ import annotations

from contextvars import Context, copy_context

from pyodide_kernel.guest.parent import Parent


def test_code_of_a_request_names_it() -> None:
    parent = Parent()
    with parent.request("a", nested=False):
        assert parent.current_id() == "a"


def test_what_a_request_left_behind_keeps_naming_it() -> None:
    parent = Parent()
    with parent.request("a", nested=False):
        left_behind = copy_context()
    with parent.request("b", nested=False):
        assert left_behind.run(parent.current_id) == "a"


def test_foreign_callbacks_name_the_last_request() -> None:
    parent = Parent()
    with parent.request("a", nested=False):
        assert Context().run(parent.current_id) == "a"
    with parent.request("b", nested=False):
        pass
    assert Context().run(parent.current_id) == "b"


def test_nested_request_gives_the_fallback_back() -> None:
    parent = Parent()
    with parent.request("cell", nested=False):
        with parent.request("comm", nested=True):
            assert Context().run(parent.current_id) == "comm"
        assert Context().run(parent.current_id) == "cell"


def test_before_any_request_there_is_no_parent() -> None:
    assert Parent().current_id() == ""
