"""Ways on which code got out of similar sandboxes, tried here. docs/security.md says which and why.

Each is JavaScript or Python that ends with what it got. What must not be in that is the secret, and
what must not have happened is a file or a connection outside.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from real_kernel import RealKernel, real_kernel

pytestmark = pytest.mark.deno

SECRET = "the secret of the host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A kernel, and what it must not reach."""

    kernel: RealKernel
    mount: Path
    outside: Path
    listener: socket.socket

    def fill(self, text: str) -> str:
        """The text with the paths and the port of this scene."""
        port = self.listener.getsockname()[1]
        return (
            text.replace("@MOUNT", str(self.mount))
            .replace("@OUT", str(self.outside))
            .replace("@PORT", str(port))
        )

    def javascript(self, body: str) -> str:
        """What an asynchronous function gives, or its error."""
        source = f"(async () => {{ {self.fill(body)} }})()"
        code = f"from pyodide.code import run_js\nstr(await run_js({source!r}))"
        return self.python(code)

    def python(self, code: str) -> str:
        """Everything that a cell said."""
        cell = self.kernel.run(self.fill(code))
        outputs = [output for output in cell.outputs if output[0] != "execute_input"]
        return json.dumps([outputs, cell.reply])

    def check(self, said: str) -> None:
        """Nothing has got out or in, and the kernel answers."""
        assert SECRET not in said
        names = sorted(path.name for path in self.outside.iterdir())
        assert names == ["secret.json", "secret.txt"]
        with pytest.raises(BlockingIOError):
            self.listener.accept()
        assert self.kernel.run("40 + 2").result == "42"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    base = tmp_path_factory.mktemp("escapes")
    for name in ("home", "mount", "outside"):
        (base / name).mkdir()
    (base / "outside" / "secret.txt").write_text(SECRET)
    (base / "outside" / "secret.json").write_text(json.dumps({"secret": SECRET}))
    package = base / "mount" / "node_modules" / "evil"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"main": "../../../outside/secret.json"}')
    mount = f"--mount={base}/mount=/mnt/mount"
    environment = {"SECRET": SECRET}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        with real_kernel(base / "home", mount, "--no-cwd", env=environment) as kernel:
            yield Scene(
                kernel=kernel, mount=base / "mount", outside=base / "outside", listener=listener
            )


JAVASCRIPT = {
    "the constructor of any object makes functions of the program": """
        const all = globalThis.document?.constructor ?? Object;
        const program = all.constructor.constructor('return globalThis')();
        return program.Deno.readTextFileSync('@OUT/secret.txt')
    """,
    "functions of the program start processes": """
        const program = Object.constructor.constructor('return globalThis')();
        const found = program.process?.mainModule?.require('child_process')
          ?? await import('node:child_process');
        return found.execFileSync('/usr/bin/touch', ['@OUT/made'], { env: {} })
    """,
    "Deno starts processes": """
        return new Deno.Command('/usr/bin/touch', { args: ['@OUT/made'] }).outputSync()
    """,
    "the modules of node read and write": """
        const fs = await import('node:fs');
        try { fs.writeFileSync('@OUT/made', 'x') } catch {}
        return fs.readFileSync('@OUT/secret.txt', 'utf8')
    """,
    "a worker with inherited permissions reads": """
        const source = `import fs from 'node:fs'; let text;
          try { text = fs.readFileSync('@OUT/secret.txt', 'utf8') }
          catch (error) { text = error.name }
          postMessage(text)`;
        const worker = new Worker('data:text/javascript,' + encodeURIComponent(source),
          { type: 'module', deno: { permissions: 'inherit' } });
        return await new Promise((done) => worker.onmessage = (event) => done(event.data))
    """,
    "a worker asks for more permissions": """
        const deno = { permissions: { read: true } };
        new Worker('data:text/javascript,0', { type: 'module', deno });
        return await Deno.readTextFile('@OUT/secret.txt')
    """,
    "a package whose main file lies outside": """
        const { createRequire } = await import('node:module');
        return JSON.stringify(createRequire('file://@MOUNT/program.js')('evil'))
    """,
    "the environment of the process": """
        const found = [];
        for (const read of [() => JSON.stringify(Deno.env.toObject()), () => process.env.SECRET,
          () => Deno.readTextFileSync('/proc/self/environ'),
          () => Deno.readTextFileSync('/proc/thread-self/environ'),
          () => Deno.readTextFileSync(`/proc/${Deno.ppid}/environ`)])
          try { found.push(read()) } catch (error) { found.push(error.name) }
        return found.join()
    """,
    "a server on this machine": "return (await fetch('http://127.0.0.1:@PORT/')).status",
    "a connection to this machine": """
        return (await Deno.connect({ hostname: 'localhost', port: @PORT })).rid
    """,
    "a database opens any file": """
        const { DatabaseSync } = await import('node:sqlite');
        const db = new DatabaseSync(':memory:');
        db.exec("attach '@OUT/made' as other; create table other.t (x)");
        return 'made'
    """,
    "a foreign library": "return Object.keys(Deno.dlopen('libc.so.6', {}).symbols)",
    "modules of the file system are imported": """
        return JSON.stringify(await import('file://@OUT/secret.json', { with: { type: 'json' } }))
    """,
    "modules of the network are imported": "return await import('http://127.0.0.1:@PORT/x.js')",
}

