"""Who may import what: the layers of the package, read from its source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

import pyodide_kernel

ROOT = Path(pyodide_kernel.__file__).parent
OURS = "pyodide_kernel"
STDLIB = sys.stdlib_module_names
INTERPRETER = {"pyodide", "pyodide_js", "_pyodide", "js"}
"""What exists in Pyodide only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a module may import beside the standard library, as patterns of full names."""

    allowed: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    """Modules of the standard library that it may not import."""


ERRORS = f"{OURS}.errors"
BRIDGE = f"{OURS}.bridge.*"
PACKAGES = f"{OURS}.packages.*"
MESSAGES = f"{OURS}.bridge.messages"
POLICY, MOUNTS, LIMITS, NETWORK = (
    f"{OURS}.{name}" for name in ("policy", "mounts", "limits", "network")
)
LIBRARIES = (
    *("ipykernel", "ipykernel.*", "jupyter_client", "jupyter_client.*"),
    *("jupyter_core", "jupyter_core.*"),
    *("traitlets", "traitlets.*", "tornado.*", "zmq", "zmq.*", "psutil", "platformdirs", "nh3"),
)

# The first pattern that fits a module's path below the package is its rule.
RULES: dict[str, Rule] = {
    "errors.py": Rule(),
    "__init__.py": Rule(),
    "*/__init__.py": Rule(),
    "bridge/messages.py": Rule(),
    "bridge/confine.py": Rule(),
    "bridge/protocol.py": Rule(
        allowed=(OURS + ".bridge", MESSAGES, ERRORS),
        without=frozenset({"asyncio", "socket", "subprocess", "threading", "time", "datetime"}),
    ),
    "bridge/preparation.py": Rule(
        allowed=(BRIDGE, OURS, f"{OURS}.runtime", POLICY, LIMITS, ERRORS),
        without=frozenset({"asyncio"}),
    ),
    "bridge/spawn.py": Rule(
        allowed=(BRIDGE, POLICY, LIMITS, ERRORS), without=frozenset({"asyncio"})
    ),
    "bridge/overuse.py": Rule(allowed=(LIMITS, "psutil")),
    "bridge/http_*.py": Rule(allowed=(BRIDGE, NETWORK, "httpcore")),
    "bridge/certificates.py": Rule(allowed=("certifi",)),
    "bridge/fetch*.py": Rule(allowed=(BRIDGE, NETWORK, LIMITS)),
    "bridge/names.py": Rule(allowed=(NETWORK, "psutil")),
    "bridge/*.py": Rule(allowed=(BRIDGE, POLICY, LIMITS, ERRORS, "deno")),
    "guest/httpx_transport.py": Rule(allowed=(f"{OURS}.guest.*", "httpx")),
    "guest/pip_lines.py": Rule(),
    "guest/unavailable.py": Rule(),
    "reading/*.py": Rule(
        allowed=(f"{OURS}.reading.*", ERRORS, f"{OURS}.guest.pip_lines", "IPython.core.*")
    ),
    "check/*.py": Rule(
        allowed=(
            *(f"{OURS}.check.*", f"{OURS}.reading.*", ERRORS, NETWORK, "packaging.*"),
            *(f"{OURS}.packages.{name}" for name in ("lockfile", "constraints", "markers")),
            *(f"{OURS}.guest.pip_lines", f"{OURS}.guest.unavailable"),
        )
    ),
    "locking/*.py": Rule(
        allowed=(
            *(f"{OURS}.locking.*", f"{OURS}.reading.*", PACKAGES, BRIDGE, ERRORS, POLICY, LIMITS),
            *(f"{OURS}.guest.pip_lines", "packaging.*"),
        )
    ),
    "packages/lockfile.py": Rule(allowed=(ERRORS,)),
    "packages/origins.py": Rule(allowed=(ERRORS, NETWORK)),
    "packages/*.py": Rule(
        allowed=(
            *(OURS, ERRORS, PACKAGES, POLICY, f"{OURS}.folders", f"{OURS}.runtime"),
            *(BRIDGE, "httpx", "packaging.*", "platformdirs", f"{OURS}.guest.pip_lines"),
        )
    ),
    "guest/*.py": Rule(
        allowed=(
            "annotationlib",  # of the standard library of Python 3.14, which the guest is
            *(MESSAGES, f"{OURS}.guest", f"{OURS}.guest.*"),
            *("IPython", "IPython.*", "traitlets", "traitlets.*", "comm", "comm.*"),
            *("micropip", "micropip.*"),
        )
    ),
    "policy.py": Rule(allowed=(LIMITS, MOUNTS, NETWORK, ERRORS)),
    "network.py": Rule(),
    "mounts.py": Rule(allowed=(ERRORS,)),
    "limits.py": Rule(),
    "runtime.py": Rule(allowed=(ERRORS,)),
    "completeness.py": Rule(allowed=("IPython.core.*",)),
    "history.py": Rule(allowed=(OURS, f"{OURS}.[!g]*", "IPython.core.*", *LIBRARIES)),
    "values.py": Rule(allowed=(LIMITS, MOUNTS, NETWORK, f"{OURS}.packages.lockfile")),
    "settings.py": Rule(allowed=(ERRORS, LIMITS, MOUNTS, NETWORK, POLICY, f"{OURS}.values")),
    "*.py": Rule(allowed=(OURS, f"{OURS}.[!g]*", f"{OURS}.bridge.*", *LIBRARIES)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One imported module, and where."""

    module: str
    line: int
    at_start: bool
    """Whether it is imported with its module, not later by a function."""


