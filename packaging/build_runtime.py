"""Fill `pyodide_kernel/_runtime/`: Pyodide, its standard library with bytecode, and guest packages.

    python packaging/build_runtime.py [FOLDER]

Needs the packages `deno` and `pip` in the running Python, and the npm and Python registries the
machine is set up for. What is already there, intact and made from the same inputs is kept, so a
second run is fast and needs no network.

The folder, once filled:

    pyodide/                  pyodide.mjs, pyodide.asm.mjs, pyodide.asm.wasm, pyodide-lock.json
    python_stdlib.zip         Pyodide's own, with a .pyc beside each .py
    site-packages.json        {"files": {"IPython/__init__.py": [offset, size], …}}
    site-packages.bin         the contents, one after the other
    manifest.json             versions, and size and SHA-256 of each of the files above
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "packaging"
TARGET = ROOT / "pyodide_kernel" / "_runtime"

LOCK = HERE / "runtime.lock.json"
GUEST = HERE / "guest.txt"
NPM = HERE / "npm"
INPUTS = (
    Path(__file__).resolve(),
    HERE / "bytecode.py",
    HERE / "bytecode.ts",
    LOCK,
    GUEST,
    NPM / "deno.json",
    NPM / "deno.lock",
)

SHIPPED_AS_IS = ("pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "pyodide-lock.json")
STDLIB = "python_stdlib.zip"
IMAGE, INDEX, MANIFEST = "site-packages.bin", "site-packages.json", "manifest.json"

# Where the guest sees the two; it is what tracebacks show.
STDLIB_AT = "/lib/python314.zip"
SITE_PACKAGES_AT = "/lib/python3.14/site-packages"
CACHE_TAG = "cpython-314"

# Left out of the image because nothing in it imports them. IPython.testing stays: IPython's core
# imports IPython.testing.skipdoctest. Jedi's typeshed stays: completion reads it.
LEFT_OUT = (
    "IPython/external/tests/",
    "IPython/sphinxext/",  # needs Sphinx
    "IPython/terminal/tests/",
    "IPython/testing/plugin/",  # a pytest plugin of IPython's own test suite
    "jedi/third_party/django-stubs/",  # only for completing Django models
    "traitlets/tests/",
)
# The wheels' data scheme (manual pages, Jupyter data) has no place in the guest.
LEFT_OUT_SUFFIXES = (".data",)

# A fixed time stamp keeps the archive the same from build to build; zip knows none before 1980.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


class BuildError(Exception):
    """The runtime cannot be built; the message names the thing and the remedy."""


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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


def find_deno() -> Path:
    """The Deno binary that the `deno` wheel carries."""
    try:
        deno = importlib.import_module("deno")
        return Path(deno.find_deno_bin())
    except (ImportError, FileNotFoundError) as error:
        raise BuildError(
            f"Deno is needed to build the runtime and was not found for {sys.executable}; "
            "install it there with: pip install deno"
        ) from error


def run(command: list[str], *, cwd: Path, env: dict[str, str], what: str) -> str:
    """Run a command and return what it printed; BuildError carries the end of its output."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        tail = (done.stdout + done.stderr).strip()[-2000:]
        raise BuildError(f"{what} failed with exit code {done.returncode}:\n{tail}")
    return done.stdout


def fetch_pyodide(deno: Path, work: Path) -> Path:
    """Download the npm package `pyodide` and check it against the lock; return its folder."""
    project = work / "npm"
    shutil.copytree(NPM, project)
    run(
        [str(deno), "install", "--quiet"],
        cwd=project,
        env={"DENO_DIR": str(work / "deno"), "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"},
        what="Downloading Pyodide from the npm registry (is the network reachable?)",
    )
    folder = (project / "node_modules" / "pyodide").resolve()
    for name, entry in json.loads(LOCK.read_text("utf-8"))["files"].items():
        if not (folder / name).is_file():
            raise BuildError(f"The npm package pyodide holds no {name}; is {LOCK.name} up to date?")
        if (found := sha256(folder / name)) != entry["sha256"]:
            raise BuildError(
                f"{name} of the npm package pyodide has SHA-256 {found}, but "
                f"packaging/{LOCK.name} says {entry['sha256']}; do not use it. Clear the npm "
                "registry's cache if there is one, or correct the lock after an upgrade."
            )
    return folder


def fetch_wheels(work: Path) -> list[Path]:
    """Download the guest's wheels; pip checks their hashes."""
    folder = work / "wheels"
    folder.mkdir()
    run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
        + ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(folder)]
        + ["--python-version", "3.14", "--implementation", "py", "--abi", "none"]
        + ["--platform", "any", "--requirement", str(GUEST)],
        cwd=work,
        env={},
        what="Downloading the guest's wheels from the Python registry (is the network reachable?)",
    )
    return sorted(folder.glob("*-none-any.whl"))


def is_left_out(name: str) -> bool:
    """True for a file of a wheel that the guest never needs."""
    top = name.split("/", 1)[0]
    return name.endswith("/") or top.endswith(LEFT_OUT_SUFFIXES) or name.startswith(LEFT_OUT)


