"""Packages that people use, out of a real distribution and from the real package index."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from real_kernel import Cell, RealKernel, cache_with_snapshot, real_kernel
from wheels import lock_bytes, lock_entry, wheel_bytes

pytestmark = [pytest.mark.deno, pytest.mark.slow, pytest.mark.timeout(600)]

NOT_COMPILING = "--PyodideKernel.compile_packages=False"
CELL_S = 300.0
"""For the first import of large packages on a loaded machine."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory, snapshot: Path) -> Path:
    return cache_with_snapshot(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def empty(tmp_path: Path, snapshot: Path) -> Path:
    """A cache of its own."""
    return cache_with_snapshot(tmp_path / "cache")


@pytest.fixture(scope="module", params=["a cold cache", "offline"])
def kernel(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    distribution: Path,
    cache: Path,
) -> Iterator[RealKernel]:
    options = [f"--package-url={distribution}", f"--cache-dir={cache}", NOT_COMPILING]
    if request.param == "offline":
        options.append("--offline")
    with real_kernel(tmp_path_factory.mktemp("kernel"), *options) as started:
        yield started


def test_numpy_pandas_and_matplotlib_show_what_they_show_anywhere(kernel: RealKernel) -> None:
    cell = kernel.run(
        "import numpy as np, pandas as pd, matplotlib.pyplot as plt\n"
        "plt.plot(np.arange(5) ** 2)\n"
        "pd.DataFrame({'a': np.arange(3), 'b': list('xyz')})",
        timeout_s=CELL_S,
    )
    assert cell.status == "ok", cell.evalue
    (table,) = cell.of("execute_result")
    assert "<td>2</td>\n      <td>z</td>" in table["data"]["text/html"]
    assert table["data"]["text/plain"].endswith("2  2  z")
    figures = [shown["data"] for shown in cell.of("display_data") if "image/png" in shown["data"]]
    assert len(figures) == 1
    assert figures[0]["text/plain"] == "<Figure size 640x480 with 1 Axes>"
    assert len(figures[0]["image/png"]) > 5000


def test_scipy_scikit_learn_seaborn_and_sympy_compute(kernel: RealKernel) -> None:
    cell = kernel.run(
        "import scipy.stats, sympy, seaborn as sns\n"
        "from sklearn.linear_model import LinearRegression\n"
        "fit = LinearRegression().fit([[0], [1], [2]], [1, 3, 5])\n"
        "round(fit.coef_[0], 6), round(scipy.stats.norm.cdf(0), 6), "
        "sympy.integrate('2*x', sympy.Symbol('x')), sns.__name__",
        timeout_s=CELL_S,
    )
    assert cell.status == "ok", cell.evalue
    assert cell.result == "(np.float64(2.0), np.float64(0.5), x**2, 'seaborn')"
    (shown,) = kernel.run("sympy.sqrt(8)").of("execute_result")
    assert shown["data"]["text/latex"] == "$\\displaystyle 2 \\sqrt{2}$"


def test_a_library_that_is_called_gets_what_it_needs(kernel: RealKernel) -> None:
    cell = kernel.run(
        "import sys, pandas as pd\n"
        "before = 'openpyxl' in sys.modules\n"
        "pd.DataFrame({'a': [1]}).to_excel('/tmp/a.xlsx')\n"
        "before, pd.read_excel('/tmp/a.xlsx')['a'].tolist()",
        timeout_s=CELL_S,
    )
    assert cell.result == "(False, [1])", cell.evalue


INSTALL = "%pip install -q pydantic ipywidgets plotly\nimport pydantic, ipywidgets, plotly\n'done'"


def test_packages_come_from_the_index_for_two_kernels_and_then_offline(
    tmp_path: Path, distribution: Path, empty: Path
) -> None:
    def start(stack: ExitStack, name: str, *options: str) -> RealKernel:
        (tmp_path / name).mkdir()
        own = [f"--package-url={distribution}", f"--cache-dir={empty}", NOT_COMPILING]
        return stack.enter_context(real_kernel(tmp_path / name, *own, *options))

    with ExitStack() as stack:
        kernels = [start(stack, name) for name in ("one", "two")]
        for _ in range(2):
            running = [(kernel, kernel.start(INSTALL)) for kernel in kernels]
            cells = [kernel.finish(msg_id, timeout_s=CELL_S) for kernel, msg_id in running]
            skip_without_index(cells)
            assert [cell.result for cell in cells] == ["'done'"] * 2
    with ExitStack() as stack:
        cell = start(stack, "three", "--offline").run(INSTALL, timeout_s=CELL_S)
        assert cell.result == "'done'", cell.evalue


def skip_without_index(cells: list[Cell]) -> None:
    for cell in cells:
        if "can't be reached" in cell.evalue or "can't be fetched" in cell.evalue:
            pytest.skip(f"no package index can be reached: {cell.evalue}")


def test_libraries_that_packages_share_are_found_by_the_linker(
    tmp_path: Path, distribution: Path, empty: Path
) -> None:
    (wheel,) = distribution.glob("kiwisolver-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".so"))
        library = archive.read(name)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("libdemo.so", library)
    demo = wheel_bytes("demo", "1", {"demo.py": "import ctypes\nctypes.CDLL('libdemo.so')\n"})
    entry = lock_entry("libdemo", "1", packed.getvalue(), imports=()) | {
        "package_type": "shared_library",
        "file_name": "libdemo-1.zip",
    }
    needing = lock_entry("demo", "1", demo, depends=("libdemo",))
    (tmp_path / "pyodide-lock.json").write_bytes(lock_bytes(needing, entry))
    (tmp_path / "libdemo-1.zip").write_bytes(packed.getvalue())
    (tmp_path / "demo-1-py3-none-any.whl").write_bytes(demo)
    options = f"--package-url={tmp_path}", f"--cache-dir={empty}", NOT_COMPILING
    with real_kernel(tmp_path, *options) as kernel:
        cell = kernel.run("import demo\n'loaded'", timeout_s=CELL_S)
        assert cell.result == "'loaded'", cell.evalue
