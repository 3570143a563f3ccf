"""What the code may use up, and how Deno and the operating system are told. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_PAGE_BYTES: Final = 64 * 1024
_MOST_PAGES: Final = 65536
"""WebAssembly's addresses have 32 bits."""

_MB: Final = 2**20

_BASE_BYTES: Final = 1300 * _MB
_BASE_BYTES_PER_CPU: Final = 10 * _MB
_MOST_THREADS: Final = 32
"""What RLIMIT_DATA counts in an idle interpreter: 1270 to 1300 MB, measured with Deno 2.9.8 on two
processors. 1024 of them are V8's room for machine code, which is reserved, not used. Beside them
there are a stack of 8 MB and some heap for each thread of a pool as large as the machine."""

_STACK_KB: Final = 4000
"""V8's own is 984. C code that recurses on its own (`repr`, `json`) gets 3650 levels deep instead
of 900 before that ends the interpreter. JavaScript's stack grows too, and stays within the 8 MB of
a thread; more would let it run into the end of that, which ends the process without a word."""

LEAST_MEMORY: Final = 128 * 10**6
"""Python and IPython alone take some 60 MB."""

LEAST_OPEN_FILES: Final = 64
"""Deno itself has some 40."""

LEAST_MESSAGE: Final = 10**6
"""Streams are sent in pieces of less; the guest's own messages are smaller."""

MOST_MESSAGE: Final = 256 * _MB
"""What the pipe takes (`MAX_MESSAGE_BYTES`)."""

MOST_WORKERS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds that the code meets, whatever it does."""

    memory_bytes: int = 4 * 10**9
    """Memory of Python, of JavaScript and of files that are in memory, together."""

    open_files: int = 1024
    """Descriptors of the Deno process, its own included."""

    cell_timeout_s: float = 0.0
    """Time that one cell may take; 0: any."""

    message_bytes: int = MOST_MESSAGE
    """Size of one message that the code sends."""

    workers: int = 4
    """Workers that the code may have at once, beside the one it runs in."""

    written_bytes: int = 0
    """Bytes that may be written to mounts, by all interpreters of a kernel together; 0: any."""


DEFAULTS: Final = Limits()


def v8_flags(limits: Limits) -> list[str]:
    """The limits that V8 keeps, with an error that Python or JavaScript can handle."""
    return [
        f"--wasm-max-mem-pages={min(limits.memory_bytes // _PAGE_BYTES, _MOST_PAGES)}",
        f"--max-old-space-size={limits.memory_bytes // _MB}",
        f"--stack-size={_STACK_KB}",
        f"--wasm-stack-switching-stack-size={_STACK_KB}",
    ]


def resource_limits(limits: Limits, *, cpus: int) -> dict[str, int]:
    """The limits that the operating system keeps, by name without `RLIMIT_`."""
    base = _BASE_BYTES + _BASE_BYTES_PER_CPU * min(cpus, _MOST_THREADS)
    return {"DATA": base + limits.memory_bytes, "NOFILE": limits.open_files}


def format_size(size: int) -> str:
    """For people: 4 GB, 1.5 GB, 128 MB."""
    for factor, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} bytes"
