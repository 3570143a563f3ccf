"""Notebooks made for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def notebook_text(*cells: str, **metadata: Any) -> str:
    """A notebook of code cells; those that begin with `## ` are Markdown."""
    made: list[dict[str, Any]] = [
        {"cell_type": "markdown", "metadata": {}, "source": cell}
        if cell.startswith("## ")
        else {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": cell.splitlines(keepends=True),
        }
        for cell in cells
    ]
    language = {"language_info": {"name": "python"}}
    value = {"nbformat": 4, "nbformat_minor": 5, "metadata": language | metadata, "cells": made}
    return json.dumps(value)


def write_notebook(folder: Path, *cells: str, name: str = "n.ipynb", **metadata: Any) -> Path:
    path = folder / name
    path.write_text(notebook_text(*cells, **metadata), "utf-8")
    return path
