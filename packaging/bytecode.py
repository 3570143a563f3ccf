"""Compile a tree of modules inside Pyodide, whose bytecode differs from every other CPython's.

The job is a list of (source, target, name at run time). Pycs are of the "unchecked hash" kind:
they are loaded without a look at the source, which a read-only runtime needs no protection from.
"""

import json
import py_compile
from pathlib import Path


def compile_all(job: Path, sources: Path, output: Path) -> str:
    """Write every pyc of the job; return a JSON report of what was compiled and what would not."""
    failed: dict[str, str] = {}
    entries = json.loads(job.read_text("utf-8"))
    for source, target, name in entries:
        try:
            py_compile.compile(
                str(sources / source),
                cfile=str(output / target),
                dfile=name,
                doraise=True,
                optimize=0,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError as error:
            failed[source] = error.msg.strip()
    return json.dumps({"compiled": len(entries) - len(failed), "failed": failed})
