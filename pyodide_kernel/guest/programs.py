"""Programs of the shell that are Python: `python`, `pip` and `tar`.

There are no processes, so a program runs in this interpreter. What a process of its own would have
is its own too while it runs: `__main__`, arguments, standard streams, environment and folder.
"""

from __future__ import annotations

import builtins
import importlib.util
import io
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TextIO

from IPython.core.error import UsageError

from pyodide_kernel.guest.packages import PackageError

INTERRUPTED: Final = 130
"""Exit code of what an interrupt ended, as in bash."""

_STANDARD: Final = (f"{Path(os.__file__).parent}{os.sep}", f"{os.sep}lib{os.sep}")
"""Where modules are that stay when a program has ended."""

_FORCES_COLOURS: Final = ("FORCE_COLOR", "CLICOLOR_FORCE")
"""Variables of the kernel that hold for the cell, not for a pipe or a file."""

_NO_EFFECT: Final = frozenset("bBdEiIOPqRsSuvx")
"""Options of Python that make no difference here."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A program that is to run."""

    name: str
    args: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes = b""
    direct: bool = False
    """Nobody takes what it prints, so it goes to the cell while it runs."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a program ended, and what it printed, if not to the cell."""

    code: int
    stdout: bytes = b""
    stderr: bytes = b""
    interrupted: bool = False


class Programs:
    """Runs programs. `pip` takes the arguments of a command line, `prepare` what code imports."""

    def __init__(
        self, *, pip: Callable[[Sequence[str]], None], prepare: Callable[[str], None]
    ) -> None:
        self._pip = pip
        self._prepare = prepare

    def run(self, call: Call, stdout: TextIO, stderr: TextIO) -> Ended:
        """Run one; the two streams are the cell's."""
        captured = Capture(), Capture()
        out, err = (stdout, stderr) if call.direct else captured
        with _process(call, out, err) as problem:
            if problem:
                _say(f"{call.name}: {problem}")
            code = 1 if problem else run_user_code(lambda: self._main(call))
            for stream in (out, err):
                stream.flush()
        return Ended(
            code=INTERRUPTED if code is None else code,
            stdout=captured[0].bytes(),
            stderr=captured[1].bytes(),
            interrupted=code is None,
        )

    def _main(self, call: Call) -> int:
        name = call.name.rstrip("3")
        if name == "pip":
            return self._run_pip(call.args)
        if name == "tar":
            # With tarfile, which few sessions need.
            from pyodide_kernel.guest import tar

            return tar.main(call.args)
        return self._python(call)

    def _run_pip(self, args: Sequence[str]) -> int:
        try:
            self._pip(args)
        except (UsageError, PackageError) as error:
            _say(f"ERROR: {error}")
            return 1
        return 0

    def _python(self, call: Call) -> int:
        line = _PythonLine.parse(call.args)
        if line.problem:
            _say(f"python: {line.problem}")
            return 2
        if line.kind == "version":
            sys.stdout.write(f"Python {sys.version.split()[0]}\n")
            return 0
        if line.kind == "module":
            return self._module(line.what, line.args)
        if line.kind == "command":
            return self._code(line.what, "<string>", ["-c", *line.args], "")
        if line.kind == "file":
            return self._file(line.what, line.args)
        source = call.stdin.decode("utf-8", "replace")
        if not source and not line.args:
            _say("python: a file, -c, -m or a program on stdin is needed: nobody can type here")
            return 2
        sys.stdin = io.TextIOWrapper(io.BytesIO(), "utf-8")  # the program has been read
        return self._code(source, "<stdin>", line.args or [""], "")

    def _module(self, name: str, args: Sequence[str]) -> int:
        if name == "pip":
            return self._run_pip(args)
        sys.path[0] = os.getcwd()  # noqa: PTH109  # sys.path keeps texts
        sys.argv = ["-m", *args]
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            found = None
        if found is None:
            _say(f"python: No module named {name}")
            return 1
        import runpy

        runpy.run_module(name, run_name="__main__", alter_sys=True)
        return 0

    def _file(self, name: str, args: Sequence[str]) -> int:
        path = Path(name)
        try:
            if path.is_dir():
                path /= "__main__.py"
            with path.open("rb") as file:
                source = file.read()
        except OSError as error:
            reason = f"[Errno {error.errno}] {error.strerror}"
            _say(f"python: can't open file '{path.absolute()}': {reason}")
            return 2
        folder = str(path.absolute().parent)
        return self._code(source, str(path), [name, *args], folder)

    def _code(self, source: str | bytes, filename: str, argv: list[str], folder: str) -> int:
        code = compile(source, filename, "exec", dont_inherit=True)
        text = source if isinstance(source, str) else source.decode("utf-8", "replace")
        self._prepare(text)
        sys.argv = argv
        sys.path[0] = folder
        main = ModuleType("__main__")
        main.__dict__.update(__builtins__=builtins, __file__=filename)
        if filename.startswith("<"):
            del main.__file__
        sys.modules["__main__"] = main
        exec(code, main.__dict__)
        return 0


