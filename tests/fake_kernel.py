"""A kernel process whose interpreter is a FakeWorker. Run as a script by the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from fake_worker import FakeWorker
from traitlets import default

from pyodide_kernel.__main__ import report_errors
from pyodide_kernel.app import run
from pyodide_kernel.bridge.bridge import Bridge
from pyodide_kernel.bridge.life import BridgeConfig
from pyodide_kernel.kernel import PyodideKernel
from pyodide_kernel.mounts import Kind
from pyodide_kernel.options import parse_kernel_options
from pyodide_kernel.policy import Policy, Surroundings
from pyodide_kernel.runtime import Manifest

MANIFEST = Manifest(pyodide="314.0.7", python="3.14.2", packages={"ipython": "9.18.1"}, files={})


async def launch(boots: bool, on_data: Callable[[bytes], None]) -> FakeWorker:
    return FakeWorker(on_data, boots=boots)


def fake_bridge(*, policy: Policy, config: BridgeConfig, cache: Path, **callbacks: Any) -> Bridge:
    boots = os.environ.get("FAKE_BOOTS", "1") == "1"
    return Bridge(
        launch=partial(launch, boots),
        config=replace(config, boot={"worker": {}, "permissions": {}, "guest": {}}),
        **callbacks,
    )


class AnyDisk:
    """Has every folder. Implements `Disk`."""

    def real(self, path: str) -> Path:
        return Path(path)

    def kind(self, path: Path) -> Kind:
        return "folder"

    def readable(self, path: Path) -> bool:
        return True


def fake_surroundings(**places: Path | None) -> Surroundings:
    return Surroundings(
        disk=AnyDisk(),
        cwd=Path("/some/folder"),
        home=None,
        places=(),
        environ={},
        landlock_problem="",
        is_root=False,
    )


class NoPackages:
    """Stands for Packages of which there are none, and that is no problem."""

    view = None
    problem = ""
    notices = ()


class FakeKernel(PyodideKernel):
    @default("make_bridge")
    def _default_make_bridge(self) -> Callable[..., Bridge]:
        return fake_bridge

    @default("look_around")
    def _default_look_around(self) -> Callable[..., Surroundings]:
        return fake_surroundings

    @default("open_packages")
    def _default_open_packages(self) -> Callable[..., NoPackages]:
        return lambda *_, **__: NoPackages()

    @default("manifest")
    def _default_manifest(self) -> Manifest:
        return MANIFEST


if __name__ == "__main__":
    options = parse_kernel_options(sys.argv[1:], os.environ)
    sys.exit(report_errors(lambda: run(options, kernel_class=FakeKernel)))
