"""One guest for all tests, forgetting between them what it ran."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from guest.fake_host import FakeHost
from guest.guest import Guest


@pytest.fixture(scope="session")
def _guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    guest = Guest(str(tmp_path_factory.mktemp("ipython")))
    yield guest
    guest.close()


@pytest.fixture
def guest(_guest: Guest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    yield _guest
    # IPython's reset collects garbage several times, 0.1 s when large libraries are loaded.
    monkeypatch.setattr(gc, "collect", lambda _generation=2: 0)
    _guest.reset()


@pytest.fixture
def host() -> Iterator[FakeHost]:
    host = FakeHost()
    yield host
    host.loop.close()
