"""The bash interpreter of the runtime: just-bash of npm and what it needs, as one module."""

from __future__ import annotations

import json
from pathlib import Path

from runtime_sources import HERE, LOCK, BuildError, deno_env, run, sha256

BUNDLE = "just-bash.mjs"

_ENTRY = "just-bash/dist/bundle/browser.js"

INSIDE = (
    *("just-bash", "@borewit/text-codec", "@tokenizer/inflate", "@tokenizer/token", "debug"),
    *("file-type", "ieee754", "ms", "re2js", "strtok3", "token-types", "uint8array-extras"),
)
"""Packages that npm's own bundle holds, without the commands that are for Node only."""

ADDED = ("balanced-match", "brace-expansion", "diff", "minimatch", "pako", "sprintf-js")
"""Packages that the build adds."""


def bundle(deno: Path, modules: Path, target: Path, work: Path) -> None:
    """Write the module to `target`. Raises BuildError if it imports what is not expected."""
    readable = ",".join(str(path).replace(",", ",,") for path in (modules.parent, HERE))
    printed = run(
        [str(deno), "run", "--quiet", "--no-prompt", "--no-config", "--no-lock", "--cached-only"],
        ["--no-check", f"--allow-read={readable}"],
        [f"--allow-write={str(target).replace(',', ',,')}", str(HERE / "bash_bundle.ts")],
        [str(modules.resolve()), str((modules / _ENTRY).resolve()), str(target)],
        cwd=work,
        env=deno_env(work),
        what="Bundling just-bash",
    )
    added = tuple(json.loads(printed.strip().splitlines()[-1]))
    if added != ADDED:
        raise BuildError(
            f"just-bash now needs {', '.join(added)}, not {', '.join(ADDED)}; correct ADDED in "
            "packaging/bash_bundle.py, and NOTICE"
        )


def checked_bundle(deno: Path, modules: Path, target: Path, work: Path) -> None:
    """The same; the result must be what the lock file says."""
    bundle(deno, modules, target, work)
    expected = json.loads(LOCK.read_text("utf-8"))["bash"]["sha256"]
    if (found := sha256(target)) != expected:
        raise BuildError(
            f"{target.name} has SHA-256 {found}, but packaging/{LOCK.name} says {expected}; it is "
            "not used. After an upgrade of just-bash, pako or esbuild-wasm run packaging/relock.py"
        )


def licences(modules: Path) -> str:
    """The licence texts of all that is in the bundle. Raises BuildError if one is missing."""
    return "\n".join(_licence(modules, name) for name in (*INSIDE, *ADDED))


def _licence(modules: Path, name: str) -> str:
    (folder,) = modules.glob(f".deno/{name.replace('/', '+')}@*/node_modules/{name}")
    package = json.loads((folder / "package.json").read_text("utf-8"))
    texts = [
        path.read_text("utf-8")
        for path in sorted(folder.iterdir())
        if path.name.lower().startswith(("license", "licence"))
    ]
    if not texts and "license" not in package:
        raise BuildError(f"the npm package {name} says nothing of its licence")
    head = f"{name} {package['version']}, {package['license']}"
    return "\n".join([head, "=" * len(head), "", *texts])