def paths() -> list[str]:
    found = (path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))
    return sorted(path for path in found if not path.startswith("_runtime/"))


def imports_of(path: str) -> list[Import]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    later = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for inner in ast.walk(node)
    }
    return [
        Import(module=module, line=node.lineno, at_start=id(node) not in later)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in modules_of(node)
    ]


def modules_of(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """Full names; `from package import module` gives the module if it is one of ours."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    assert node.level == 0, f"line {node.lineno}: imports are absolute"
    assert node.module is not None
    for alias in node.names:
        full = f"{node.module}.{alias.name}"
        yield full if is_module_of_ours(full) else node.module


def top(module: str) -> str:
    return module.partition(".")[0]


def is_module_of_ours(name: str) -> bool:
    first, *rest = name.split(".")
    path = ROOT.joinpath(*rest)
    return first == OURS and (path.is_dir() or path.with_suffix(".py").is_file())


def is_allowed(module: str, rule: Rule) -> bool:
    if top(module) in rule.without:
        return False
    return top(module) in STDLIB or any(fnmatch(module, pattern) for pattern in rule.allowed)


@pytest.mark.parametrize("path", paths())
def test_module_imports_only_what_its_layer_may(path: str) -> None:
    rule = next(rule for pattern, rule in RULES.items() if fnmatch(path, pattern))
    wrong = [
        f"{path}:{found.line} imports {found.module}"
        for found in imports_of(path)
        if not is_allowed(found.module, rule) and top(found.module) not in INTERPRETER
    ]
    assert wrong == []


@pytest.mark.parametrize("path", paths())
def test_only_the_entry_imports_pyodide_and_not_when_it_is_imported(path: str) -> None:
    wrong = [
        f"{path}:{found.line} imports {found.module}"
        for found in imports_of(path)
        if top(found.module) in INTERPRETER and (path != "guest/entry.py" or found.at_start)
    ]
    assert wrong == []


def test_importing_the_package_imports_nothing_else() -> None:
    program = (
        "import sys; old = set(sys.modules); import pyodide_kernel; print(*set(sys.modules) - old)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert output.stdout.split() == [OURS]


def test_the_head_start_waits_for_no_heavy_import() -> None:
    heavy = {
        "asyncio",
        "ipykernel",
        "jupyter_client",
        "zmq",
        "tornado",
        "traitlets",
        "IPython",
        "psutil",
    }
    program = "import sys, pyodide_kernel.head_start; print(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "subprocess" in output.stdout.split(), output.stderr
    assert heavy.isdisjoint(output.stdout.split())


TYPESCRIPT = sorted(path.name for path in (ROOT / "js").glob("*.ts"))
LEVELS = (
    ("messages.ts", "emscripten.ts", "errno.ts", "self_check.ts", "marks.ts", "snapshot.ts"),
    ("host_node.ts", "memory_files.ts", "bash_errors.ts", "bash_outputs.ts"),
    ("host_lookup.ts", "host_mounts.ts", "host_streams.ts", "bash_files.ts"),
    ("host_locks.ts", "host_node_operations.ts", "host_open.ts", "bash_ls.ts"),
    ("host_calls.ts", "bash_commands.ts"),
    ("host_files.ts", "bash.ts"),
    ("bash_door.ts",),
    ("framing.ts", "files.ts", "life_lock.ts", "shared_cells.ts", "worker_messages.ts"),
    ("fetches.ts",),
    ("package_images.ts", "pipe_writer.ts", "pyodide.ts", "web_fetch.ts"),
    ("doors.ts",),
    ("broker.ts", "worker.ts"),
    ("main.ts",),
)
"""Each file imports files of the levels above its own only."""


def typescript(name: str) -> str:
    return (ROOT / "js" / name).read_text("utf-8")


@pytest.mark.parametrize("name", TYPESCRIPT)
def test_typescript_file_imports_only_files_above_it(name: str) -> None:
    level = next(index for index, names in enumerate(LEVELS) if name in names)
    above = {f"./{other}" for names in LEVELS[:level] for other in names}
    imported = set(re.findall(r'^(?:import|export)[^;]*? from "([^"]+)"', typescript(name), re.M))
    imported |= set(re.findall(r'^import "([^"]+)"', typescript(name), re.M))
    assert imported <= above


@pytest.mark.parametrize("name", TYPESCRIPT)
def test_typescript_file_holds_no_python(name: str) -> None:
    assert "runPython" not in typescript(name)
