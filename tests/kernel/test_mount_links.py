"""Links that lead out of a mount, and other ways in which JavaScript and Python might get out."""

from __future__ import annotations

import json
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_operations import tree
from mounted import World

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform != "linux", reason="links are held by Landlock"),
]

SECRET = "the secret"


@pytest.fixture
def linked(world: World) -> Iterator[Path]:
    """A folder in the writable mount, with links out of it; everything outside stays as it is."""
    (world.outside / "inner").mkdir(parents=True, exist_ok=True)
    (world.outside / "secret.txt").write_text(SECRET)
    (world.ro / "a.txt").write_text("ro")
    folder = Path(tempfile.mkdtemp(dir=world.rw))
    (folder / "deep" / "deeper").mkdir(parents=True)
    targets = {
        "file": world.outside / "secret.txt",
        "folder": world.outside,
        "relative": Path("../../outside/secret.txt"),
        "dangling": world.outside / "new.txt",
        "readonly": world.ro / "a.txt",
        "process": Path("/proc/self/environ"),
        "deep/deeper/harmless": Path("../../../outside/secret.txt"),
    }
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    before = everything(world.outside), everything(world.ro)
    yield folder
    assert (everything(world.outside), everything(world.ro)) == before


def everything(folder: Path) -> list[Any]:
    times = [(path.name, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))]
    return [tree(folder), times]


def javascript(world: World, body: str) -> str:
    """What the body of an asynchronous function returns, or the name of its error."""
    source = f"(async () => {{ try {{ {body} }} catch (e) {{ return `ERROR ${{e.name}}`; }} }})()"
    code = f"from pyodide.code import run_js\nprint(await run_js({source!r}))"
    return world.run(code).strip()


PYTHON = (
    "open('file').read()",
    "open('relative').read()",
    "open('readonly', 'r+')",
    "open('process').read()",
    "open('folder/secret.txt').read()",
    "open('file', 'w')",
    "open('file', 'a')",
    "open('folder/new', 'w')",
    "open('folder/inner/../secret.txt').read()",
    "open('folder/../outside/secret.txt').read()",
    "os.listdir('folder')",
    "os.chdir('folder') or os.listdir()",
    "os.mkdir('folder/new')",
    "os.unlink('folder/secret.txt')",
    "os.rename('folder/secret.txt', 'mine')",
    "os.rename('deep', 'folder/deep')",
    "os.truncate('file', 0)",
    "os.chmod('file', 0o777)",
    "os.chmod('folder/secret.txt', 0o777)",
    "os.chmod('readonly', 0o777)",
    "os.utime('file', (1, 1))",
    "os.utime('folder', (1, 1))",
    "shutil.copy('file', 'copy')",
    "shutil.copytree('folder', 'copy')",
    "shutil.rmtree('folder/inner')",
    "list(Path('folder').iterdir())",
    "__import__('sqlite3').connect('file').execute('select 1 from sqlite_master')",
)


def test_python_gets_nowhere_through_a_link(world: World, linked: Path) -> None:
    world.run(f"import os\nos.chdir('/mnt/rw/{linked.name}')")
    outcomes = dict(zip(PYTHON, world.outcomes(*PYTHON), strict=True))
    world.run("os.chdir('/home/pyodide')")
    assert {name: text for name, text in outcomes.items() if not is_refusal(text)} == {}


def is_refusal(outcome: Any) -> bool:
    return isinstance(outcome, str) and ("Error E" in outcome or "unable to open" in outcome)


def test_a_link_that_gets_to_another_depth_leads_nowhere(world: World, linked: Path) -> None:
    there = f"/mnt/rw/{linked.name}"
    assert world.outcomes(
        f"open('{there}/deep/deeper/harmless').read()",
        f"os.rename('{there}/deep/deeper/harmless', '{there}/moved')",
        f"os.rename('{there}/deep/deeper', '{there}/moved')",
        f"open('{there}/moved/harmless').read()",
    ) == ["FileNotFoundError ENOENT", "PermissionError EACCES", "worked", "PermissionError EACCES"]


@pytest.mark.parametrize(
    "call",
    [
        "Deno.readTextFileSync('@/file')",
        "Deno.readTextFileSync('@/folder/secret.txt')",
        "Deno.readTextFileSync('@/deep/../relative')",
        "Deno.readTextFileSync('@/../../outside/secret.txt')",
        "new TextDecoder().decode(Deno.readFileSync('@/file'))",
        "(await import('node:fs')).readFileSync('@/folder/secret.txt', 'utf8')",
        "[...Deno.readDirSync('@/folder')].map((entry) => entry.name)",
        "await (await fetch('file://@/file')).text()",
        "Deno.writeTextFileSync('@/readonly', 'changed')",
        "Deno.writeTextFileSync('@/file', 'changed')",
        "Deno.writeTextFileSync('@/dangling', 'made')",
        "Deno.mkdirSync('@/folder/made')",
        "Deno.removeSync('@/folder/secret.txt')",
        "Deno.renameSync('@/folder/secret.txt', '@/mine')",
        "Deno.linkSync('@/file', '@/hard')",
        "Deno.renameSync('@/relative', '@/deep/relative')",
        "Deno.linkSync('@/folder/secret.txt', '@/mine')",
        "Deno.symlinkSync('/etc', '@/made')",
        "Deno.copyFileSync('@/file', '@/copy')",
        "Deno.truncateSync('@/file', 0)",
    ],
)
def test_javascript_gets_nowhere_through_a_link(world: World, linked: Path, call: str) -> None:
    source = f"return String({call.replace('@', str(linked))})"
    assert javascript(world, source).startswith("ERROR ")


