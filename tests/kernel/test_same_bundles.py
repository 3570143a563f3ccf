"""Packages that people use show the same MIME bundles here as under native ipykernel."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distribution import NoDistributionError
from native_packages import FROM_INDEX, native_kernel, native_packages, version_of
from real_kernel import Cell, RealKernel, cache_with_snapshot, real_kernel

pytestmark = [pytest.mark.deno, pytest.mark.slow, pytest.mark.timeout(900)]

CELL_S = 300.0
"""For the first import of large packages on a loaded machine."""

SETUP = """
import numpy as np, pandas as pd, matplotlib.pyplot as plt, seaborn as sns, sympy
import plotly.graph_objects as go, networkx as nx
from PIL import Image
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
plt.rcParams["svg.hashsalt"] = "same"
x = sympy.Symbol("x")
df = pd.DataFrame({"a": [1, 2, 3], "b": list("xyz"), "c": [0.5, None, 2]})
"""

HERE = "import sys, types\nsys.modules['nbformat'] = types.SimpleNamespace(__version__='5.10.4')"
"""plotly shows nothing without nbformat, whose own needs no index has for WebAssembly."""

TEXTS = [
    "df",
    "df['a']",
    "df.dtypes",
    "df.describe()",
    "df.groupby('b').size()",
    "pd.DataFrame(np.arange(4000).reshape(100, 40))",
    "pd.DataFrame({'x': range(4)}, index=pd.MultiIndex.from_product([[1, 2], ['a', 'b']]))",
    "pd.date_range('2020-01-01', periods=3)",
    "np.arange(3000).reshape(3, 1000)",
    "np.float64(1), np.array(['a'])",
    "sympy.Integral(x**2 / 2, (x, 0, 1))",
    "sympy.Matrix([[1, x], [x, 2]])",
    "[x, x**2]",
    "LinearRegression().fit([[0], [1]], [0, 1])",
    "make_pipeline(StandardScaler(), LinearRegression())",
    "go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))",
    "go.Figure(go.Bar(x=['a'], y=[1])).show()",
    "nx.path_graph(3)",
]
"""Everything that they show is the same text."""

PICTURES = [
    "plt.plot([1, 2, 3])",
    "plt.plot([1, 2, 3]);",
    "fig, ax = plt.subplots()\nax.imshow(np.arange(9).reshape(3, 3))\nplt.close()\nfig",
    "plt.figure()\nplt.plot([1])\nplt.figure()\nplt.plot([2]);",
    "plt.plot([1, 2, 3])\nplt.title('A title')\nplt.xlabel('x');",
    "%config InlineBackend.figure_formats = ['png', 'jpeg']\nplt.bar(['a', 'b'], [1, 2]);",
    "%config InlineBackend.figure_formats = ['png']\nsns.histplot(np.arange(10));",
    "df.plot(x='a', y='c');",
    "nx.draw(nx.path_graph(3), pos={0: (0, 0), 1: (1, 0), 2: (1, 1)})",
    "Image.new('RGB', (40, 30), 'red')",
    "Image.fromarray(np.arange(120, dtype='uint8').reshape(10, 12))",
]
"""Text and kinds of pictures are the same, and the pictures look the same."""

COMPARE = """
import base64, io, json
import numpy as np
from PIL import Image
def open_picture(text):
    return Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB")
one, other = map(open_picture, {texts!r})
coarse = [np.asarray(each.resize((24, 18), Image.BOX), dtype=float) for each in (one, other)]
difference = np.abs(coarse[0] - coarse[1])
print(json.dumps([one.size, other.size, float(difference.mean()), float(difference.max())]))
"""

_CHANGING = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Addresses and random names."""


@pytest.fixture(scope="module")
def packages(distribution: Path) -> Path:
    try:
        return native_packages(distribution)
    except NoDistributionError as error:
        pytest.skip(f"the packages can't be had for native Python: {error}")


@pytest.fixture(scope="module")
def native(packages: Path) -> Iterator[RealKernel]:
    with native_kernel(packages) as started:
        cell = started.run(SETUP, timeout_s=CELL_S)
        assert cell.status == "ok", cell.evalue
        yield started


