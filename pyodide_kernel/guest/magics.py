"""The magics that a kernel does differently from a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from IPython.core import page
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.display import Javascript, display
from IPython.utils import openpy

from pyodide_kernel.guest.sandbox_view import SandboxView

_NO_PROCESSES = "WebAssembly has no processes"


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

    @cell_magic
    def script(self, line: str, _cell: str) -> None:
        """Not available: a script runs in a process."""
        raise UsageError(
            f"%%script is not available: {_NO_PROCESSES}, so {line.strip() or 'it'!r} can't run. "
            "Use Python code, and files under /mnt for what is to leave the kernel"
        )


def refuse_scripts(shell: Any) -> None:
    """Make `%%bash` and its like refuse instead of looking for a thread and a program.

    IPython builds them from `ScriptMagics.script_magics`, each a function that calls `shebang`.
    """
    registry = shell.magics_manager.registry
    script = registry["KernelMagics"].script
    registry["ScriptMagics"].shebang = script
