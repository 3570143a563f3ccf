"""`%sandbox` in a real kernel."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import deny_calls
import pytest
from real_kernel import RealKernel, real_kernel

pytestmark = pytest.mark.deno


def shown(kernel: RealKernel) -> str:
    cell = kernel.run("%sandbox")
    assert cell.status == "ok", cell.evalue
    (content,) = cell.of("display_data")
    assert content["data"]["text/html"].startswith("<table>")
    return str(content["data"]["text/plain"])


def rows(text: str) -> dict[str, str]:
    """Texts by name."""
    lines = [line.strip().split("  ", 1) for line in text.splitlines() if line.startswith("  ")]
    return {name: value.strip() for name, value in lines}


def test_everything_granted_is_shown_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    options = [f"--mount={tmp_path}/shared=/mnt/shared", "--memory-limit=700MB", "--no-cwd"]
    options += ["--allow-env=CITY", "--output-limit=5MB"]
    with real_kernel(tmp_path, *options, env={"CITY": "Turin", "OTHER": "x"}) as kernel:
        kernel.run("print('x' * 1_000_000)")
        text = shown(kernel)
        found = rows(text)
        assert found["/mnt/shared"].startswith(f"{tmp_path}/shared, may be changed; notebooks,")
        assert found["network"] == "none"
        assert found["variables of the host"] == "CITY"
        assert found["memory"].endswith("MB, the interpreter's included")
        assert "  memory" in text
        assert found["output"].startswith("1.0")
        assert found["output of a cell"] == "5 MB"
        assert found["cells"] == "2"
        assert found["interpreters"].startswith("1, this one for ")
        assert found["permissions of Deno"].startswith("active")
        assert set(found) >= set(kernel_layers())
        assert found["command"].startswith("deno run --no-prompt --no-remote")
        assert f"--allow-write=SOCKET,{tmp_path}/shared" in found["command"]
        connection = json.loads((tmp_path / "connection.json").read_text("utf-8"))
        for secret in (connection["key"], "connection.json", "Turin", "OTHER", str(Path.home())):
            assert secret not in text
        assert "pyodide_kernel/bridge" not in text


def kernel_layers() -> tuple[str, ...]:
    return ("Landlock", "read-only file systems") if sys.platform == "linux" else ()


@pytest.mark.skipif(sys.platform != "linux", reason="system calls of Linux")
def test_layers_that_the_system_denies_are_shown_and_mounts_work(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    deny = [sys.executable, deny_calls.__file__, str(deny_calls.UNSHARE)]
    mount = f"--mount={tmp_path}/shared=/mnt/shared"
    with real_kernel(tmp_path, mount, launcher=deny) as kernel:
        found = rows(shown(kernel))
        for name in ("network namespace", "read-only file systems"):
            assert found[name] == "unshare: Operation not permitted"
        assert found["Landlock"].startswith("active")
        assert kernel.run("open('/mnt/shared/new', 'w').write('x')").result == "1"
        assert (tmp_path / "shared" / "new").read_text() == "x"


def test_the_report_goes_on_counting_over_interpreters(kernel: RealKernel) -> None:
    first = int(rows(shown(kernel))["interpreters"].split(",")[0])
    kernel.run("from pyodide.code import run_js\nrun_js('Deno.exit(1)')")
    assert rows(shown(kernel))["interpreters"].startswith(f"{first + 1}, ")


def test_what_code_asks_has_no_effect_but_the_answer(kernel: RealKernel) -> None:
    code = """
host = get_ipython().host
answers = [host.ask('sandbox_request', {'mounts': ['/'], 'memory': n}) for n in range(50)]
len(answers), sorted(answers[0]), len(str(answers[0]).split('network')) > 1
"""
    assert kernel.run(code).result == "(50, ['sections', 'status'], True)"
    assert kernel.run("40 + 2").result == "42"
