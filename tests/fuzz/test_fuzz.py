"""The fuzzers in short: they find nothing, and would find something if there were anything."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fuzz import frames, paths
from fuzz.__main__ import broker_frames
from pyodide_kernel.bridge import messages

COUNT = 4_000


def test_hosts_frames() -> None:
    outcomes = frames.fuzz(COUNT, 1)
    assert sum(outcomes.values()) == COUNT
    assert min(outcomes.values()) > COUNT / 50


@pytest.mark.deno
def test_brokers_frames() -> None:
    outcomes = broker_frames(COUNT, 1)
    assert sum(outcomes.values()) == COUNT
    assert min(outcomes.values()) > COUNT / 50


@pytest.mark.deno
@pytest.mark.skipif(sys.platform != "linux", reason="mounts are held by Landlock")
def test_guests_paths(tmp_path: Path) -> None:
    outcomes = paths.fuzz(COUNT, 1, tmp_path)
    assert sum(outcomes.values()) == COUNT
    assert min(outcomes.values()) > COUNT / 50


def test_an_error_of_another_kind_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = messages.decode_body

    def broken(data: bytes) -> object:
        if b"protocol_version" in data:
            return decode(data)
        raise KeyError("a bug")

    monkeypatch.setattr(messages, "decode_body", broken)
    with pytest.raises(KeyError) as raised:
        frames.fuzz(COUNT, 1)
    assert raised.value.__notes__[0].startswith("input ")