def unpack(wheels: list[Path], sources: Path) -> dict[str, str]:
    """Unpack the wheels into one folder; return the versions by distribution name."""
    versions = {}
    for wheel in wheels:
        name, version = wheel.name.split("-")[:2]
        versions[name.replace("_", "-").lower()] = version
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                if not is_left_out(member):
                    archive.extract(member, sources)
        info = next(path for path in sources.glob(f"{name}-{version}.dist-info"))
        record = info / "RECORD"
        kept = [
            line
            for line in record.read_text("utf-8").splitlines()
            if not is_left_out(line.split(",", 1)[0])
        ]
        own = f"{info.name}/INSTALLER"
        record.write_text("\n".join([*kept, f"{own},,", ""]), "utf-8")
        (info / "INSTALLER").write_text("pyodide-kernel\n", "utf-8")
    return dict(sorted(versions.items()))


def cached(name: str) -> str:
    """The path of a module's bytecode in a file system: a/b.py -> a/__pycache__/b.cpython-314.pyc."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/__pycache__/{file[:-3]}.{CACHE_TAG}.pyc".lstrip("/")


def bytecode_job(stdlib: list[str], site: list[str]) -> list[tuple[str, str, str]]:
    """What to compile: source, target (both relative) and the file name that tracebacks show."""
    return [(f"stdlib/{name}", f"stdlib/{name}c", f"{STDLIB_AT}/{name}") for name in stdlib] + [
        (f"site/{name}", f"site/{cached(name)}", f"{SITE_PACKAGES_AT}/{name}") for name in site
    ]


def compile_sources(deno: Path, pyodide: Path, job_dir: Path) -> str:
    """Compile `sources/stdlib` and `sources/site` into `output/`; return the Python version."""
    names = {
        part: sorted(
            path.relative_to(job_dir / "sources" / part).as_posix()
            for path in (job_dir / "sources" / part).rglob("*.py")
        )
        for part in ("stdlib", "site")
    }
    job = bytecode_job(names["stdlib"], names["site"])
    (job_dir / "job.json").write_text(json.dumps(job), "utf-8")
    for _, target, _ in job:
        (job_dir / "output" / target).parent.mkdir(parents=True, exist_ok=True)
    printed = run(
        [str(deno), "run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--cached-only"]
        + [f"--allow-read={pyodide},{job_dir},{HERE}", f"--allow-write={job_dir}"]
        + ["--allow-env", "--allow-sys", str(HERE / "bytecode.ts")]
        + [str(pyodide), str(job_dir), str(HERE / "bytecode.py")],
        cwd=job_dir,
        env={"DENO_DIR": str(job_dir / "deno"), "NO_COLOR": "1", "DENO_NO_UPDATE_CHECK": "1"},
        what="Compiling the guest's modules in Pyodide",
    )
    report = json.loads(printed.strip().splitlines()[-1])
    for name, reason in report["failed"].items():
        print(f"  no bytecode for {name}: {reason.splitlines()[-1]}", file=sys.stderr)  # noqa: T201
    return str(report["python"])


def write_stdlib(original: Path, compiled: Path, target: Path) -> None:
    """Write the archive anew, each module preceded by its bytecode."""
    with (
        zipfile.ZipFile(original) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out,
    ):
        for name in sorted(source.namelist()):
            if name.endswith("/"):
                continue
            pyc = compiled / f"{name}c"
            if name.endswith(".py") and pyc.is_file():
                out.writestr(zipfile.ZipInfo(f"{name}c", ZIP_TIME), pyc.read_bytes())
            info = zipfile.ZipInfo(name, ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(info, source.read(name))


def write_image(folders: list[Path], target: Path) -> None:
    """Write all files of the folders as one blob and an index into it."""
    files = {
        path.relative_to(folder).as_posix(): path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }
    index: dict[str, list[int]] = {}
    offset = 0
    with (target / IMAGE).open("wb") as blob:
        for name in sorted(files):
            data = files[name].read_bytes()
            blob.write(data)
            index[name] = [offset, len(data)]
            offset += len(data)
    (target / INDEX).write_text(json.dumps({"files": index}, separators=(",", ":")), "utf-8")


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
    pyodide = fetch_pyodide(deno, work)
    job_dir = work / "job"
    sources = job_dir / "sources"
    with zipfile.ZipFile(pyodide / STDLIB) as archive:
        archive.extractall(sources / "stdlib")
    packages = unpack(fetch_wheels(work), sources / "site")
    python = compile_sources(deno, pyodide, job_dir)

    (target / "pyodide").mkdir()
    for name in SHIPPED_AS_IS:
        shutil.copyfile(pyodide / name, target / "pyodide" / name)
    shutil.copyfile(HERE / "licenses" / "pyodide.txt", target / "pyodide" / "LICENSE")
    write_stdlib(pyodide / STDLIB, job_dir / "output" / "stdlib", target / STDLIB)
    write_image([sources / "site", job_dir / "output" / "site"], target)
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
        if target.exists():
            target.rename(Path(scratch, "old"))
        new.rename(target)
    return True


if __name__ == "__main__":
    try:
        built = build(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
    except BuildError as error:
        sys.exit(f"pyodide-kernel: {error}")
    print("Built the runtime." if built else "The runtime is up to date.")  # noqa: T201
