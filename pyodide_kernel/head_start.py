"""An interpreter that starts before ipykernel is imported, which takes as long as its start.

What it may do is computed from the options alone, without the configuration file. The kernel takes
it over if it has come to the same policy; else it is ended, and no code of the user has run in it.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from pyodide_kernel.bridge.preparation import prepare_early
from pyodide_kernel.errors import PyodideKernelError
from pyodide_kernel.folders import cache_folder, history_path
from pyodide_kernel.options import KernelOptions
from pyodide_kernel.packages.config import PackageConfig, package_config
from pyodide_kernel.packages.opening import Packages, open_packages
from pyodide_kernel.policy import Grants, make_policy
from pyodide_kernel.runtime import Manifest, load_manifest
from pyodide_kernel.surroundings import look_around

if TYPE_CHECKING:
    from pyodide_kernel.bridge.bridge import Bridge

log = logging.getLogger(__name__)

_CALLBACKS: Final = ("on_message", "on_ready", "on_death", "on_give_up", "on_overtime")
_KERNEL: Final = "PyodideKernel"
_GRANTS: Final = frozenset(Grants.__dataclass_fields__)
_TIMES: Final = {
    "interrupt_grace": "interrupt_grace_s",
    "hang_timeout": "hang_timeout_s",
    "idle_timeout": "idle_timeout_s",
}


class HeadStart:
    """A bridge that runs already, for the kernel that would make the same."""

    def __init__(self, values: Mapping[str, Any], connection_file: Path) -> None:
        """Start it, with these values of the kernel's traits. Raises PyodideKernelError."""
        cache = cache_folder(values.get("cache_dir", ""))
        grants = Grants(**{name: value for name, value in values.items() if name in _GRANTS})
        surroundings = look_around(
            cache=cache,
            connection_file=connection_file,
            history=history_path(values.get("history_file", "")),
        )
        manifest = load_manifest()
        self._packages = open_packages(package_config(values, cache), manifest=manifest)
        policy = replace(make_policy(grants, surroundings), packages=self._packages.view)
        prepared = self._prepared = prepare_early(policy, cache)
        # The process runs; asyncio, and all that needs it, is imported beside it.
        from pyodide_kernel.bridge.life import BridgeConfig

        times = {field: values[name] for name, field in _TIMES.items() if name in values}
        self._made_with: Mapping[str, Any] = {
            "policy": policy,
            "cache": cache,
            "config": BridgeConfig(**times),
        }
        self._relay = _Relay()
        self._log = _KeptLog()
        self._taken = False
        callbacks: dict[str, Any] = {name: partial(self._relay.call, name) for name in _CALLBACKS}
        try:
            self._bridge = deno_bridge(**self._made_with, **callbacks, prepared=prepared)
        except BaseException:
            prepared.discard()
            raise
        self._log.begin()
        self._bridge.start()

    def kernel_traits(self) -> dict[str, Any]:
        """Traits of the kernel that is to take it over."""
        return {"make_bridge": self.make_bridge, "open_packages": self.open_packages}

    def make_bridge(self, **wanted: Any) -> Bridge:
        """The running bridge if it is the wanted one, else a new one; called as `deno_bridge` is.

        Raises what `deno_bridge` raises.
        """
        others = [name for name, value in self._made_with.items() if wanted[name] != value]
        if self._taken or others:
            log.info("The interpreter that was started early is of no use: %s", others)
            self.close()
            self._bridge = deno_bridge(**wanted)
            return self._bridge
        self._taken = True
        self._log.end(tell=True)
        log.info("The interpreter was started early")
        self._relay.attach({name: wanted[name] for name in _CALLBACKS})
        return self._bridge

    def open_packages(self, config: PackageConfig, *, manifest: Manifest) -> Packages:
        """Those that the policy was made with if they are the wanted ones; as the function."""
        if config == self._packages.config:
            return self._packages
        return open_packages(config, manifest=manifest)

    def close(self) -> None:
        """End the bridge, whoever has it; may be repeated."""
        self._log.end(tell=False)
        self._bridge.close()
        # A bridge that is closed before it has begun adopts nothing.
        self._prepared.discard()


def deno_bridge(**made_with: Any) -> Bridge:
    """As `bridge.boot.deno_bridge`, which is imported when it is needed."""
    from pyodide_kernel.bridge import boot

    return boot.deno_bridge(**made_with)


class _Relay:
    """Keeps what the bridge says until somebody listens, then passes it on in the same order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[tuple[str, Any]] = []
        self._callbacks: Mapping[str, Callable[[Any], None]] | None = None

    def call(self, name: str, value: Any) -> None:
        """For the bridge's thread: pass a value on, now or later."""
        with self._lock:
            if self._callbacks is None:
                self._kept.append((name, value))
                return
        self._callbacks[name](value)

    def attach(self, callbacks: Mapping[str, Callable[[Any], None]]) -> None:
        """Listen from now on, first to what was kept."""
        with self._lock:
            for name, value in self._kept:
                callbacks[name](value)
            self._kept.clear()
            self._callbacks = callbacks


class _KeptLog(logging.Handler):
    """Keeps what our modules log while it is not known yet where to."""

    def __init__(self) -> None:
        super().__init__()
        self._logger = logging.getLogger(__package__)
        self._records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)

    def begin(self) -> None:
        self._logger.propagate = False
        self._logger.addHandler(self)

    def end(self, *, tell: bool) -> None:
        self._logger.removeHandler(self)
        records, self._records = self._records, []
        for record in records if tell else ():
            logging.getLogger(record.name).handle(record)


def begin(options: KernelOptions) -> HeadStart | None:
    """A head start with these options; None if they don't tell enough, or something is wrong.

    What is wrong the kernel tells, which finds it too.
    """
    values: dict[str, Any] = {}
    for assignments in (options.baked, options.environment, options.command_line):
        for target, value in assignments:
            section, _, trait = target.partition(".")
            if section == _KERNEL and isinstance(value, str) and trait not in _TEXTS:
                return None  # a trait's own syntax, which only traitlets knows
            if section == _KERNEL:
                values[trait] = value
    try:
        return HeadStart(values, Path(options.connection_file or ""))
    except PyodideKernelError:
        return None


_TEXTS: Final = ("cache_dir", "history_file", "package_url", "lock", "lite_site")


@contextlib.contextmanager
def head_start(options: KernelOptions) -> Iterator[HeadStart | None]:
    """A head start that ends with the block, also by a signal that nobody handles yet."""
    begun: HeadStart | None = None
    beginning = True
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        # No exception: one that comes in a callback of the garbage collector is lost.
        if beginning:
            came.append(number)
            return
        if begun is not None:
            begun.close()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    in_main_thread = threading.current_thread() is threading.main_thread()
    names = ("SIGTERM", "SIGHUP") if in_main_thread else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    before = {number: signal.signal(number, end) for number in numbers}
    try:
        begun = begin(options)
        beginning = False
        if came:
            end(came[0], None)
        yield begun
    finally:
        if begun is not None:
            begun.close()
        for number, handler in before.items():
            signal.signal(number, handler)
