"""What a JupyterLite site serves, and sites that are not what they should be."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lite_site import EXTENSION, configure, make_site, write_index
from wheels import digest, lock_bytes, lock_entry, wheel_bytes

from pyodide_kernel.errors import ConfigurationError, PackageError
from pyodide_kernel.packages.config import PackageConfig
from pyodide_kernel.packages.jobs import Job
from pyodide_kernel.packages.lite_site import SiteIndex, read_site
from pyodide_kernel.packages.opening import Packages, open_packages
from pyodide_kernel.runtime import load_manifest

MANIFEST = load_manifest()
DEMO = wheel_bytes("demo", "1", {"demo.py": "x = 1"})
ADDED = wheel_bytes("added", "2", {"added.py": ""}, requires=("demo",))
OWN = wheel_bytes("own", "3", {"own.py": ""})


def built(folder: Path, version: str = MANIFEST.pyodide, **settings: Any) -> Path:
    return make_site(
        folder / "site",
        version=version,
        packages={"demo": ("1", DEMO, ())},
        wheels=[("added", "2", ADDED)],
        own_wheels=[("own", "3", OWN)],
        **settings,
    )


def opened(folder: Path, site: Path, **settings: Any) -> Packages:
    config = PackageConfig(
        cache_dir=folder / "cache", lite_site=str(site), index_url=("http://127.0.0.1:9/simple",)
    )
    return open_packages(replace(config, **settings), manifest=MANIFEST)


def test_packages_are_the_sites(tmp_path: Path, job: Job) -> None:
    packages = opened(tmp_path, built(tmp_path), offline=True)
    view = packages.view
    assert view is not None
    assert dict(view.imports) == {"demo": "demo"}
    assert packages.notices == ()
    (image,) = packages.store.load(["demo"], [], job)
    assert Path(image["folders"][0]).name == digest(DEMO)
    for project, file in (("added", "added-2-py3-none-any.whl"), ("own", "own-3-py3-none-any.whl")):
        page = packages.store.page(project, "", job)
        assert [entry["filename"] for entry in page["files"]] == [file]
    assert "Requires-Dist: demo" in packages.store.metadata(
        "added", "added-2-py3-none-any.whl", job
    )
    packages.close()


def test_the_rest_comes_from_indexes_unless_the_site_forbids_it(tmp_path: Path) -> None:
    site = built(tmp_path)
    assert opened(tmp_path, site, index_url=()).index_urls
    site = built(tmp_path / "other", disablePyPIFallback=True)
    assert opened(tmp_path, site, index_url=()).index_urls == ()
    assert opened(tmp_path, site).index_urls == ("http://127.0.0.1:9/simple",)


@pytest.mark.parametrize("where", ["pyodide.mjs", "package.json", "nowhere"])
def test_another_version_of_the_same_abi_is_one_warning(tmp_path: Path, where: str) -> None:
    site = built(tmp_path, version="314.0.1")
    folder = site / "static" / "pyodide"
    if where != "pyodide.mjs":
        (folder / "pyodide.mjs").unlink()
    if where == "package.json":
        (folder / "package.json").write_text('{"version": "314.0.1"}')
    (notice,) = opened(tmp_path, site).notices
    assert ("Pyodide 314.0.1" if where != "nowhere" else "unknown version") in notice
    assert f"and this kernel {MANIFEST.pyodide}" in notice


def test_another_abi_is_one_error(tmp_path: Path) -> None:
    site = built(tmp_path)
    lock = lock_bytes(lock_entry("demo", "1", DEMO), abi="2025_0")
    (site / "static" / "pyodide" / "pyodide-lock.json").write_bytes(lock)
    with pytest.raises(ConfigurationError, match="for the ABI 2025_0, but this kernel"):
        _ = opened(tmp_path, site).view


def test_a_site_whose_pyodide_is_elsewhere_has_that_ones_packages(tmp_path: Path) -> None:
    site = tmp_path / "site"
    url = f"https://pyodide.invalid/v{MANIFEST.pyodide}/full/pyodide.mjs"
    schema = site / EXTENSION / "schema" / "kernel.v0.schema.json"
    schema.parent.mkdir(parents=True)
    schema.write_text(json.dumps({"properties": {"pyodideUrl": {"default": url}}}))
    configure(site)
    read = read_site(site)
    assert (read.pyodide, read.distribution) == (MANIFEST.pyodide, url.rpartition("/")[0])
    packages = opened(tmp_path, site, offline=True)
    view = packages.view
    assert view is not None
    assert view.imports["numpy"] == "numpy"
    assert packages.notices == ()


def test_a_lock_file_of_the_sites_own_may_name_urls(tmp_path: Path, job: Job) -> None:
    options = {"lockFileURL": "./static/pyodide-lock/pyodide-lock.json?sha256=0"}
    site = built(tmp_path, loadPyodideOptions=options)
    folder = site / "static" / "pyodide-lock"
    folder.mkdir()
    entries = [lock_entry("demo", "1", DEMO), lock_entry("added", "2", ADDED, depends=("demo",))]
    entries[0]["file_name"] = "https://pyodide.invalid/full/demo-1-py3-none-any.whl"
    (folder / "pyodide-lock.json").write_bytes(lock_bytes(*entries))
    (folder / "added-2-py3-none-any.whl").write_bytes(ADDED)
    packages = opened(tmp_path, site, offline=True)
    packages.cache.prepare()
    loaded = packages.store.load(["added"], [], job)
    assert [image["name"] for image in loaded] == ["demo", "added"]
    packages.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"pyodideUrl": 5}, "pyodideUrl is not a text"),
        ({"pyodideUrl": "../../static/pyodide/pyodide.mjs"}, "leads out of the site"),
        ({"pyodideUrl": "./gone/pyodide.mjs"}, "can't be read"),
        ({"loadPyodideOptions": {"lockFileURL": "./gone/l.json"}}, "the lock file"),
        ({"loadPyodideOptions": {"lockFileURL": "./../l.json"}}, "leads out of the site"),
        ({"pipliteUrls": 5}, "pipliteUrls is not a list"),
        ({"pipliteUrls": ["./../all.json"]}, "leads out of the site"),
        ({"pipliteUrls": ["https://a.invalid/all.json"]}, "is no index of the site"),
        ({"pipliteUrls": ["./pypi/simple/"]}, "is no index of the site"),
    ],
)
def test_a_site_that_is_not_what_it_should_be_is_one_error(
    tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    site = built(tmp_path, **settings)
    with pytest.raises(ConfigurationError, match=said):
        _ = opened(tmp_path, site).view


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is no built JupyterLite site"),
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"jupyter-config-data": 5}', "jupyter-config-data is not an object"),
        ("{}", "no extensions/@jupyterlite/pyodide-kernel-extension/static/schema"),
    ],
)
def test_a_folder_that_is_no_site_is_one_error(tmp_path: Path, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / "jupyter-lite.json").write_text(text)
    with pytest.raises(PackageError, match=said):
        read_site(tmp_path)


def test_a_site_and_a_distribution_are_one_too_many(tmp_path: Path) -> None:
    site = built(tmp_path)
    with pytest.raises(ConfigurationError, match="give one of them"):
        _ = opened(tmp_path, site, package_url=str(tmp_path)).view


def files(index: SiteIndex) -> list[str]:
    return [file.filename for file in index.files("added", threading.Event())]


def test_an_index_is_held_against_its_digests(tmp_path: Path) -> None:
    sha256 = write_index(tmp_path, [("added", "2", ADDED)])
    path = tmp_path / "all.json"
    assert files(SiteIndex(path, sha256)) == ["added-2-py3-none-any.whl"]
    assert files(SiteIndex(path, "")) == ["added-2-py3-none-any.whl"]
    with pytest.raises(PackageError, match="build the site again"):
        files(SiteIndex(path, "0" * 64))
    (tmp_path / "added-2-py3-none-any.whl").write_bytes(DEMO)
    with pytest.raises(PackageError, match="it is not used"):
        files(SiteIndex(path, sha256))
    (tmp_path / "added-2-py3-none-any.whl").unlink()
    with pytest.raises(PackageError, match="can't be read"):
        files(SiteIndex(path, sha256))


@pytest.mark.parametrize("url", ["../x.whl", "/etc/passwd", "https://a.invalid/x.whl", "./y.whl"])
def test_an_index_names_no_file_but_those_beside_it(tmp_path: Path, url: str) -> None:
    write_index(tmp_path, [("added", "2", ADDED)], url=url)
    assert files(SiteIndex(tmp_path / "all.json", "")) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"added": 5}', '{"added": {"releases": {"1": [5]}}}'])
def test_an_index_of_another_form_is_one_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "all.json").write_text(text)
    with pytest.raises(PackageError, match="is no index of wheels"):
        files(SiteIndex(tmp_path / "all.json", ""))
