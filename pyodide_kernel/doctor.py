"""`pyodide-kernel doctor`: what is installed, whether it is intact, and whether a cell runs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from pyodide_kernel import __version__, runtime
from pyodide_kernel.errors import PyodideKernelError
from pyodide_kernel.options import OneLineParser, from_environment
from pyodide_kernel.policy import Grants, Policy, explain, make_policy

CELL_TIMEOUT_S: Final = 120.0
"""As long as the bridge waits for an interpreter to come up."""

PACKAGES: Final = (
    "ipykernel",
    "jupyter_client",
    "pyzmq",
    "traitlets",
    "platformdirs",
    "psutil",
    "nh3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The outcome of one check."""

    name: str
    ok: bool
    detail: str
    """What was found, or what is wrong and how to mend it."""

    def line(self) -> str:
        """For the terminal."""
        return f"{'ok   ' if self.ok else 'FAIL '} {self.name}: {self.detail}"


def doctor(argv: Sequence[str]) -> int:
    """Run all checks; 1 if something is wrong."""
    OneLineParser(
        prog="pyodide-kernel doctor",
        allow_abbrev=False,
        description="Check the installation; each thing that is wrong comes with its remedy.",
    ).parse_args(argv)
    sound = True
    for finding in findings():
        sys.stdout.write(finding.line() + "\n")
        sys.stdout.flush()
        sound = sound and finding.ok
    return 0 if sound else 1


def findings() -> Iterator[Finding]:
    """The checks, one after the other; the test cell is left out if it can't work."""
    yield Finding(name="pyodide-kernel", ok=True, detail=f"{__version__} in {_package_dir()}")
    yield Finding(name="Python", ok=True, detail=f"{sys.version.split()[0]} at {sys.executable}")
    yield _check("packages", _packages)
    yield _check("settings", _settings)
    yield _check("sandbox", _sandbox)
    yield _check("kernelspec", _kernelspec)
    deno = _check("Deno", _deno)
    yield deno
    files = _check("runtime", _runtime)
    yield files
    yield _check("cache folder", lambda: _writable("cache"))
    yield _check("data folder", lambda: _writable("data"))
    if deno.ok and files.ok:
        yield _check("snapshot", _snapshot)
        yield _check("test cell", _test_cell)


def _check(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, ok=True, detail=look())
    except PyodideKernelError as error:
        return Finding(name=name, ok=False, detail=str(error))


def _package_dir() -> Path:
    return Path(__file__).resolve().parent


def _packages() -> str:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        names = " ".join(missing)
        raise PyodideKernelError(f"{names} not installed; install with: pip install {names}")
    return ", ".join(found)


def _settings() -> str:
    names = [name for name, _ in from_environment(os.environ)]
    return f"from the environment: {', '.join(names)}" if names else "none in the environment"


def _sandbox() -> str:
    """What a kernel that is started in this folder and environment could touch."""
    policy = _policy()
    return "; ".join([*explain(policy), *policy.notices])


def _policy() -> Policy:
    from pyodide_kernel.surroundings import look_around

    settings = {trait.partition(".")[2]: value for trait, value in from_environment(os.environ)}
    grants = {
        field.name: settings[field.name] for field in fields(Grants) if field.name in settings
    }
    return make_policy(Grants(**grants), look_around())


def _kernelspec() -> str:
    from pyodide_kernel.install import kernelspec_manager

    manager = kernelspec_manager()
    ours = [
        f"{name} in {folder}"
        for name, folder in sorted(manager.find_kernel_specs().items())
        if "pyodide_kernel" in manager.get_kernel_spec(name).argv
    ]
    if not ours:
        raise PyodideKernelError(
            "Jupyter does not know this kernel; run: pyodide-kernel install --sys-prefix"
        )
    return "; ".join(ours)


def _deno() -> str:
    from pyodide_kernel.bridge.deno import find_deno

    path = find_deno()
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise PyodideKernelError(
            f"{path} does not run ({error}); reinstall it with: "
            "pip install --force-reinstall 'deno>=2.9,<3'"
        ) from error
    return f"{done.stdout.splitlines()[0].removeprefix('deno ')} at {path}"


def _runtime() -> str:
    runtime.check(full=True)
    manifest = runtime.load_manifest()
    ipython = manifest.packages.get("ipython", "?")
    return (
        f"Pyodide {manifest.pyodide}, Python {manifest.python}, IPython {ipython}; "
        f"{len(manifest.files)} files intact in {runtime.runtime_dir()}"
    )


def _writable(kind: Literal["cache", "data"]) -> str:
    from pyodide_kernel.folders import user_folder

    variable = f"XDG_{kind.upper()}_HOME"
    folder = user_folder(kind)
    try:
        if not folder.is_absolute():
            raise OSError(0, "there is no home folder")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError as error:
        raise PyodideKernelError(
            f"Can't write to {folder} ({error.strerror}); "
            f"set {variable} to a folder that you may write to"
        ) from error


def _snapshot() -> str:
    from pyodide_kernel.warm import snapshot_state

    return snapshot_state()


def _test_cell() -> str:
    """Start an interpreter as a kernel does, and run a cell."""
    from pyodide_kernel.bridge.boot import deno_bridge
    from pyodide_kernel.bridge.bridge import Death
    from pyodide_kernel.bridge.life import BridgeConfig
    from pyodide_kernel.warm import chosen_cache

    started = time.monotonic()
    ready = threading.Event()
    death: list[Death] = []
    bridge = deno_bridge(
        policy=_policy(),
        cache=chosen_cache(),
        config=BridgeConfig(),
        on_message=lambda message: None,
        on_ready=lambda message: ready.set(),
        on_death=death.append,
        on_give_up=death.append,
    )
    cell = {"code": "1+1", "silent": False, "store_history": False, "allow_stdin": False}
    bridge.start()
    try:
        _, reply = bridge.request("execute_request", cell | {"user_expressions": {}})
        status = reply.result(timeout=CELL_TIMEOUT_S).content["status"]
        layers = layers_line(bridge.layers())
    except TimeoutError:
        raise PyodideKernelError(f"no answer within {CELL_TIMEOUT_S:.0f} s") from None
    finally:
        bridge.close()
    if status != "ok":
        raise PyodideKernelError(f"1+1 ended with status {status!r}")
    took = time.monotonic() - started
    return f"1+1 ran {took:.2f} s after the start of the interpreter; {layers}"


def layers_line(system: Mapping[str, str]) -> str:
    """What holds the code: Deno's permissions, whose check has passed, and the system's layers."""
    found = {"permissions of Deno": "active", **system}
    active = [name for name, state in found.items() if state.startswith("active")]
    inactive = [f"{name} ({state})" for name, state in found.items() if name not in active]
    line = f"layers active: {', '.join(active)}"
    return f"{line}; not active: {', '.join(inactive)}" if inactive else line
