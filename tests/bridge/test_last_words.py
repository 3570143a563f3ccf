from __future__ import annotations

import pytest

from pyodide_kernel.bridge.process import last_words

HEAP = """
<--- Last few GCs --->

[21453:0x7ff514078000]     3824 ms: Mark-Compact (reduce) 399.3 (399.9) -> 399.3 (399.9) MB

#
# Fatal JavaScript out of memory: Ineffective mark-compacts near heap limit
#
==== C stack trace ===============================

    /opt/deno(+0x28ad64e) [0x564170ae864e]
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", ""),
        ("\n \n#\n", ""),
        ("one\ntwo\n\n", "two"),
        (HEAP, "Fatal JavaScript out of memory: Ineffective mark-compacts near heap limit"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_last_words_are_the_line_that_says_why(text: str, line: str) -> None:
    assert last_words(text) == line
