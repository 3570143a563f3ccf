"""Fill `pyodide_kernel/_runtime/`: Pyodide, its standard library, guest packages, and bash.

    python packaging/build_runtime.py [FOLDER]

Needs the packages `deno` and `pip` in the running Python, and the npm and Python registries the
machine is set up for. What is already there, intact and made from the same inputs is kept, so a
second run is fast and needs no network.

The folder, once filled:

    pyodide/                  pyodide.mjs and pyodide.asm.mjs, changed by glue.py,
                              pyodide.asm.wasm, pyodide-lock.json
    bash/                     just-bash.mjs, LICENSE
    python_stdlib.zip         Pyodide's own, with a .pyc beside each .py
    site-packages.json        {"files": {"IPython/__init__.py": [offset, size], …}}
    site-packages.bin         the contents, one after the other
    manifest.json             versions, and size and SHA-256 of each of the files above
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from bash_bundle import BUNDLE, checked_bundle, licences
from glue import ship
from runtime_files import cached, unpack, write_image, write_stdlib
from runtime_sources import (
    GUEST,
    HERE,
    LOCK,
    NPM,
    BuildError,
    checked_pyodide,
    deno_env,
    fetch_npm,
    fetch_wheels,
    find_deno,
    run,
    sha256,
)

TARGET = HERE.parent / "pyodide_kernel" / "_runtime"
INPUTS = (
    HERE / "bash_bundle.py",
    HERE / "bash_bundle.ts",
    HERE / "bash_left_out.js",
    HERE / "bash_zlib.js",
    HERE / "build_runtime.py",
    HERE / "bytecode.py",
    HERE / "bytecode.ts",
    HERE / "glue.py",
    HERE / "runtime_files.py",
    HERE / "runtime_sources.py",
    LOCK,
    GUEST,
    NPM / "deno.json",
    NPM / "deno.lock",
)

SHIPPED = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json")
STDLIB = "python_stdlib.zip"
IMAGE, INDEX, MANIFEST = "site-packages.bin", "site-packages.json", "manifest.json"

# Where the guest sees the two archives; it is what tracebacks show.
STDLIB_AT = "/lib/python314.zip"
SITE_PACKAGES_AT = "/lib/python3.14/site-packages"


def inputs_digest() -> str:
    """One digest over everything that decides what the runtime contains."""
    digest = hashlib.sha256()
    for path in INPUTS:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def is_intact(target: Path) -> bool:
    """True if the folder was filled from today's inputs and no file was changed since."""
    try:
        manifest = json.loads((target / MANIFEST).read_text("utf-8"))
        return manifest["inputs"] == inputs_digest() and all(
            sha256(target / name) == entry["sha256"] for name, entry in manifest["files"].items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def bytecode_job(stdlib: list[str], site: list[str]) -> list[tuple[str, str, str]]:
    """What to compile: source, target (both relative) and the file name that tracebacks show."""
    return [(f"stdlib/{name}", f"stdlib/{name}c", f"{STDLIB_AT}/{name}") for name in stdlib] + [
        (f"site/{name}", f"site/{cached(name)}", f"{SITE_PACKAGES_AT}/{name}") for name in site
    ]


def compile_sources(deno: Path, pyodide: Path, job_dir: Path) -> str:
    """Compile `sources/stdlib` and `sources/site` into `output/`; return the Python version."""
    stdlib, site = (
        sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.py"))
        for folder in (job_dir / "sources" / "stdlib", job_dir / "sources" / "site")
    )
    job = bytecode_job(stdlib, site)
    (job_dir / "job.json").write_text(json.dumps(job), "utf-8")
    for _, target, _ in job:
        (job_dir / "output" / target).parent.mkdir(parents=True, exist_ok=True)
    readable = ",".join(str(path).replace(",", ",,") for path in (pyodide, job_dir, HERE))
    printed = run(
        [str(deno), "run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--cached-only"],
        [f"--allow-read={readable}", f"--allow-write={str(job_dir).replace(',', ',,')}"],
        ["--allow-env", "--allow-sys", str(HERE / "bytecode.ts")],
        [str(pyodide), str(job_dir), str(HERE / "bytecode.py")],
        cwd=job_dir,
        env=deno_env(job_dir),
        what="Compiling the guest's modules in Pyodide",
    )
    report = json.loads(printed.strip().splitlines()[-1])
    for name, reason in report["failed"].items():
        print(f"  no bytecode for {name}: {reason.splitlines()[-1]}", file=sys.stderr)
    return str(report["python"])


def write_manifest(target: Path, python: str, packages: dict[str, str]) -> None:
    """Write down what was built, last of all: a folder without a manifest is not finished."""
    names = sorted(
        path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()
    )
    manifest = {
        "pyodide": json.loads(LOCK.read_text("utf-8"))["pyodide"],
        "python": python,
        "packages": packages,
        "files": {
            name: {"size": (target / name).stat().st_size, "sha256": sha256(target / name)}
            for name in names
        },
        "inputs": inputs_digest(),
    }
    (target / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")


def fill(target: Path, work: Path) -> None:
    """Build the runtime into an empty folder."""
    deno = find_deno()
    modules = fetch_npm(deno, work)
    pyodide = checked_pyodide(modules)
    job_dir = work / "job"
    sources = job_dir / "sources"
    with zipfile.ZipFile(pyodide / STDLIB) as archive:
        archive.extractall(sources / "stdlib")
    packages = unpack(fetch_wheels(work), sources / "site")
    python = compile_sources(deno, pyodide, job_dir)

    (target / "pyodide").mkdir()
    for name in SHIPPED:
        ship(pyodide / name, target / "pyodide" / name)
    shutil.copyfile(HERE / "licenses" / "pyodide.txt", target / "pyodide" / "LICENSE")
    (target / "bash").mkdir()
    checked_bundle(deno, modules, target / "bash" / BUNDLE, work)
    (target / "bash" / "LICENSE").write_text(licences(modules), "utf-8")
    write_stdlib(pyodide / STDLIB, job_dir / "output" / "stdlib", target / STDLIB)
    write_image([sources / "site", job_dir / "output" / "site"], target / IMAGE, target / INDEX)
    write_manifest(target, python, packages)


def build(target: Path = TARGET) -> bool:
    """Make sure the runtime is there; return True if it had to be built."""
    if is_intact(target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and renamed, so that a half-built runtime is never seen.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="._runtime-") as scratch:
        new = Path(scratch, "new")
        new.mkdir()
        with tempfile.TemporaryDirectory(prefix="pyodide-kernel-build-") as work:
            fill(new, Path(work).resolve())
        try:
            if target.exists():
                target.rename(Path(scratch, "old"))
            new.rename(target)
        except OSError:
            # Another build may have been faster by a moment.
            if not is_intact(target):
                raise
    return True


if __name__ == "__main__":
    try:
        built = build(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
    except BuildError as error:
        sys.exit(f"pyodide-kernel: {error}")
    print("Built the runtime." if built else "The runtime is up to date.")
