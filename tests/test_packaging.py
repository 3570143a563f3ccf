"""What is built and installed: the archives, the kernelspec, the bundled runtime."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import bash_bundle
import pytest
from bash_bundle import ADDED, INSIDE, checked_bundle
from build_runtime import is_intact
from glue import CHANGES, change
from runtime_files import CACHE_TAG
from runtime_sources import BuildError, check_against_lock

import pyodide_kernel
from pyodide_kernel.errors import RuntimeDamagedError
from pyodide_kernel.runtime import check, load_manifest, runtime_dir, verify

ROOT = Path(__file__).resolve().parent.parent
KERNELSPEC = ROOT / "kernelspec"
SPEC_AT = "share/jupyter/kernels/pyodide"
UNCHECKED_HASH = 1


@pytest.fixture
def tiny_runtime(tmp_path: Path) -> Path:
    """A runtime of two files with a manifest that is right."""
    contents = {"a.bin": b"some bytes", "folder/b.bin": b"others"}
    for name, data in contents.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    manifest = {
        "pyodide": "1",
        "python": "3.14.0",
        "packages": {},
        "files": {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in contents.items()
        },
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return tmp_path


@pytest.fixture(scope="session")
def image() -> dict[str, bytes]:
    """The files of the guest's site-packages."""
    folder = runtime_dir()
    index = json.loads((folder / "site-packages.json").read_text("utf-8"))["files"]
    blob = (folder / "site-packages.bin").read_bytes()
    assert sum(size for _, size in index.values()) == len(blob)
    return {name: blob[offset : offset + size] for name, (offset, size) in index.items()}


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The source archive, and the wheel that is built from nothing else."""
    folder = tmp_path_factory.mktemp("archives")
    run_hatchling(ROOT, "sdist", folder)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    run_hatchling(folder / sdist.name.removesuffix(".tar.gz"), "wheel", folder)
    (wheel,) = folder.glob("*.whl")
    return sdist, wheel


def run_hatchling(source: Path, target: str, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def is_source(name: str) -> bool:
    return name.endswith(".py")


# The kernelspec


def test_kernelspec_promises_what_the_kernel_does() -> None:
    spec = json.loads((KERNELSPEC / "kernel.json").read_text("utf-8"))
    assert spec["argv"] == ["python", "-m", "pyodide_kernel", "-f", "{connection_file}"]
    assert spec["display_name"] == "Python (Pyodide)"
    assert spec["language"] == "python"
    assert spec["interrupt_mode"] == "message"
    assert spec["metadata"] == {"debugger": False, "supported_encryption": ["curve"]}


@pytest.mark.parametrize("size", [32, 64])
def test_logo_has_the_size_in_its_name(size: int) -> None:
    header = (KERNELSPEC / f"logo-{size}x{size}.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", header[16:]) == (size, size)


def test_kernelspec_is_installed_as_it_is_in_the_sources() -> None:
    installed = Path(sys.prefix, SPEC_AT)
    for path in KERNELSPEC.iterdir():
        assert (installed / path.name).read_bytes() == path.read_bytes()


# The installation


def test_version_is_the_same_everywhere() -> None:
    assert importlib.metadata.version("pyodide-kernel") == pyodide_kernel.__version__


def test_every_installed_file_is_recorded_so_that_uninstalling_removes_it() -> None:
    package = Path(pyodide_kernel.__file__).parent
    if package.is_relative_to(ROOT / "pyodide_kernel"):
        pytest.skip("an editable installation has its files in the checkout")
    recorded = {
        Path(str(file.locate())).resolve()
        for file in importlib.metadata.files("pyodide-kernel") or ()
    }
    installed = {
        path.resolve()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert installed <= recorded
    assert all(path.exists() for path in recorded)


# The bundled runtime


def test_installed_runtime_is_intact() -> None:
    assert verify(full=True) == []


def test_manifest_names_every_file_of_the_runtime() -> None:
    present = {
        path.relative_to(runtime_dir()).as_posix()
        for path in runtime_dir().rglob("*")
        if path.is_file()
    }
    assert present == {*load_manifest().files, "manifest.json"}


def test_every_module_of_the_standard_library_has_bytecode() -> None:
    with zipfile.ZipFile(runtime_dir() / "python_stdlib.zip") as archive:
        names = set(archive.namelist())
        sources = sorted(filter(is_source, names))
        assert [name for name in sources if f"{name}c" not in names] == []
        for name in sources:
            assert bytecode_flags(archive.read(f"{name}c")) == UNCHECKED_HASH


def test_every_module_of_the_guest_packages_has_bytecode(image: dict[str, bytes]) -> None:
    for name in filter(is_source, image):
        folder, _, file = name.rpartition("/")
        cached = f"{folder}/__pycache__/{file[:-3]}.{CACHE_TAG}.pyc".lstrip("/")
        assert bytecode_flags(image[cached]) == UNCHECKED_HASH


def bytecode_flags(data: bytes) -> int:
    """The flags word of a pyc, after its magic number (PEP 552)."""
    return int(struct.unpack("<I", data[4:8])[0])


def test_guest_packages_are_pure_python_with_metadata_and_licence(image: dict[str, bytes]) -> None:
    assert [name for name in image if name.endswith((".so", ".pyd", ".dll", ".dylib"))] == []
    for package, version in load_manifest().packages.items():
        info = f"{package.replace('-', '_')}-{version}.dist-info/"
        assert f"Version: {version}" in image[info + "METADATA"].decode()
        assert [name for name in image if name.startswith(info) and "LICENSE" in name]


def test_metadata_of_guest_packages_names_only_files_that_exist(image: dict[str, bytes]) -> None:
    for record in (name for name in image if name.endswith(".dist-info/RECORD")):
        names = [line.split(",")[0] for line in image[record].decode().splitlines()]
        assert [name for name in names if name not in image] == []


def test_the_shell_is_one_module_that_needs_nothing() -> None:
    text = (runtime_dir() / "bash" / "just-bash.mjs").read_text("utf-8")
    assert re.findall(r'(?:^|[;}])import\b[^.(]{0,200}?["\']|\bimport\(["\']', text) == []


@pytest.mark.parametrize("name", [*INSIDE, *ADDED])
def test_what_is_in_the_shell_is_named_with_its_licence(name: str) -> None:
    licences = (runtime_dir() / "bash" / "LICENSE").read_text("utf-8")
    assert re.search(rf"^{re.escape(name)} [0-9.]+, \S", licences, re.M)
    assert name in (ROOT / "NOTICE").read_text("utf-8")


def test_intact_runtime_has_no_damage(tiny_runtime: Path) -> None:
    assert verify(full=True, folder=tiny_runtime) == []
    check(full=True, folder=tiny_runtime)


def test_missing_file_is_reported(tiny_runtime: Path) -> None:
    (tiny_runtime / "folder" / "b.bin").unlink()
    assert verify(full=False, folder=tiny_runtime) == ["folder/b.bin"]


def test_altered_file_of_the_same_size_is_found_by_its_digest_only(tiny_runtime: Path) -> None:
    (tiny_runtime / "a.bin").write_bytes(b"SOME BYTES")
    assert verify(full=False, folder=tiny_runtime) == []
    assert verify(full=True, folder=tiny_runtime) == ["a.bin"]


def test_damage_is_told_with_the_file_and_the_remedy(tiny_runtime: Path) -> None:
    (tiny_runtime / "a.bin").write_bytes(b"")
    with pytest.raises(RuntimeDamagedError, match=r"a\.bin.*pip install --force-reinstall"):
        check(full=False, folder=tiny_runtime)


def test_missing_manifest_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(RuntimeDamagedError, match=r"No such file.*pip install --force-reinstall"):
        load_manifest(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pyodide": "1", "files": 3}', "\ud800"])
def test_nonsense_in_the_manifest_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(RuntimeDamagedError, match="not a manifest"):
        load_manifest(tmp_path)


# The build


def test_wrong_digest_stops_the_build_and_names_both_digests(tmp_path: Path) -> None:
    (tmp_path / "pyodide.mjs").write_bytes(b"altered")
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"files": {"pyodide.mjs": {"sha256": "0" * 64}}}), "utf-8")
    found = hashlib.sha256(b"altered").hexdigest()
    with pytest.raises(BuildError, match=rf"pyodide\.mjs.*{found}.*{'0' * 64}"):
        check_against_lock(tmp_path, lock)


def test_a_shell_that_is_not_what_the_lock_says_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bundle(_deno: Path, _modules: Path, target: Path, _work: Path) -> None:
        target.write_bytes(b"altered")

    monkeypatch.setattr(bash_bundle, "bundle", bundle)
    found = hashlib.sha256(b"altered").hexdigest()
    with pytest.raises(BuildError, match=rf"just-bash\.mjs has SHA-256 {found}.*relock"):
        checked_bundle(Path("deno"), tmp_path, tmp_path / "just-bash.mjs", tmp_path)


def test_runtime_of_other_inputs_is_built_anew(tiny_runtime: Path) -> None:
    assert not is_intact(tiny_runtime)


@pytest.mark.slow
@pytest.mark.timeout(600)  # the whole runtime is built
def test_source_archive_holds_no_built_file(archives: tuple[Path, Path]) -> None:
    with tarfile.open(archives[0]) as archive:
        names = archive.getnames()
    assert [name for name in names if "_runtime/" in name or name.endswith(".pyc")] == []
    assert archives[0].stat().st_size < 2_000_000


@pytest.mark.slow
@pytest.mark.timeout(600)  # the whole runtime is built
def test_wheel_from_the_source_archive_holds_everything(archives: tuple[Path, Path]) -> None:
    assert archives[1].name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(archives[1]) as archive:
        names = set(archive.namelist())
        manifest = json.loads(archive.read("pyodide_kernel/_runtime/manifest.json"))
        for name, record in manifest["files"].items():
            data = archive.read(f"pyodide_kernel/_runtime/{name}")
            assert hashlib.sha256(data).hexdigest() == record["sha256"]
    data_folder = f"pyodide_kernel-{pyodide_kernel.__version__}.data/data/{SPEC_AT}"
    assert {f"{data_folder}/{path.name}" for path in KERNELSPEC.iterdir()} <= names
    sources = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pyodide_kernel").rglob("*")
        if path.suffix in {".py", ".ts"} and "_runtime" not in path.parts
    }
    assert sources <= names


@pytest.mark.slow
@pytest.mark.timeout(600)  # the whole runtime is built
def test_uninstalling_leaves_nothing(archives: tuple[Path, Path], tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path)], check=True)
    python = tmp_path / ("Scripts" if sys.platform == "win32" else "bin") / "python"

    def pip(*words: str) -> set[Path]:
        command = [str(python), "-m", "pip", "--disable-pip-version-check", *words]
        subprocess.run(command, check=True, capture_output=True)
        return {path for path in tmp_path.rglob("*") if "__pycache__" not in path.parts}

    before = pip("list")
    after = pip("install", "--no-deps", "--no-index", str(archives[1]))
    assert tmp_path / SPEC_AT / "kernel.json" in after
    subprocess.run([str(python), "-c", "import pyodide_kernel.runtime as r; r.check(full=True)"])
    left = pip("uninstall", "--yes", "pyodide-kernel") - before
    # Empty folders are pip's affair: it keeps share/jupyter for others.
    assert {path for path in left if path.is_file()} == set()


def test_the_changes_of_pyodide_are_in_what_is_shipped() -> None:
    for name, changes in CHANGES.items():
        shipped = (runtime_dir() / "pyodide" / name).read_text("utf-8")
        for old, new in changes:
            assert (shipped.count(old), shipped.count(new) > 0) == (0, True)


def test_another_pyodide_is_not_changed_but_refused() -> None:
    with pytest.raises(BuildError, match=r"pyodide\.mjs has 0 times what is to be changed"):
        change("pyodide.mjs", "export const version = 'another';")
    (name, changes), *_ = CHANGES.items()
    with pytest.raises(BuildError, match="has 2 times"):
        change(name, changes[0][0] * 2)
