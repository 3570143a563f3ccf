from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pyodide_kernel import doctor, runtime
from pyodide_kernel.__main__ import main
from pyodide_kernel.doctor import Finding


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in doctor.findings()}


@pytest.fixture(autouse=True)
def no_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_test_cell", lambda: "left out")


def test_every_check_is_one_line() -> None:
    for finding in doctor.findings():
        assert "\n" not in finding.line()
        assert finding.name in finding.line()


def test_folders_that_cannot_be_written_are_named_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    finding = findings()["cache folder"]
    assert not finding.ok
    assert "/dev/null/cache" in finding.detail
    assert "XDG_CACHE_HOME" in finding.detail


def test_a_damaged_runtime_is_named_with_a_remedy_and_no_cell_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runtime, "runtime_dir", lambda: tmp_path)
    found = findings()
    assert not found["runtime"].ok
    assert "pip install" in found["runtime"].detail
    assert "test cell" not in found


def test_a_missing_deno_is_named_with_a_remedy_and_no_cell_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "deno", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = findings()
    assert not found["Deno"].ok
    assert "pip install" in found["Deno"].detail
    assert "test cell" not in found


def test_a_deno_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "deno"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr("pyodide_kernel.bridge.deno.find_deno", lambda: broken)
    finding = findings()["Deno"]
    assert not finding.ok
    assert str(broken) in finding.detail


def test_a_malformed_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYODIDE_KERNEL_OUTPUT_LIMIT", "lots")
    finding = findings()["settings"]
    assert not finding.ok
    assert "PYODIDE_KERNEL_OUTPUT_LIMIT" in finding.detail


def test_the_sandbox_is_that_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYODIDE_KERNEL_MEMORY_LIMIT", "500MB")
    monkeypatch.setenv("PYODIDE_KERNEL_CWD", "0")
    assert "memory: 500 MB" in findings()["sandbox"].detail
    assert "files of the host: none" in findings()["sandbox"].detail
    monkeypatch.setenv("PYODIDE_KERNEL_MOUNT", "/proc")
    finding = findings()["sandbox"]
    assert not finding.ok
    assert "/proc" in finding.detail


def test_the_layers_are_named_and_those_that_are_missing_with_the_reason() -> None:
    system = {"Landlock": "active, version 7", "network namespace": "unshare: no"}
    assert doctor.layers_line(system) == (
        "layers active: permissions of Deno, Landlock; not active: network namespace (unshare: no)"
    )
    assert doctor.layers_line({}) == "layers active: permissions of Deno"


def test_a_missing_kernelspec_is_named_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [str(tmp_path)])
    finding = findings()["kernelspec"]
    assert not finding.ok
    assert "pyodide-kernel install" in finding.detail


def test_doctor_exits_with_1_if_anything_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = Finding(name="a", ok=True, detail="fine")
    monkeypatch.setattr(doctor, "findings", lambda: iter([good]))
    assert main(["doctor"]) == 0
    monkeypatch.setattr(
        doctor, "findings", lambda: iter([good, Finding(name="b", ok=False, detail="broken")])
    )
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.endswith("ok    a: fine\nFAIL  b: broken\n")