@pytest.mark.parametrize(
    "call",
    [
        "Deno.chmodSync('@/attributes', 0o666)",
        "await Deno.chmod('@/attributes', 0o666)",
        "Deno.utimeSync('@/attributes', 1, 1)",
        "Deno.chownSync('@/attributes', null, 0)",
        "Deno.chmodSync('@/through/attributes.txt', 0o666)",
        "(await import('node:fs')).chmodSync('@/attributes', 0o666)",
        "(await import('node:fs')).lutimesSync('@/through/attributes.txt', 1, 1)",
    ],
)
def test_javascript_changes_no_attributes_through_a_link(
    world: World, linked: Path, call: str
) -> None:
    layer = "read-only file systems"
    if world.guest.bridge.layers()[layer] != "active":
        pytest.skip(f"{layer}: {world.guest.bridge.layers()[layer]}")
    secret = world.outside / "attributes.txt"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    before = secret.stat()
    (linked / "attributes").symlink_to(secret)
    (linked / "through").symlink_to(world.outside)
    try:
        source = f"{call.replace('@', str(linked))}; return 'changed'"
        assert javascript(world, source).startswith("ERROR ")
        assert secret.stat() == before
    finally:
        secret.unlink()


def test_javascript_changes_attributes_of_what_is_in_the_mount(world: World, linked: Path) -> None:
    (linked / "mine").write_text("x")
    source = f"Deno.chmodSync({json.dumps(f'{linked}/mine')}, 0o640); return 'changed'"
    assert javascript(world, source) == "changed"
    assert stat.filemode((linked / "mine").stat().st_mode) == "-rw-r-----"


def test_links_are_shown_and_removed_as_links(world: World, linked: Path) -> None:
    there = f"/mnt/rw/{linked.name}"
    assert world.outcomes(
        f"os.readlink('{there}/relative')",
        f"os.readlink('{there}/readonly')",
        f"os.path.islink('{there}/file')",
        f"os.unlink('{there}/file')",
        f"open('{there}/readonly').read()",
        f"os.path.realpath('{there}/readonly')",
    ) == [
        "../../outside/secret.txt",
        "/mnt/ro/a.txt",
        True,
        "worked",
        "ro",
        "/mnt/ro/a.txt",
    ]


def test_a_link_to_a_place_in_a_mount_means_the_same_in_the_guest(world: World) -> None:
    (world.rw / "real").mkdir()
    (world.rw / "real" / "x").write_text("x")
    (world.rw / "absolute").symlink_to(world.rw / "real")
    assert world.outcomes(
        "open('/mnt/rw/absolute/x').read()",
        "os.readlink('/mnt/rw/absolute')",
        "str(Path('/mnt/rw/absolute/x').resolve())",
        "os.path.samefile('/mnt/rw/absolute/../real', '/mnt/rw/real')",
    ) == ["x", "/mnt/rw/real", "/mnt/rw/real/x", True]


def test_a_link_of_the_guest_leads_into_a_mount(world: World) -> None:
    (world.rw / "target").mkdir()
    (world.rw / "target" / "x").write_text("x")
    assert world.outcomes(
        "os.symlink('/mnt/rw/target', '/tmp/way')",
        "open('/tmp/way/x').read()",
        "os.listdir('/tmp/way/../target')",
        "os.chdir('/tmp/way') or os.getcwd()",
        "open('../target/./x').read()",
        "os.listdir('/tmp/../mnt/rw/../ro/../rw/target')",
        "os.chdir('/home/pyodide') or os.unlink('/tmp/way')",
    ) == ["worked", "x", ["x"], "/mnt/rw/target", "x", ["x"], "worked"]


# ---- nothing that user code does to the file system is fatal ----


def test_pyodide_mounts_no_folder_of_the_host(world: World) -> None:
    """Its own way to do that goes round ours, and an error of Deno in it would be fatal."""
    for folder in ("/", "/etc", str(world.outside), str(world.ro)):
        with pytest.raises(AssertionError, match="only works in Node"):
            world.run(f"import pyodide_js\npyodide_js.mountNodeFS('/node', {folder!r})")
    assert world.run("print(40 + 2)") == "42\n"


def test_a_broken_deno_namespace_is_an_error_of_each_call(world: World) -> None:
    (world.rw / "there").write_text("x")
    assert (
        javascript(
            world,
            "globalThis.kept = Deno.statSync; Deno.statSync = () => { throw 'odd' }; return 'done'",
        )
        == "done"
    )
    assert (
        world.outcomes("os.stat('/mnt/rw/there')", "open('/mnt/rw/there')") == ["OSError EIO"] * 2
    )
    javascript(world, "Deno.statSync = null; return ''")
    assert world.outcomes("os.stat('/mnt/rw/there')") == ["OSError EIO"]
    javascript(world, "Deno.statSync = globalThis.kept; return ''")
    assert world.outcomes("open('/mnt/rw/there').read()") == ["x"]


def test_javascript_can_use_emscriptens_functions_on_mounted_files(world: World) -> None:
    assert (
        world.run("""
import pyodide_js
FS = pyodide_js.FS
FS.writeFile('/mnt/rw/by js', 'text')
FS.mkdirTree('/mnt/rw/tree/of/folders')
print(FS.readFile('/mnt/rw/by js', encoding='utf8'), FS.analyzePath('/mnt/rw/by js').exists)
print(FS.readdir('/mnt/rw/tree').to_py(), FS.analyzePath('/mnt/rw/nothing').exists)
""")
        == "text True\n['.', '..', 'of'] False\n"
    )
    assert (world.rw / "by js").read_text() == "text"
