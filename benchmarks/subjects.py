"""What is measured: kernels by name, each in a folder of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec

from benchmarks.client import Kernel, started

OURS: Final = "pyodide"
NATIVE: Final = "ipykernel"

WARM_UP_CELLS: Final = 30
"""V8 compiles hot WebAssembly again, better; CPython specialises its bytecode."""

_ROOT: Final = Path(__file__).parents[1]


@dataclass(slots=True, kw_only=True)
class Subject:
    """One kind of kernel, as the cases see it."""

    name: str
    spec: KernelSpec
    env: dict[str, str]
    cwd: str
    files: Path
    """A folder of the host, the same for all kernels."""
    files_seen: str
    """Where code sees it in the kernel `with_files`."""
    files_options: Sequence[str] = ()
    """What a kernel needs on its command line to see it."""
    _stack: ExitStack = field(default_factory=ExitStack)
    _kernel: Kernel | None = None
    _with_files: Kernel | None = None

    def start(
        self, *options: str, env: Mapping[str, str] | None = None
    ) -> AbstractContextManager[Kernel]:
        """A kernel of one's own, started a moment ago, with further options and variables."""
        spec = KernelSpec(**self.spec.to_dict())
        spec.argv = [*spec.argv, *options]
        return started(spec, env={**self.env, **(env or {})}, cwd=self.cwd)

    @property
    def kernel(self) -> Kernel:
        """The kernel that this case keeps for all its rounds; it has run some cells."""
        if self._kernel is None:
            self._kernel = self._warm()
        return self._kernel

    @property
    def with_files(self) -> Kernel:
        """Another one, in which code sees `files`."""
        if self._with_files is None:
            self._with_files = self._warm(*self.files_options)
        return self._with_files

    def _warm(self, *options: str) -> Kernel:
        kernel = self._stack.enter_context(self.start(*options))
        kernel.wait_for_ready()
        for _ in range(WARM_UP_CELLS):
            kernel.execute("1+1")
        return kernel

    def release(self) -> None:
        """End the kept kernels, and empty the folder."""
        self._kernel = self._with_files = None
        self._stack.close()
        shutil.rmtree(self.files, ignore_errors=True)  # the other kernels did it already
        self.files.mkdir(exist_ok=True)


@contextmanager
def subjects(names: Sequence[str] = (OURS, NATIVE)) -> Iterator[list[Subject]]:
    """This kernel and native ipykernel; their histories and settings are not the user's."""
    with TemporaryDirectory(prefix="benchmarks-") as folder:
        env = {
            **os.environ,
            "IPYTHONDIR": f"{folder}/ipython",
            "XDG_DATA_HOME": f"{folder}/data",
            "JUPYTER_CONFIG_DIR": f"{folder}/config",
        }
        files = Path(folder, "files")
        made = [_subject(name, env=env, folder=Path(folder), files=files) for name in names]
        files.mkdir()
        try:
            yield made
        finally:
            for subject in made:
                subject.release()


def _subject(name: str, *, env: dict[str, str], folder: Path, files: Path) -> Subject:
    ours = name == OURS
    cwd = folder / "work"
    cwd.mkdir(exist_ok=True)
    return Subject(
        name=name,
        spec=_spec(name),
        env=env,
        cwd=str(cwd),
        files=files,
        files_seen="/mnt/files" if ours else str(files),
        files_options=(f"--mount={files}=/mnt/files",) if ours else (),
    )


def _spec(name: str) -> KernelSpec:
    if name == NATIVE:
        return KernelSpec(**get_kernel_dict())
    return KernelSpec.from_resource_dir(str(_ROOT / "kernelspec"))
