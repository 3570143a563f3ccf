"""A notebook of a JupyterLite site, run headless with what the site serves."""

from __future__ import annotations

from pathlib import Path

import pytest
from lite_site import make_site
from real_kernel import cache_with_snapshot, real_kernel
from wheels import wheel_bytes

from pyodide_kernel.runtime import load_manifest

pytestmark = pytest.mark.deno


def test_a_notebook_runs_with_what_the_site_serves(tmp_path: Path, snapshot: Path) -> None:
    demo = wheel_bytes("demo", "1", {"demo.py": "value = 40"})
    module = {"added.py": "import demo\nvalue = demo.value + 2"}
    added = wheel_bytes("added", "2", module, requires=("demo",))
    site = make_site(
        tmp_path / "site",
        version=load_manifest().pyodide,
        packages={"demo": ("1", demo, ())},
        wheels=[("added", "2", added)],
        disablePyPIFallback=True,
    )
    cache = cache_with_snapshot(tmp_path / "cache")
    options = f"--lite-site={site}", f"--cache-dir={cache}", "--offline"
    with real_kernel(tmp_path, *options, "--PyodideKernel.compile_packages=False") as kernel:
        code = "import piplite\nawait piplite.install(['added'])\nimport added\nadded.value"
        assert kernel.run(code).result == "42"
        cell = kernel.run("%pip install elsewhere")
        assert "no package index has a project 'elsewhere'" in cell.evalue