PYTHON = {
    "Pyodide's own loader reads files": """
import pyodide_js
bytes((await pyodide_js._api.loadBinaryFile('@OUT/secret.txt')).to_py())
""",
    "Pyodide's own eval, and names that a filter would look for": """
from _pyodide._base import eval_code
eval_code("__import__('os').system('touch @OUT/made')")
""",
    "C functions through ctypes": """
import ctypes
for name in ("system", "emscripten_run_script", "emscripten_run_script_int"):
    for library in (None, "libc.so", ""):
        try: getattr(ctypes.CDLL(library), name)(b"touch @OUT/made")
        except Exception as error: print(type(error).__name__)
for name in ("system", "popen"):
    try: ctypes.pythonapi[name](b"touch @OUT/made")
    except Exception as error: print(type(error).__name__)
""",
    "classes found through object": """
found = [c for c in ().__class__.__base__.__subclasses__() if 'Popen' in c.__name__]
import subprocess, os
for attempt in (lambda: subprocess.run(['touch', '@OUT/made']),
                lambda: os.posix_spawn('/bin/touch', ['touch', '@OUT/made'], {}),
                lambda: os.execv('/bin/sh', ['sh', '-c', 'touch @OUT/made']), lambda: os.fork()):
    try: attempt()
    except BaseException as error: print(type(error).__name__)
""",
    "another file system of Emscripten": """
import pyodide_js, os
os.mkdir('/host')
pyodide_js.FS.mount(pyodide_js.FS.filesystems.NODEFS, {'root': '@OUT'}, '/host')
open('/host/secret.txt').read()
""",
    "files of the kernel's program": """
import js
js.Deno.writeTextFileSync(js.String.new(js.location.href).replace('file://', ''), 'x')
""",
}


@pytest.mark.parametrize("name", JAVASCRIPT)
def test_javascript_that_got_out_elsewhere_does_not_here(scene: Scene, name: str) -> None:
    scene.check(scene.javascript(JAVASCRIPT[name]))


@pytest.mark.parametrize("name", PYTHON)
def test_python_that_got_out_elsewhere_does_not_here(scene: Scene, name: str) -> None:
    scene.check(scene.python(PYTHON[name]))


def test_the_scene_would_show_it(scene: Scene) -> None:
    """What is allowed works on the same ways, so that the others fail for the right reason."""
    (scene.mount / "shown.txt").write_text("shown")
    assert "shown" in scene.javascript("return Deno.readTextFileSync('@MOUNT/shown.txt')")
    assert "'made'" in scene.javascript("Deno.writeTextFileSync('@MOUNT/made', 'x'); return 'made'")
    assert (scene.mount / "made").exists()
    assert SECRET in scene.python(f"print({SECRET!r})")


def test_nothing_of_an_interpreter_is_there_for_the_next(scene: Scene) -> None:
    leave = """
        localStorage?.setItem('left', 'behind');
        await (await caches.open('left')).put('http://left/', new Response('behind'));
        await (await Deno.openKv()).set(['left'], 'behind');
        return 'left'
    """
    for part in leave.strip().splitlines():
        scene.javascript(f"{part.strip()}")
    scene.python("open('/home/pyodide/left', 'w').write('behind')\nimport sys; sys.left = 'behind'")
    scene.kernel.run("import js; js.Deno.exit(0)")
    found = scene.javascript("""
        const found = [];
        for (const read of [() => localStorage.getItem('left'),
          async () => (await (await caches.open('left')).match('http://left/'))?.text(),
          async () => (await (await Deno.openKv()).get(['left'])).value])
          try { found.push(await read()) } catch (error) { found.push(error.name) }
        return found.join()
    """)
    assert "behind" not in found
    assert "False, False" in scene.python(
        "import os, sys; os.path.exists('/home/pyodide/left'), hasattr(sys, 'left')"
    )


def test_no_function_of_os_ends_the_interpreter(fresh_kernel: RealKernel) -> None:
    """`os.getuid` once asked Deno, whose refusal was fatal."""
    fresh_kernel.run("kept = True")
    for arguments in ("", "0", "'x'", "-1, -1", "'x', 'y'", "1, 2, 3"):
        code = f"""
import os, warnings
warnings.simplefilter("ignore")
for name in sorted(set(dir(os)) - {{"abort", "_exit"}}):
    if callable(getattr(os, name)):
        try:
            getattr(os, name)({arguments})
        except (Exception, SystemExit):
            pass
"""
        assert fresh_kernel.run(code).status == "ok"
    assert fresh_kernel.run("kept").result == "True"
