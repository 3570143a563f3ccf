from __future__ import annotations

import pytest
from guest.guest import Guest

RICH = """\
class Rich:
    def __repr__(self): return 'plain'
    def _repr_html_(self): return '<b>rich</b>'
    def _repr_png_(self): return b'\\x89PNG', {'width': 3}
"""


def test_rich_objects_show_all_their_forms(guest: Guest) -> None:
    outcome = guest.run(f"{RICH}\nRich()")
    (content,) = outcome.of("execute_result")
    assert content["data"] == {
        "text/plain": "plain",
        "text/html": "<b>rich</b>",
        "image/png": "iVBORw==",
    }
    assert content["metadata"] == {"image/png": {"width": 3}}


def test_displays_come_after_what_was_printed_before_them(guest: Guest) -> None:
    outcome = guest.run(
        "import sys\nprint('a')\nprint('b', end='')\ndisplay(1)\nprint('c', file=sys.stderr)\n2"
    )
    assert outcome.types == ["stream", "stream", "display_data", "stream", "execute_result"]
    assert (outcome.stdout, outcome.stderr) == ("a\nb", "c\n")


def test_displays_are_updated_by_their_id(guest: Guest) -> None:
    outcome = guest.run(
        "handle = display('one', display_id=True)\n"
        "handle.update('two')\n"
        "display('three', display_id='mine')\n"
        "from IPython.display import update_display\n"
        "update_display('four', display_id='mine')"
    )
    assert outcome.types == ["display_data", "update_display_data"] * 2
    ids = [message.content["transient"]["display_id"] for message in outcome.outputs]
    assert ids[0] == ids[1]
    assert ids[2:] == ["mine", "mine"]
    assert [message.content["data"]["text/plain"] for message in outcome.outputs] == [
        "'one'",
        "'two'",
        "'three'",
        "'four'",
    ]


@pytest.mark.parametrize("wait", [True, False])
def test_output_is_cleared_in_order(guest: Guest, wait: bool) -> None:
    outcome = guest.run(
        "from IPython.display import clear_output\n"
        f"print(1, end='')\nclear_output({wait})\nprint(2)"
    )
    assert outcome.types == ["stream", "clear_output", "stream"]
    assert outcome.of("clear_output") == [{"wait": wait}]


def test_raw_bundles_are_cleaned(guest: Guest) -> None:
    outcome = guest.run(
        "display({'application/json': {'a': (1, float('nan')), 2: b'x'}, 'image/png': b'123'},\n"
        "        raw=True, metadata={'image/png': {'size': {4}}})"
    )
    (content,) = outcome.of("display_data")
    assert content["data"] == {
        "application/json": {"a": [1, "nan"], "2": "eA=="},
        "image/png": "MTIz",
    }
    assert content["metadata"] == {"image/png": {"size": [4]}}


def test_bundle_without_json_form_is_the_users_error(guest: Guest) -> None:
    outcome = guest.run("display({'application/json': object()}, raw=True)")
    name, text = outcome.error
    assert name == "ValueError"
    assert "can't express in JSON" in text
    assert outcome.of("display_data") == []


def test_numpy_scalars_are_numbers(guest: Guest) -> None:
    pytest.importorskip("numpy")
    outcome = guest.run(
        "import numpy as np\n"
        "display({'application/json': [np.int64(3), np.float32(0.5)]}, raw=True)"
    )
    assert outcome.of("display_data")[0]["data"] == {"application/json": [3, 0.5]}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("display({'text/plain': 'x' * 3000}, raw=True)", "display_data"),
        ("class Big:\n    def __repr__(self): return 'x' * 3000\nBig()", "execute_result"),
    ],
)
def test_too_large_an_output_is_refused_with_its_size_and_the_limit(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, code: str, kind: str
) -> None:
    guest.run("%xmode Minimal")
    monkeypatch.setattr(guest.host, "message_limit", 3000)
    outcome = guest.run(code)
    monkeypatch.undo()
    guest.run("%xmode Context")
    name, text = outcome.error
    assert name == "MessageTooLargeError"
    assert f"this {kind} message has 3," in text
    assert "the limit of 3,000" in text
    assert outcome.of(kind) == []


def test_hooks_see_change_and_swallow_outputs(guest: Guest) -> None:
    outcome = guest.run(
        "seen = []\n"
        "def hook(msg):\n"
        "    seen.append(msg['header']['msg_type'])\n"
        "    msg['content']['data']['text/plain'] = 'changed'\n"
        "    return None if len(seen) > 1 else msg\n"
        "pub = get_ipython().display_pub\n"
        "pub.register_hook(hook)\n"
        "display(1); display(2)\n"
        "removed = pub.unregister_hook(hook), pub.unregister_hook(hook)\n"
        "display(3)"
    )
    shown = [content["data"]["text/plain"] for content in outcome.of("display_data")]
    assert shown == ["changed", "3"]
    assert guest.run("seen, removed").result == "(['display_data', 'display_data'], (True, False))"


def test_hooks_see_results_too(guest: Guest) -> None:
    guest.shell.displayhook.register_hook(lambda _msg: None)
    assert guest.run("1").outputs == []
    guest.shell.displayhook._hooks.clear()
    assert guest.run("1").result == "1"


def test_hundred_thousand_displays_are_complete_and_in_order(guest: Guest) -> None:
    count = 2000
    outcome = guest.run(
        f"pub = get_ipython().display_pub\n"
        f"for n in range({count}): pub.publish({{'text/plain': str(n)}})"
    )
    shown = [content["data"]["text/plain"] for content in outcome.of("display_data")]
    assert shown == [str(n) for n in range(count)]


def test_python_objects_of_ipython_display_work(guest: Guest) -> None:
    outcome = guest.run(
        "from IPython.display import *\n"
        "display(HTML('<i>'), Markdown('*a*'), JSON({'a': 1}), Latex('$x$'), SVG('<svg></svg>'),\n"
        "        Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png'), Javascript('1'))"
    )
    kinds = [next(k for k in c["data"] if k != "text/plain") for c in outcome.of("display_data")]
    assert kinds == [
        "text/html",
        "text/markdown",
        "application/json",
        "text/latex",
        "image/svg+xml",
        "image/png",
        "application/javascript",
    ]