@pytest.fixture(scope="module")
def ours(
    distribution: Path, packages: Path, tmp_path_factory: pytest.TempPathFactory, snapshot: Path
) -> Iterator[RealKernel]:
    folder = tmp_path_factory.mktemp("kernel")
    cache = cache_with_snapshot(tmp_path_factory.mktemp("cache"))
    options = f"--package-url={distribution}", f"--cache-dir={cache}"
    with real_kernel(folder, *options, "--PyodideKernel.compile_packages=False") as started:
        wanted = " ".join(f"{name}=={version_of(name, packages)}" for name in FROM_INDEX)
        cell = started.run(f"%pip install -q {wanted}", timeout_s=CELL_S)
        if "can't be reached" in cell.evalue or "can't be fetched" in cell.evalue:
            pytest.skip(f"no package index can be reached: {cell.evalue}")
        for code in (HERE, SETUP):
            cell = started.run(code, timeout_s=CELL_S)
            assert cell.status == "ok", cell.evalue
        yield started


def shown(cell: Cell) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Type, bundle and metadata of everything that a cell has shown."""
    assert cell.status == "ok", cell.evalue
    return [
        (msg_type, content.get("data", {"text": content.get("text")}), content.get("metadata", {}))
        for msg_type, content in cell.outputs
        if msg_type != "execute_input"
    ]


def is_picture(mime: str) -> bool:
    return mime in ("image/png", "image/jpeg")


def without_names(value: Any) -> Any:
    text = _CHANGING.sub("NAME", json.dumps(value, sort_keys=True))
    return json.loads(text)


def texts(cell: Cell) -> list[Any]:
    return [
        (msg_type, {mime: data for mime, data in bundle.items() if not is_picture(mime)}, metadata)
        for msg_type, bundle, metadata in shown(cell)
    ]


def pictures(cell: Cell) -> list[tuple[str, str]]:
    return [
        (mime, data)
        for _, bundle, _ in shown(cell)
        for mime, data in sorted(bundle.items())
        if is_picture(mime)
    ]


@pytest.mark.parametrize("code", TEXTS)
def test_what_is_shown_as_text_is_the_same(native: RealKernel, ours: RealKernel, code: str) -> None:
    expected, got = (kernel.run(code, timeout_s=CELL_S) for kernel in (native, ours))
    assert shown(expected)
    assert without_names(shown(got)) == without_names(shown(expected))


@pytest.mark.parametrize("code", PICTURES)
def test_pictures_look_the_same(native: RealKernel, ours: RealKernel, code: str) -> None:
    expected, got = (kernel.run(code, timeout_s=CELL_S) for kernel in (native, ours))
    assert pictures(expected)
    assert without_names(texts(got)) == without_names(texts(expected))
    assert [mime for mime, _ in pictures(got)] == [mime for mime, _ in pictures(expected)]
    for (_, one), (_, other) in zip(pictures(expected), pictures(got), strict=True):
        # Letters are drawn by other builds of a library: a pixel more or less, other greys.
        cell = native.run(COMPARE.format(texts=[one, other]), timeout_s=CELL_S)
        size, other_size, mean, greatest = json.loads(cell.text())
        assert max(abs(a - b) for a, b in zip(size, other_size, strict=True)) <= 2
        assert mean < 1.5
        assert greatest < 30


def test_a_drawing_of_vectors_has_the_same_elements(native: RealKernel, ours: RealKernel) -> None:
    code = "%config InlineBackend.figure_formats = ['svg']\nplt.plot([1, 2, 3]);"
    drawings = []
    for kernel in (native, ours):
        (_, bundle, _), *more = shown(kernel.run(code, timeout_s=CELL_S))
        assert not more
        assert sorted(bundle) == ["image/svg+xml", "text/plain"]
        drawings.append(re.findall(r"<(\w+)", bundle["image/svg+xml"]))
        kernel.run("%config InlineBackend.figure_formats = ['png']")
    assert drawings[0] == drawings[1]
