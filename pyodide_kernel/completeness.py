"""Whether code is complete, answered on the host while no interpreter is ready to say so."""

# mypy: disallow-untyped-calls=False
# IPython's functions have no annotations.

from __future__ import annotations

from typing import Any, Final

from IPython.core.inputtransformer2 import TransformerManager

MOST_WORK: Final = 100_000_000
"""Sum of the squares of the lengths of lines, above which code is not looked at."""


def check_complete(code: str) -> dict[str, Any]:
    """Content of an is_complete_reply.

    The host's Python may not know the syntax of the guest's, so what it takes for invalid, or
    can't compile, is `unknown`: a front end then sends the cell, and the guest decides.
    """
    # Python 3.12.1 keeps a copy of the line with each of its tokens: 23 GB for one line of 200 kB.
    if sum(len(line) ** 2 for line in code.split("\n")) > MOST_WORK:
        return {"status": "unknown"}
    try:
        status, indent = TransformerManager().check_complete(code)
    except (RecursionError, MemoryError):  # of the compiler; IPython catches its other errors
        return {"status": "unknown"}
    if status == "incomplete":
        return {"status": status, "indent": " " * (indent or 0)}
    return {"status": status if status == "complete" else "unknown"}
