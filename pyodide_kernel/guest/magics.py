"""The magics that a kernel does differently from a terminal."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

from IPython.core import magic_arguments, page
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magics.script import script_args
from IPython.display import Javascript, display
from IPython.utils import openpy
from IPython.utils._process_common import arg_split

from pyodide_kernel.guest.bash import Bash, script_of
from pyodide_kernel.guest.programs import Capture
from pyodide_kernel.guest.sandbox_view import SandboxView

_NO_PROCESSES = "WebAssembly has no processes"

_ELSEWHERE = ("perl", "pypy", "python2", "ruby")
"""Programs of IPython's magics that the shell does not have."""


@magics_class
class KernelMagics(Magics):
    """Magics of a Jupyter kernel that runs in WebAssembly."""

    shell: Any

    @line_magic
    def clear(self, _line: str) -> None:
        """Clear the output of the cell."""
        self.shell.display_pub.clear_output()

    @line_magic
    def cls(self, _line: str) -> None:
        """Clear the output of the cell."""
        self.shell.display_pub.clear_output()

    @line_magic
    def less(self, line: str) -> None:
        """Show a file in the pager; files ending in .py are highlighted."""
        self._page_file(line)

    @line_magic
    def more(self, line: str) -> None:
        """Show a file in the pager; files ending in .py are highlighted."""
        self._page_file(line)

    def _page_file(self, line: str) -> None:
        name = line.strip()
        if not name:
            raise UsageError("the name of a file is missing")
        path = Path(name).expanduser()
        try:
            if path.suffix == ".py":
                text = self.shell.pycolorize(openpy.read_py_file(path, skip_encoding_cookie=False))
            else:
                text = path.read_text("utf-8", errors="replace")
        except OSError as error:
            raise UsageError(f"can't read {name!r}: {error.strerror}") from error
        page.page(text)

    @line_magic
    def man(self, _line: str) -> None:
        """Not available: there are no manual pages here."""
        raise UsageError(
            f"%man is not available: {_NO_PROCESSES}. Use ? or help() for Python objects"
        )

    @line_magic
    def edit(self, _line: str) -> None:
        """Not available: an editor is a process."""
        raise UsageError(
            f"%edit is not available: {_NO_PROCESSES} and so no editor. "
            "Use %load to put a file into a cell and %%writefile to write it back"
        )

    @line_magic
    def connect_info(self, _line: str) -> None:
        """Not available: only the host knows the connection file."""
        raise UsageError(
            "%connect_info is not available: the connection file and its key stay on the host, out "
            "of reach of the code in this kernel. Use `jupyter console --existing` there"
        )

    @line_magic
    def sandbox(self, line: str) -> None:
        """Show what this kernel may touch and use up, what holds it, and what it has used."""
        if line.strip():
            raise UsageError(f"%sandbox takes no arguments, not {line.strip()!r}")
        answer = self.shell.host.ask("sandbox_request", {})
        display(SandboxView(answer["sections"]))

    @line_magic
    def qtconsole(self, _line: str) -> None:
        """Not available: a console is a process."""
        raise UsageError(
            f"%qtconsole is not available: {_NO_PROCESSES}. "
            "Run `jupyter qtconsole --existing` on the host"
        )

    @line_magic
    def subshell(self, _line: str) -> None:
        """Not available: subshells are threads."""
        raise UsageError("%subshell is not available: WebAssembly has no threads. Use asyncio")

    @line_magic
    def autosave(self, line: str) -> None:
        """Set the autosave interval of the classic notebook, in seconds; 0 disables it."""
        try:
            seconds = int(line)
        except ValueError:
            raise UsageError(f"%autosave needs a whole number of seconds, not {line!r}") from None
        display(
            Javascript(f"IPython.notebook.set_autosave_interval({1000 * seconds})"),
            include=["application/javascript"],
        )
        message = f"Autosaving every {seconds} seconds" if seconds else "Autosave disabled"
        self.shell.outlet.streams.stdout.write(message + "\n")

    @line_magic
    def pip(self, line: str) -> None:
        """Install packages, list or remove them: %pip install NAME, with pip's usual options."""
        __tracebackhide__ = True
        self.shell.pip.run(line)

    @magic_arguments.magic_arguments()
    @script_args
    @cell_magic
    def script(self, line: str, cell: str) -> None:
        """Run a cell as a script: %%script bash, or any other program that the shell has.

        The cell is the program's stdin. Raises CalledProcessError for an exit code other than 0.
        """
        __tracebackhide__ = True
        options, words = self.script.parser.parse_known_args(arg_split(line, posix=True))
        if not words:
            raise UsageError("%%script: the name of a program is missing")
        if options.bg or options.proc:
            raise UsageError(f"%%{words[0]}: nothing runs in the background here: {_NO_PROCESSES}")
        if words[0] in _ELSEWHERE:
            raise UsageError(
                f"%%script is not available for {words[0]!r}, which can't run here: "
                f"{_NO_PROCESSES}. There are bash, sh and python, and what the shell has"
            )
        code = self._run_script(words, cell, out=options.out, err=options.err)
        if code and options.raise_error:
            raise subprocess.CalledProcessError(code, cell)

    def _run_script(self, words: list[str], cell: str, *, out: str | None, err: str | None) -> int:
        __tracebackhide__ = True
        text = cell if cell.endswith("\n") else f"{cell}\n"
        taken = {name: Capture() for name in (out, err) if name}
        streams = [taken[out] if out else sys.stdout, taken[err] if err else sys.stderr]
        bash: Bash = self.shell.bash
        try:
            if words[0] in {"bash", "sh"} and (script := script_of(words[1:], text)) is not None:
                return bash.run(script, *streams)
            return bash.run(shlex.join(words), *streams, stdin=text)
        finally:
            self.shell.user_ns.update({name: stream.text() for name, stream in taken.items()})


def take_scripts(shell: Any) -> None:
    """Have `%%bash` and its like use `%%script` above, not a thread and a process.

    IPython builds them from `ScriptMagics.script_magics`, each a function that calls `shebang`.
    """
    registry = shell.magics_manager.registry
    script = registry["KernelMagics"].script
    registry["ScriptMagics"].shebang = script
