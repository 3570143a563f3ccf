"""What is measured: kernels by name, each in a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
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
    _stack: ExitStack = field(default_factory=ExitStack)
    _kernel: Kernel | None = None

    def start(self) -> AbstractContextManager[Kernel]:
        """A kernel of one's own, started a moment ago."""
        return started(self.spec, env=self.env, cwd=self.cwd)

    @property
    def kernel(self) -> Kernel:
        """The kernel that this case keeps for all its rounds; it has run some cells."""
        if self._kernel is None:
            self._kernel = self._stack.enter_context(self.start())
            self._kernel.wait_for_ready()
            for _ in range(WARM_UP_CELLS):
                self._kernel.execute("1+1")
        return self._kernel

    def release(self) -> None:
        """End the kept kernel."""
        self._kernel = None
        self._stack.close()


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
        made = [Subject(name=name, spec=_spec(name), env=env, cwd=folder) for name in names]
        try:
            yield made
        finally:
            for subject in made:
                subject.release()


def _spec(name: str) -> KernelSpec:
    if name == NATIVE:
        return KernelSpec(**get_kernel_dict())
    return KernelSpec.from_resource_dir(str(_ROOT / "kernelspec"))
