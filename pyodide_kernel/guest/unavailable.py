"""Well-known packages that have no build for WebAssembly: why, and what to use instead."""

from __future__ import annotations

from typing import Final

_TENSORS: Final = "it needs native code, threads and processors that WebAssembly has not"

_UNAVAILABLE: Final = {
    "torch": (_TENSORS, "scikit-learn, or numpy with autograd"),
    "tensorflow": (_TENSORS, "scikit-learn, or numpy with autograd"),
    "keras": (_TENSORS, "scikit-learn"),
    "jax": (_TENSORS, "numpy with autograd"),
    "numba": ("it compiles machine code, which WebAssembly can't run", "numpy's array functions"),
    "pyspark": ("it starts Java", "pandas or duckdb"),
    "dask.distributed": ("it starts processes", "dask with scheduler='synchronous'"),
    "psycopg2": ("it opens sockets", "sqlite3 or duckdb"),
    "psutil": ("there are no processes to look at", "the kernel's own usage in the front end"),
    "tkinter": ("there are no windows", "matplotlib, ipywidgets"),
    "PyQt5": ("there are no windows", "matplotlib, ipywidgets"),
    "PyQt6": ("there are no windows", "matplotlib, ipywidgets"),
    "pygame": ("there are no windows", "matplotlib's animations"),
    "multiprocess": ("there are no processes", "asyncio, or plain loops"),
    "ray": ("it starts processes", "plain loops over numpy arrays"),
    "selenium": ("it starts a browser", "requests and beautifulsoup4"),
    "playwright": ("it starts a browser", "requests and beautifulsoup4"),
}


def reason_for(module: str) -> str:
    """One sentence for a module that can't be had here; empty if it is not known to be one."""
    entry = _UNAVAILABLE.get(module)
    if entry is None:
        return ""
    reason, instead = entry
    return f"{module} has no build for WebAssembly: {reason}. Nearest alternative: {instead}"
