from __future__ import annotations

import pytest

from pyodide_kernel.limits import Limits, format_size, resource_limits, v8_flags

MB = 2**20


@pytest.mark.parametrize(
    ("memory", "pages", "old_space"),
    [(128_000_000, 1953, 122), (4 * 10**9, 61035, 3814), (64 * 10**9, 65536, 61035)],
)
def test_v8_gets_the_limits_that_it_can_keep(memory: int, pages: int, old_space: int) -> None:
    assert v8_flags(Limits(memory_bytes=memory)) == [
        f"--wasm-max-mem-pages={pages}",
        f"--max-old-space-size={old_space}",
        "--stack-size=4000",
        "--wasm-stack-switching-stack-size=4000",
    ]


def test_the_system_gets_the_limit_and_what_an_idle_interpreter_counts() -> None:
    assert resource_limits(Limits(), cpus=2) == {
        "DATA": 1320 * MB + 4 * 10**9,
        "NOFILE": 1024,
    }
    assert resource_limits(Limits(), cpus=500)["DATA"] == 1620 * MB + 4 * 10**9


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (4 * 10**9, "4 GB"),
        (1_500_000_000, "1.5 GB"),
        (128_000_000, "128 MB"),
        (5000, "5 kB"),
        (12, "12 bytes"),
    ],
)
def test_sizes_are_told_in_units(size: int, text: str) -> None:
    assert format_size(size) == text
