"""Whether code is complete, answered on the host while no interpreter is ready to say so."""

# mypy: disallow-untyped-calls=False
# IPython's functions have no annotations.

from __future__ import annotations

from typing import Any

from IPython.core.inputtransformer2 import TransformerManager


def check_complete(code: str) -> dict[str, Any]:
    """Content of an is_complete_reply.

    The host's Python may not know the syntax of the guest's, so what it takes for invalid, or
    can't compile, is `unknown`: a front end then sends the cell, and the guest decides.
    """
    try:
        status, indent = TransformerManager().check_complete(code)
    except (RecursionError, MemoryError):  # of the compiler; IPython catches its other errors
        return {"status": "unknown"}
    if status == "incomplete":
        return {"status": status, "indent": " " * (indent or 0)}
    return {"status": status if status == "complete" else "unknown"}
