"""A small JupyterLite site, as its builder leaves one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wheels import digest, make_distribution

EXTENSION = Path("extensions", "@jupyterlite", "pyodide-kernel-extension", "static")
PLUGIN = "@jupyterlite/pyodide-kernel-extension:kernel"


def configure(site: Path, **settings: Any) -> None:
    """Write what the site's kernel is configured with."""
    value = {"jupyter-config-data": {"litePluginSettings": {PLUGIN: settings}}}
    (site / "jupyter-lite.json").write_text(json.dumps(value), "utf-8")


def write_index(folder: Path, wheels: Sequence[tuple[str, str, bytes]], **more: Any) -> str:
    """Wheels (name, version, content) and the file that lists them; the digest of that."""
    folder.mkdir(parents=True, exist_ok=True)
    projects: dict[str, Any] = {}
    for name, version, data in wheels:
        filename = f"{name}-{version}-py3-none-any.whl"
        (folder / filename).write_bytes(data)
        entry = {
            "filename": filename,
            "url": f"./{filename}",
            "digests": {"md5": "0" * 32, "sha256": digest(data)},
            "requires_python": None,
            "yanked": False,
            **more,
        }
        releases = projects.setdefault(name.replace("_", "-"), {"releases": {}})["releases"]
        releases.setdefault(version, []).append(entry)
    text = json.dumps(projects).encode()
    (folder / "all.json").write_bytes(text)
    return digest(text)


def make_site(
    site: Path,
    *,
    version: str,
    packages: Mapping[str, tuple[str, bytes, tuple[str, ...]]],
    wheels: Sequence[tuple[str, str, bytes]] = (),
    own_wheels: Sequence[tuple[str, str, bytes]] = (),
    **settings: Any,
) -> Path:
    """A site with a Pyodide of its own, wheels that were added, and those of its kernel."""
    pyodide = make_distribution(site / "static" / "pyodide", **packages)
    (pyodide / "pyodide.mjs").write_text(f'var a="x",Y="{version}";', "utf-8")
    sha256 = write_index(site / "pypi", wheels)
    write_index(site / EXTENSION / "pypi", own_wheels)
    configure(
        site,
        **{
            "pyodideUrl": "./static/pyodide/pyodide.mjs",
            "pipliteUrls": [f"./pypi/all.json?sha256={sha256}"],
            **settings,
        },
    )
    return site
