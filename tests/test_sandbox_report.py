"""The answer to `%sandbox`, of a kernel whose interpreter has not started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fake_kernel import MANIFEST, fake_bridge

from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.policy import Policy
from pyodide_kernel.sandbox_report import SandboxReport, Use


def sections(**options: Any) -> dict[str, list[tuple[str, str]]]:
    def ignore(_: object) -> None:
        raise AssertionError("nothing has started")

    bridge = fake_bridge(
        policy=Policy(),
        cache=Path("/cache"),
        config=BridgeConfig(),
        on_message=ignore,
        on_ready=ignore,
        on_death=ignore,
        on_give_up=ignore,
    )
    report = SandboxReport(
        policy=Policy(),
        bridge=bridge,
        manifest=MANIFEST,
        use=Use(cells=3),
        settings={"outputs": "as code sends them"},
        sent_bytes=lambda: 5000,
        **options,
    )
    found = {part["title"]: part["rows"] for part in report.sections()}
    bridge.close()
    return found


def test_what_was_fetched_is_a_section_if_anything_was() -> None:
    assert "Fetched" not in sections()
    assert sections(requests=lambda: [("example.org", "2 kB, 200")])["Fetched"] == [
        ("example.org", "2 kB, 200")
    ]


def test_an_interpreter_that_does_not_run_has_no_memory_and_no_layers_of_the_system() -> None:
    found = sections()
    assert dict(found["Used so far"]) == {
        "memory": "not known",
        "output": "5 kB",
        "cells": "3",
        "requests": "0",
        "interpreters": "0",
    }
    assert [name for name, _ in found["Layers"]] == ["permissions of Deno"]
    assert ("outputs", "as code sends them") in found["May"]
