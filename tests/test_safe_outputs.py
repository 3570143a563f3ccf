"""What `--safe-outputs` takes out, and what it leaves."""

from __future__ import annotations

import base64
import itertools
import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyodide_kernel.safe_html import HtmlCleaner, clean_html
from pyodide_kernel.safe_outputs import SafeOutputs, SafeStream, safe_text

SAFE = SafeOutputs(html=clean_html)
PIXEL = base64.b64encode(b"\x89PNG").decode()


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain\ttext\r\n\b", "plain\ttext\r\n\b"),
        ("\x1b[1;31mred\x1b[0m \x1b[38;5;9mx\x1b[38:2::1:2:3my\x1b[m", None),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]52;c;ZXZpbA==\x1b\\after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;never ends", ""),
        ("\x1bP1$r0m\x1b\\after", "after"),
        ("\x1b_G payload\x1b\\after", "after"),
        ("\x1b[2J\x1b[H\x1b[?1049hafter", "after"),
        ("\x1b[6n\x1b[c\x1b[21tafter", "after"),
        ("\x1b[>4;2mafter", "after"),
        ("\x1b[?1mafter", "after"),
        ("\x1b[1 mafter", "after"),
        ("\x1bcafter\x1b7\x1b(0", "after"),
        ("\x9b2Jafter", "after"),
        ("\x9b31mafter", "after"),
        ("\x9d0;title\x9cafter", "after"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("\x1b[31", ""),
        ("\x1b\x1b[2Jafter", "after"),
        ("\x07\x00\x0e\x7fafter", "after"),
        ("\x1b]0;a\x1b[31mred", "\x1b[31mred"),
        ("\x1b]0;a\nnext line", "\nnext line"),
    ],
)
def test_only_colours_are_left_of_a_terminals_sequences(text: str, safe: str | None) -> None:
    assert safe_text(text) == (text if safe is None else safe)


@given(st.text(alphabet="\x1b[]0123;:mP\\_\x07\x9b\x9d\x9c?>HJ 4a", max_size=40))
def test_no_sequence_is_made_of_what_is_left(text: str) -> None:
    safe = safe_text(text)
    rest = re.sub(r"\x1b\[[0-9;:]*m", "", safe)
    assert not re.search(r"[\x00-\x07\x0b\x0c\x0e-\x1f\x7f-\x9f]", rest)
    assert safe_text(safe) == safe


PIECES = st.text(alphabet="\x1b[]0123;:mP\\_\x07\x9b\x9d\x9c?>HJ 4a\n", max_size=40)


@given(PIECES, st.lists(st.integers(0, 40)))
def test_a_stream_is_the_same_wherever_it_is_cut(text: str, cuts: list[int]) -> None:
    places = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    stream = SafeStream()
    shown = "".join(stream.clean(text[start:end]) for start, end in itertools.pairwise(places))
    assert shown == safe_text(text)


def test_what_does_not_end_is_not_kept_for_ever() -> None:
    stream = SafeStream()
    assert stream.clean("\x1b[" + "1;" * 10_000) == ""
    assert stream.clean("31mtext") == "31mtext"
    for _ in range(100):
        assert stream.clean("\x1b]0;" + "x" * 10_000) == ""
    assert len(stream._rest) < 10
    assert stream.clean("x\nnext line") == "\nnext line"


def test_streams_and_cells_do_not_complete_one_another() -> None:
    def piece(cell: str, name: str, text: str) -> str:
        shown = SAFE.stream(cell, {"name": name, "text": text})
        assert shown["name"] == name
        return str(shown["text"])

    assert piece("1", "stdout", "a\x1b[3") == "a"
    assert piece("1", "stderr", "1mb") == "1mb"
    assert piece("1", "stdout", "1mc") == "\x1b[31mc"
    assert piece("1", "stdout", "\x1b[3") == ""
    assert piece("2", "stdout", "1md") == "1md"


ACTIVE_HTML = [
    "<script>alert(1)</script>",
    "<ScRiPt src=//x></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://tracker/x.png'>",
    "<img srcset='https://tracker/x.png'>",
    "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
    "<img src='data:text/html;base64,AAAA'>",
    "<img src='image/png;base64,AAAA'>",
    "<img src='/api/shutdown'>",
    "<p onclick='alert(1)' onmouseover=alert(1)>x</p>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href=' &#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>1</script>'>x</a>",
    "<a href=' DATA:text/html,x'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='/logout'>x</a>",
    "<a href='//evil/'>x</a>",
    "<iframe src='https://x'></iframe><iframe srcdoc='<script>1</script>'></iframe>",
    "<object data='x.swf'></object><embed src='x'>",
    "<svg onload=alert(1)><script>1</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<meta http-equiv=refresh content='0;url=https://x'>",
    "<base href='https://x/'>",
    "<link rel=stylesheet href='https://x'>",
    "<style>@import 'https://x'; body { display: none }</style>",
    "<div style='background:url(https://x)'>x</div>",
    "<div style='background-color:red;background-image:url(https://x)'>x</div>",
    "<div style='color:red;border:1px solid url(https://x)'>x</div>",
    "<div style='width:expression(alert(1))'>x</div>",
    "<div style='position:fixed;top:0;left:0;width:100%;z-index:9999'>x</div>",
    "<form action='https://x'><input name=a><button formaction='javascript:1'>x</button></form>",
    "<video src='https://x' autoplay></video><audio src='https://x'>",
    "<div data-commandlinker-command='filebrowser:delete' data-x=y>x</div>",
    "<div id='location' class='jp-Button'>x</div>",
    "<template><script>1</script></template>",
    "<x-custom>x</x-custom><!-- <script>1</script> --><![CDATA[<script>]]>",
    "<table background='https://x'><tr><td background='https://x'>x</td></tr></table>",
]


