"""Bytecode for images."""

from __future__ import annotations

import logging
from pathlib import Path


def start_maker(folder: Path, *, log: logging.Logger) -> None:
    """Later."""
