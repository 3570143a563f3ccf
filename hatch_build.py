"""Build hook of the wheel: fills `pyodide_kernel/_runtime/` before the files are collected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent / "packaging"))

from build_runtime import build  # in no package
from runtime_sources import BuildError


class RuntimeBuildHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own spelling
    """Puts the runtime where wheels, editable ones too, expect it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Fill the folder, or stop the build with one clear line."""
        try:
            built = build()
        except BuildError as error:
            raise SystemExit(f"pyodide-kernel: {error}") from None
        self.app.display_info("Built the runtime." if built else "The runtime is up to date.")