class Found(HTMLParser):
    """All tags and attributes of some HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.mark.parametrize("html", ACTIVE_HTML)
def test_nothing_that_acts_is_left_of_html(html: str) -> None:
    found = Found()
    found.feed(clean_html(html))
    assert set(found.tags) <= {"p", "a", "img", "div", "table", "tbody", "tr", "td"}
    for name, value in found.attributes:
        assert name in ("rel", "title", "style"), (name, value)
        assert not re.search("url|expression|position|image|script", value)


@pytest.mark.parametrize(
    "html",
    [
        "<h1>Title</h1><p><b>bold</b> <em>x</em> <code>y</code></p><ul><li>1</li></ul>",
        '<table border="1" class="dataframe"><thead><tr><th>a</th></tr></thead></table>',
        '<td style="color:red;text-align:right">x</td>',
        f'<img src="data:image/png;base64,{PIXEL}" width="3">',
        "<details><summary>more</summary>text</details>",
    ],
)
def test_what_does_not_act_is_left(html: str) -> None:
    text = re.sub(r"</?td[^>]*>", "", html) if html.startswith("<td") else html
    safe = clean_html(f"<table><tr>{html}</tr></table>" if html.startswith("<td") else html)
    assert (html if html.startswith("<td") else text) in safe.replace("<tbody>", "")


def test_links_lead_out_and_say_nothing_of_where_they_come_from() -> None:
    assert clean_html('<a href="https://example.org/">x</a>') == (
        '<a href="https://example.org/" rel="noopener noreferrer nofollow">x</a>'
    )


@pytest.mark.parametrize(
    "form",
    [
        "application/javascript",
        "application/vnd.vegalite.v5+json",
        "application/vnd.plotly.v1+json",
        "application/vnd.jupyter.widget-view+json",
        "application/vnd.bokehjs_exec.v0+json",
        "application/pdf",
        "text/x-anything",
    ],
)
def test_forms_that_act_are_left_out(form: str) -> None:
    assert SAFE.bundle({form: {"a": 1}, "text/plain": "<Plot>"}) == {"text/plain": "<Plot>"}
    assert SAFE.bundle({form: "x"}) == {"text/plain": f"[left out by --safe-outputs: {form}]"}


def test_pictures_and_json_are_left() -> None:
    data = {"image/png": PIXEL, "application/json": {"a": [1, "\x1b[2Jx"]}, "text/plain": "x"}
    assert SAFE.bundle(data) == data | {"application/json": {"a": [1, "x"]}}
    assert "image/png" not in SAFE.bundle({"image/png": '"><script>', "text/plain": "x"})


def test_svg_is_shown_as_a_picture_in_which_no_script_runs() -> None:
    svg = "<svg onload='alert(1)'><script>alert(2)</script></svg>"
    html = SAFE.bundle({"image/svg+xml": svg, "text/plain": "x"})["text/html"]
    encoded = base64.b64encode(svg.encode()).decode()
    assert html == f'<img alt="SVG" src="data:image/svg+xml;base64,{encoded}">'
    assert clean_html(html) == html


def test_markdown_and_latex_are_shown_as_their_source() -> None:
    for form in ("text/markdown", "text/latex"):
        source = r"**b** <script>1</script> [x](javascript:1) \href{javascript:1}{x}"
        data = {form: source, "text/plain": "<IPython.core.display.Markdown object>"}
        assert SAFE.bundle(data) == {"text/plain": source}


def test_everything_of_a_reply_is_cleaned() -> None:
    bad: dict[str, Any] = {"text/html": "<script>1</script>x", "text/plain": "\x1b[2Jx"}
    good = {"text/html": "x", "text/plain": "x"}
    reply = SAFE.content(
        "execute_reply",
        {
            "status": "error",
            "ename": "\x1b]0;t\x07E",
            "evalue": "v\x1b[2J",
            "traceback": ["\x1b[31mE\x1b[0m\x1b[H"],
            "execution_count": 3,
            "user_expressions": {
                "a": {"status": "ok", "data": bad, "metadata": {"text/html": {"isolated": True}}},
                "b": {"status": "error", "ename": "\x1bcE", "evalue": "", "traceback": []},
                "c": 5,
            },
            "payload": [
                {"source": "page", "data": bad, "start": 0},
                {"source": "set_next_input", "text": "\x1b[2J1", "replace": False, "x": "<b>"},
                {"source": "ask_exit", "keepkernel": False},
                {"source": "edit_magic", "filename": "/etc/passwd"},
            ],
        },
    )
    assert reply == {
        "status": "error",
        "ename": "E",
        "evalue": "v",
        "traceback": ["\x1b[31mE\x1b[0m"],
        "execution_count": 3,
        "user_expressions": {
            "a": {"status": "ok", "data": good, "metadata": {}},
            "b": {"status": "error", "ename": "E", "evalue": "", "traceback": []},
            "c": {},
        },
        "payload": [
            {"source": "page", "data": good, "start": 0},
            {"source": "set_next_input", "text": "1", "replace": False},
            {"source": "ask_exit", "keepkernel": False},
        ],
    }


def test_sizes_of_pictures_are_the_only_metadata_left() -> None:
    metadata = {"image/png": {"width": 3, "height": "<b>"}, "text/html": {"isolated": True}}
    content = {"data": {"image/png": PIXEL}, "metadata": metadata, "transient": {"display_id": "a"}}
    safe = SAFE.content("update_display_data", content)
    assert safe["metadata"] == {"image/png": {"width": 3}}
    assert safe["transient"] == {"display_id": "a"}


def test_a_completion_has_no_metadata() -> None:
    reply = {"status": "ok", "matches": ["a\x1b[2J"], "metadata": {"x": "<b>"}, "cursor_start": 0}
    assert SAFE.content("complete_reply", reply) == {
        "status": "ok",
        "matches": ["a"],
        "metadata": {},
        "cursor_start": 0,
    }


def test_a_lone_surrogate_is_no_error() -> None:
    assert clean_html("<b>\ud800</b>") == "<b>?</b>"


def test_history_is_cleaned() -> None:
    reply = {"status": "ok", "history": [[1, 2, ["x", "\x1b[2Jout"]], (1, 3, "\x1bcy")]}
    assert SAFE.content("history_reply", reply)["history"] == [[1, 2, ["x", "out"]], [1, 3, "y"]]


def test_members_that_nobody_knows_are_left_out() -> None:
    content = {"data": {}, "metadata": {}, "execution_count": 3, "other": "<script>"}
    assert set(SAFE.content("execute_result", content)) == {"data", "metadata", "execution_count"}


@pytest.fixture
def cleaner() -> Iterator[HtmlCleaner]:
    cleaner = HtmlCleaner(cleaning_s=1, rest_s=1000)
    yield cleaner
    cleaner.close()
    assert cleaner("<b>x</b>") is None


def test_a_process_cleans_html(cleaner: HtmlCleaner) -> None:
    for text in ("<b>é<script>1</script></b>", "", "x" * 3_000_000, "\ud800"):
        assert cleaner(text) == clean_html(text)


def test_html_that_is_made_to_take_long_is_left_out_and_the_next_for_a_while(
    cleaner: HtmlCleaner,
) -> None:
    slow = "".join(f"<b id={number}>" for number in range(10_000)) + "<p></b>" * 10_000
    begin = time.monotonic()
    assert cleaner(slow) is None
    assert cleaner("<b>x</b>") is None
    assert time.monotonic() - begin < 20
    bundle = SafeOutputs(html=cleaner).bundle({"text/html": slow})
    assert bundle == {"text/plain": "[left out by --safe-outputs: text/html]"}


def test_html_is_cleaned_again_after_the_rest() -> None:
    cleaner = HtmlCleaner(cleaning_s=10, rest_s=0)
    try:
        assert cleaner("x") == "x"
        assert cleaner._process is not None
        cleaner._process.kill()
        assert cleaner("y") is None
        assert cleaner("z") == "z"
    finally:
        cleaner.close()


def test_what_is_no_picture_is_found_so_at_once() -> None:
    begin = time.monotonic()
    assert "image/png" not in SAFE.bundle({"image/png": " " * 3_000_000 + "!", "text/plain": "x"})
    assert time.monotonic() - begin < 5


def test_deep_values_have_an_end() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]
    shown = SAFE.content("execute_reply", {"user_expressions": {"a": {"evalue": value}}})
    assert "nested too deep" in str(shown)
    assert "nested too deep" in str(SAFE.bundle({"application/json": value}))


def test_an_error_in_the_place_of_a_reply_stays_one() -> None:
    error = {"status": "error", "ename": "E\x1bc", "evalue": "v", "traceback": ["\x1b[2Jt"]}
    for msg_type in ("inspect_reply", "complete_reply", "is_complete_reply", "comm_info_reply"):
        assert SAFE.content(msg_type, error | {"other": "<script>"}) == {
            "status": "error",
            "ename": "E",
            "evalue": "v",
            "traceback": ["t"],
        }


def test_too_much_html_is_left_out(cleaner: HtmlCleaner) -> None:
    assert cleaner("x" * 20_000_001) is None
    assert cleaner("x") == "x"
