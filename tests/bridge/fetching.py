"""Requests of the HTTP client, and what comes of them."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Any

import pytest

from pyodide_kernel.bridge.fetch_request import FetchError, FetchRequest, read_request
from pyodide_kernel.bridge.http_client import Client
from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.network import Address, Network, read_grant

PATIENCE_S = 30.0


def network(*texts: str) -> Network:
    places = [read_grant(text) for text in texts]
    named = tuple(place for place in places if place is not None)
    return Network(public=None in places, places=named)


def request(url: str, **content: Any) -> FetchRequest:
    buffers = (content.pop("body"),) if "body" in content else ()
    wanted = {"method": "GET", "url": url, "headers": [], **content}
    return read_request(Message(msg_type="fetch_request", content=wanted, buffers=buffers))


class Names:
    """A resolver: each look-up of a name gives the next of its answers, the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> list[Address]:
        self.asked.append(name)
        lists = self._answers.get(name)
        if not lists:
            raise OSError("unknown name")
        found = lists.pop(0) if len(lists) > 1 else lists[0]
        return [ipaddress.ip_address(text) for text in found]


def fetch(
    wanted: FetchRequest, granted: Network, resolve: Any = None, *, limit: int = 2**24
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Code, headers and the first bytes of the body."""

    async def work() -> tuple[int, list[tuple[str, str]], bytes]:
        async with (
            asyncio.timeout(PATIENCE_S),
            Client(granted, resolve=resolve).send(wanted) as answer,
        ):
            body = b""
            async for chunk in answer.body:
                body += chunk
                if len(body) > limit:
                    break
            return answer.code, answer.headers, body

    return asyncio.run(work())


def failure(wanted: FetchRequest, granted: Network, resolve: Any = None) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(wanted, granted, resolve)
    return caught.value
