"""Each test of a client has a place of its own, and leaves nothing behind in it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.place import Place, new_place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place whose environment is this process's too; in the end nothing may be left there."""
    with (
        tempfile.TemporaryDirectory(prefix="pk-") as temporary,
        new_place(tmp_path, Path(temporary)) as place,
    ):
        for name in set(os.environ) - set(place.environ):
            monkeypatch.delenv(name)
        for name, value in place.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(place.work)
        yield place
        assert not place.leftovers()
