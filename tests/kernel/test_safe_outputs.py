"""`--safe-outputs` in a real kernel: nothing that acts reaches a client, on any way."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psutil
import pytest
from real_kernel import Cell, RealKernel, real_kernel

pytestmark = pytest.mark.deno


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealKernel]:
    with real_kernel(tmp_path_factory.mktemp("safe"), "--safe-outputs") as started:
        started.run("from IPython.display import *\nimport sys")
        yield started


def everything(cell: Cell) -> str:
    """All that came of a cell, but what the client sent itself."""
    outputs = [(name, content) for name, content in cell.outputs if name != "execute_input"]
    return json.dumps([outputs, cell.reply], ensure_ascii=False)


def test_colours_are_left_and_other_sequences_are_not(kernel: RealKernel) -> None:
    code = r"""
print("\x1b[31mred\x1b[0m \x1b[2Jcleared \x1b]0;title\x07\x9b2Jplain")
print("\x1b]52;c;ZXZpbA==\x1b\\clipboard", file=sys.stderr)
"""
    cell = kernel.run(code)
    assert cell.text() == "\x1b[31mred\x1b[0m cleared plain\n"
    assert cell.text("stderr") == "clipboard\n"


def test_a_sequence_in_two_messages_is_one(kernel: RealKernel) -> None:
    code = r"""
for piece in ("a\x1b", "[2", "Jb\x1b[3", "1mc\x1b]0;ti", "tle\x07d", "\x1b[0"):
    print(piece, end="", flush=True)
"""
    assert kernel.run(code).text() == "ab\x1b[31mcd"
    assert kernel.run("print('1me')").text() == "1me\n"


@pytest.mark.parametrize(
    "code",
    [
        "HTML('<script>ACTIVE</script><b onclick=ACTIVE>shown</b><iframe src=//ACTIVE></iframe>')",
        "display(HTML('shown<img src=x onerror=ACTIVE><style>@import ACTIVE</style>'))",
        "display({'text/html': '<a href=javascript:ACTIVE>shown</a>'}, raw=True)",
        "update_display(HTML('shown<embed src=ACTIVE>'), display_id='one')",
        "display(Javascript('ACTIVE')); print('shown')",
        "display({'application/vnd.vega.v5+json': {'ACTIVE': 1}, 'text/plain': 'shown'}, raw=True)",
        "display(HTML('shown'), metadata={'text/html': {'isolated': 'ACTIVE'}})",
        # The source is shown in the traceback.
        "print('shown'); raise Exception('\\x1b]0;ACT' + 'IVE\\x07')",
        "print('shown'); raise type('\\x1b]0;ACT' + 'IVE\\x07E', (Exception,), {})",
        "class A:\n  def __repr__(self): return 'shown\\x1b]0;ACTIVE\\x07'\nA()",
        "get_ipython().payload_manager.write_payload({'source': 'edit', 'ACTIVE': 1}); 'shown'",
        "get_ipython().payload_manager.write_payload({'source': 'page', 'start': 0,"
        " 'data': {'text/html': '<p onclick=ACTIVE>shown</p>'}})",
        "from comm import create_comm; print('shown'); create_comm('ACTIVE', data={'x': 'ACTIVE'})",
    ],
)
def test_what_acts_is_taken_out_and_the_rest_shown(kernel: RealKernel, code: str) -> None:
    found = everything(kernel.run(code))
    assert "shown" in found
    assert "ACTIVE" not in found


def test_svg_is_a_picture_and_markdown_its_source(kernel: RealKernel) -> None:
    (svg,) = kernel.run("display(SVG('<svg onload=\"ACTIVE\"/>'))").of("display_data")
    assert set(svg["data"]) == {"text/html", "text/plain"}
    assert svg["data"]["text/html"].startswith('<img alt="SVG" src="data:image/svg+xml;base64,')
    (text,) = kernel.run("display(Markdown('[x](javascript:y)'))").of("display_data")
    assert text["data"] == {"text/plain": "[x](javascript:y)"}


def test_a_table_of_pandas_keeps_its_form(kernel: RealKernel) -> None:
    table = '<table border="1" class="dataframe"><thead><tr style="text-align: right;"><th>a</th>'
    (content,) = kernel.run(f"display(HTML({table!r}))").of("display_data")
    for part in ('class="dataframe"', 'border="1"', "text-align:right", "<th>a</th>"):
        assert part in content["data"]["text/html"]


def test_answers_to_requests_are_cleaned(kernel: RealKernel) -> None:
    kernel.run(
        r"class E:"
        "\n"
        r"    '''doc \x1b]0;ACTIVE\x07 shown'''"
        "\n"
        r"    def _repr_html_(self): return '<b onclick=ACTIVE>shown</b>'"
        "\n"
        r"    def __dir__(self): return ['shown\x1b]0;ACTIVE\x07']"
        "\n"
        "e = E()"
    )
    client = kernel.client
    inspect = client.inspect("e", reply=True, timeout=60)["content"]
    assert inspect["found"]
    assert "shown" in inspect["data"]["text/plain"]
    expressions = client.execute(
        "", user_expressions={"e": "e", "bad": "1/0"}, reply=True, timeout=60
    )["content"]["user_expressions"]
    assert expressions["e"]["data"]["text/html"] == "<b>shown</b>"
    assert expressions["bad"]["ename"] == "ZeroDivisionError"
    complete = client.complete("e.sh", reply=True, timeout=60)["content"]
    assert complete["metadata"] == {}
    assert "ACTIVE" not in json.dumps([inspect, expressions, complete])


def test_messages_that_code_forges_are_cleaned(kernel: RealKernel) -> None:
    code = """
from pyodide.code import run_js
run_js('''
const body = new TextEncoder().encode(JSON.stringify({
  content: { data: { 'text/html': 'shown<script>ACTIVE</script>' }, metadata: {}, more: 'ACTIVE' },
  metadata: { more: 'ACTIVE' } }));
postMessage({ msg_type: 'display_data', id: '', parent_id: '', body, buffers: [], question: 0 });
''')
import asyncio; await asyncio.sleep(0.1)
"""
    found = everything(kernel.run(code))
    assert "shown" in found
    assert "ACTIVE" not in found


def test_html_made_to_be_slow_is_left_out_and_the_kernel_answers(kernel: RealKernel) -> None:
    code = """
slow = "".join(f"<b id={n}>" for n in range(20_000)) + "<p></b>" * 20_000
for _ in range(5): display({'text/html': slow, 'text/plain': 'plain'}, raw=True)
"""
    contents = kernel.run(code).of("display_data")
    assert [content["data"] for content in contents] == [{"text/plain": "plain"}] * 5
    assert kernel.run("40 + 2").result == "42"


def test_the_process_that_cleans_ends_with_the_kernel(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with real_kernel(tmp_path_factory.mktemp("safe"), "--safe-outputs") as kernel:
        kernel.run("from IPython.display import HTML\nHTML('x')")
        children = psutil.Process(kernel.pid).children()
        assert any("pyodide_kernel.safe_html" in child.cmdline() for child in children)
        psutil.Process(kernel.pid).kill()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert alive == []