@dataclass(frozen=True, kw_only=True)
class _PythonLine:
    """What a command line of `python` asks for."""

    kind: str = "stdin"
    what: str = ""
    args: list[str]
    problem: str = ""

    @staticmethod
    def parse(args: Sequence[str]) -> _PythonLine:
        rest = list(args)
        while rest:
            word = rest.pop(0)
            if word == "-":
                return _PythonLine(args=["-", *rest])
            if word in {"-V", "--version"}:
                return _PythonLine(kind="version", args=[])
            if word in {"-W", "-X"}:
                if rest:
                    rest.pop(0)
                continue
            if not word.startswith("-"):
                return _PythonLine(kind="file", what=word, args=rest)
            if word.startswith(("-W", "-X")):
                continue
            flags, letter = word[1:-1], word[-1]
            if letter in "cm" and _NO_EFFECT.issuperset(flags):
                if not rest:
                    problem = f"Argument expected for the -{letter} option"
                    return _PythonLine(args=[], problem=problem)
                kind = "command" if letter == "c" else "module"
                return _PythonLine(kind=kind, what=rest[0], args=rest[1:])
            if not _NO_EFFECT.issuperset(word[1:]):
                problem = f"unknown option {word}; there are -c, -m, -V, a file, and - for stdin"
                return _PythonLine(args=[], problem=problem)
        return _PythonLine(args=[])


class Capture(io.TextIOWrapper):
    """A stream that keeps what is written, as text or as bytes."""

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        super().__init__(self._kept, "utf-8", "surrogateescape", newline="", write_through=True)

    def close(self) -> None:
        """Flush; a program may close its stdout."""
        self.flush()

    def bytes(self) -> bytes:
        """What was written."""
        self.flush()
        return self._kept.getvalue()

    def text(self) -> str:
        """The same as text."""
        return self.bytes().decode("utf-8", "replace")


def run_user_code(main: Callable[[], int]) -> int | None:
    """The exit code of `main`, below which all code is the user's; None if it was interrupted.

    What it does not catch is printed to stderr, as Python does it.
    """
    try:
        return main()
    except SystemExit as error:
        return _exit_code(error.code)
    except KeyboardInterrupt as error:
        _show(error)
        return None
    except BaseException as error:
        _show(error)
        return 1


def _exit_code(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    _say(str(code))
    return 1


def _show(error: BaseException) -> None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    traceback.print_exception(type(error), error, trace, file=sys.stderr)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@contextmanager
def _process(call: Call, stdout: TextIO, stderr: TextIO) -> Iterator[str]:
    """Lend the interpreter to a program, and put back what it may have changed.

    Gives the reason why the program can't run, if there is one.
    """
    names = ("argv", "path", "stdin", "stdout", "stderr")
    former = {name: getattr(sys, name) for name in names}
    main = sys.modules["__main__"]
    modules = set(sys.modules)
    folder, environment, ask = _folder(), dict(os.environ), builtins.input
    try:
        sys.path = [*former["path"]] or [""]
        sys.stdin = io.TextIOWrapper(io.BytesIO(call.stdin), "utf-8", "surrogateescape")
        sys.stdout, sys.stderr = stdout, stderr
        if call.stdin:
            builtins.input = _read_line
        forced = _FORCES_COLOURS if isinstance(stdout, Capture) else ()
        try:
            _set_environment({name: v for name, v in call.env.items() if name not in forced})
            os.chdir(call.cwd)
        except (OSError, ValueError) as error:
            yield f"can't run in {call.cwd}: {error}"
        else:
            yield ""
    finally:
        os.chdir(folder if Path(folder).is_dir() else "/")
        _set_environment(environment)
        builtins.input = ask
        for name, value in former.items():
            setattr(sys, name, value)
        sys.modules["__main__"] = main
        _forget_modules(modules)


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109  # it may be gone
    except FileNotFoundError:
        return "/"


def _set_environment(wanted: Mapping[str, str]) -> None:
    for name in [*os.environ]:
        if name not in wanted:
            del os.environ[name]
    os.environ.update(wanted)


def _read_line(prompt: object = "", /) -> str:
    """`input` where stdin is a pipe or a file."""
    sys.stdout.write(str(prompt))
    line = sys.stdin.readline()
    if not line:
        raise EOFError("EOF when reading a line")
    return line.removesuffix("\n")


def _forget_modules(former: set[str]) -> None:
    """Drop the user's own modules, which the next program is to find as they are then."""
    for name in [*sys.modules]:
        file = getattr(sys.modules[name], "__file__", None)
        if name not in former and isinstance(file, str) and not file.startswith(_STANDARD):
            del sys.modules[name]


def call_of(content: Mapping[str, Any], stdin: bytes) -> Call:
    """A call from what the shell says of it."""
    return Call(
        name=str(content["name"]),
        args=[str(word) for word in content["args"]],
        cwd=str(content["cwd"]),
        env={str(name): str(value) for name, value in content["env"].items()},
        stdin=stdin,
        direct=bool(content["direct"]),
    )
