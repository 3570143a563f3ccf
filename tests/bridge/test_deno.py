"""The command line of Deno and its search; processes are in test_process.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_kernel.bridge.deno import (
    MAIN,
    DenoCommand,
    command,
    environment,
    find_deno,
    worker_permissions,
)
from pyodide_kernel.errors import DenoNotFoundError, WorkerStartError
from pyodide_kernel.mounts import Mount
from pyodide_kernel.policy import Policy

JS = MAIN.parent
CONFIG = DenoCommand(deno=Path("/opt/deno"), runtime=Path("/opt/runtime"))


def test_command_line_is_exactly_the_allow_lists() -> None:
    assert command(CONFIG, Path("/tmp/folder/pipe")) == [
        "/opt/deno",
        "run",
        "--no-prompt",
        "--no-remote",
        "--no-npm",
        "--no-config",
        "--no-lock",
        "--cached-only",
        "--unstable-worker-options",
        "--v8-flags=--wasm-max-mem-pages=61035,--max-old-space-size=3814,"
        "--stack-size=4000,--wasm-stack-switching-stack-size=4000",
        "--allow-net=unix:/tmp/folder/pipe",
        f"--allow-read={JS},/opt/runtime,/tmp/folder/pipe",
        "--allow-write=/tmp/folder/pipe",
        f"{JS}/main.ts",
        "/tmp/folder/pipe",
    ]


@pytest.mark.parametrize(
    ("runtime", "socket_path"), [("/opt/a,/etc", "/tmp/pipe"), ("/opt/runtime", "/tmp,/pipe")]
)
def test_path_with_a_comma_is_refused_since_it_would_be_two(runtime: str, socket_path: str) -> None:
    config = DenoCommand(deno=Path("/opt/deno"), runtime=Path(runtime))
    with pytest.raises(WorkerStartError, match=r"from .*,.* comma in the path; install elsewhere"):
        command(config, Path(socket_path))


def test_worker_may_read_the_runtime_and_the_program_of_the_shell_and_nothing_else() -> None:
    shell = [str(path) for path in sorted(JS.glob("bash*.ts"))]
    assert str(JS / "bash.ts") in shell
    assert worker_permissions(CONFIG) == {
        "read": ["/opt/runtime", *shell],
        "write": False,
        "net": False,
        "env": False,
        "run": False,
        "ffi": False,
        "sys": False,
        "import": False,
    }


def test_environment_holds_nothing_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of the host")
    assert environment() == {
        "DENO_DIR": "/dev/null/none",
        "NO_COLOR": "1",
        "DENO_NO_UPDATE_CHECK": "1",
    }


def executable(path: Path, text: str) -> Path:
    """A shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return path


def install_package(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, version: str, finds: str
) -> None:
    """Put a package `deno` in front of the one that is installed; `finds` is Python."""
    package = folder / "deno"
    package.mkdir()
    source = f"def find_deno_bin():\n    {finds}\n"
    (package / "__init__.py").write_text(source, "utf-8")
    info = folder / f"deno-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: deno\nVersion: {version}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(sys.modules, "deno", None)  # so that what is imported is removed again
    monkeypatch.delitem(sys.modules, "deno")


@pytest.fixture
def without_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "deno", None)


def test_packaged_deno_is_preferred_to_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = executable(tmp_path / "packaged-deno", "")
    executable(tmp_path / "bin" / "deno", "echo deno 2.9.9")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    install_package(tmp_path, monkeypatch, version="2.9.0", finds=f"return {str(binary)!r}")
    assert find_deno() == binary


@pytest.mark.parametrize("version", ["2.8.99", "1.46.3", "0.1", "2"])
def test_packaged_deno_that_is_too_old_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    binary = executable(tmp_path / "packaged-deno", "")
    install_package(tmp_path, monkeypatch, version=version, finds=f"return {str(binary)!r}")
    with pytest.raises(DenoNotFoundError) as failure:
        find_deno()
    assert str(failure.value) == (
        f"Deno {version} at {binary} is too old, 2.9 or newer is needed; "
        "install it with: pip install 'deno>=2.9,<3'"
    )


@pytest.mark.parametrize("version", ["2.9.0", "2.9.0rc1", "2.10.1", "3.0.0"])
def test_newer_versions_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    binary = executable(tmp_path / "packaged-deno", "")
    install_package(tmp_path, monkeypatch, version=version, finds=f"return {str(binary)!r}")
    assert find_deno() == binary


def test_package_without_its_binary_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raises = "raise FileNotFoundError('no file at /nowhere')"
    install_package(tmp_path, monkeypatch, version="2.9.8", finds=raises)
    with pytest.raises(DenoNotFoundError, match=r"no binary \(no file at /nowhere\); reinstall"):
        find_deno()


def test_deno_that_is_not_executable_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = executable(tmp_path / "packaged-deno", "")
    binary.chmod(0o644)
    install_package(tmp_path, monkeypatch, version="2.9.8", finds=f"return {str(binary)!r}")
    with pytest.raises(DenoNotFoundError, match="packaged-deno is not an executable file; rein"):
        find_deno()


@pytest.mark.usefixtures("without_package")
def test_no_deno_at_all_is_an_error_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DenoNotFoundError, match="neither as a package nor on PATH; install it"):
        find_deno()


@pytest.mark.usefixtures("without_package")
def test_deno_on_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = executable(tmp_path / "deno", "echo 'deno 2.9.1 (stable, release, x86_64)'")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_deno() == binary


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("echo deno 1.40.0", "Deno 1.40.0 at .*/deno is too old"),
        ("echo deno", "Deno of unknown version at .*/deno is too old"),
        ("echo what is a version", "Deno is at .*/deno is too old"),
        ("exit 1", "Deno at .*/deno does not run"),
        ("kill -9 $$", "Deno at .*/deno does not run"),
    ],
)
def test_unusable_deno_on_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    executable(tmp_path / "deno", text)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DenoNotFoundError, match=message):
        find_deno()


@pytest.mark.usefixtures("without_package")
def test_broken_executable_on_path_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = tmp_path / "deno"
    binary.write_bytes(b"\x7fELF and nothing more")
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DenoNotFoundError, match="does not run"):
        find_deno()


@pytest.mark.deno
def test_deno_that_was_found_runs() -> None:
    output = subprocess.run([find_deno(), "--version"], capture_output=True, text=True, check=True)
    assert output.stdout.startswith("deno 2.")


def test_there_are_lists_of_what_is_allowed_and_none_of_what_is_denied() -> None:
    policy = Policy(mounts=(Mount(host=Path("/data"), guest="/mnt/data", writable=True),))
    config = DenoCommand(deno=Path("/opt/deno"), runtime=Path("/opt/runtime"), policy=policy)
    arguments = command(config, Path("/tmp/pipe"))
    assert not any(argument.startswith(("--deny", "-A", "--allow-all")) for argument in arguments)
    assert {argument.partition("=")[0] for argument in arguments if "--allow" in argument} == {
        "--allow-net",
        "--allow-read",
        "--allow-write",
    }
    assert all("=" in argument for argument in arguments if argument.startswith("--allow"))
