"""Rich output: results of cells, `display` and its updates, `clear_output`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from traitlets import Instance

from pyodide_kernel.bridge.messages import Message
from pyodide_kernel.guest.host import Host
from pyodide_kernel.guest.jsonable import check_size, jsonable
from pyodide_kernel.guest.parent import Parent
from pyodide_kernel.guest.streams import Streams

Hook = Callable[[dict[str, Any]], "dict[str, Any] | None"]
"""Sees a message as a dict before it is sent; returns it, changed or not, or None to swallow it."""


class Outlet:
    """The one way of outputs other than streams: flushes the streams, cleans, checks and sends."""

    def __init__(self, host: Host, parent: Parent, streams: Streams) -> None:
        self.parent = parent
        self.streams = streams
        self._host = host

    def send(
        self,
        msg_type: str,
        content: dict[str, Any],
        *,
        metadata: dict[str, Any] | None = None,
        buffers: list[memoryview] | None = None,
        hooks: list[Hook] | None = None,
    ) -> None:
        """Send one output after all that was printed before it.

        Raises ValueError, and sends nothing, if the content has no JSON form or is too large.
        """
        self.streams.flush()
        for hook in list(hooks or ()):
            shown = hook(self._as_dict(msg_type, content))
            if shown is None:
                return
            msg_type, content = shown.get("msg_type", msg_type), shown["content"]
        message = Message(
            msg_type=msg_type,
            parent_id=self.parent.current_id(),
            content=jsonable(content),
            metadata=jsonable(metadata or {}),
            buffers=buffers or (),
        )
        self._host.emit(check_size(message, limit=self._host.message_limit))

    def _as_dict(self, msg_type: str, content: dict[str, Any]) -> dict[str, Any]:
        """The form that hooks written for ipykernel expect."""
        return {
            "header": {"msg_type": msg_type},
            "msg_type": msg_type,
            "parent_header": dict(self.parent.current_header()),
            "metadata": {},
            "content": content,
        }


class _Hooks:
    """Adds what ipykernel's publishers have: functions that see each message first."""

    _hooks: list[Hook]

    def register_hook(self, hook: Hook) -> None:
        """Let `hook` see, change or swallow each message."""
        self._hooks.append(hook)

    def unregister_hook(self, hook: Hook) -> bool:
        """Take a hook away; False if it was not there."""
        if hook not in self._hooks:
            return False
        self._hooks.remove(hook)
        return True


class GuestDisplayHook(_Hooks, DisplayHook):
    """Sends the value of a cell's last expression as `execute_result`."""

    outlet = Instance(Outlet, allow_none=True)

    def __init__(self, shell: Any, **kwargs: Any) -> None:
        super().__init__(shell=shell, **kwargs)
        self._hooks = []
        self.outlet = shell.outlet
        self.formatting = False

    def start_displayhook(self) -> None:
        """A value is about to be formatted."""
        super().start_displayhook()
        self.formatting = True

    def write_output_prompt(self) -> None:
        """Nothing: the front end draws the prompt."""

    def write_format_data(
        self, format_dict: dict[str, Any], md_dict: dict[str, Any] | None = None
    ) -> None:
        """Send the formatted value."""
        content = {
            "data": format_dict,
            "metadata": md_dict or {},
            "execution_count": self.prompt_count,
        }
        assert self.outlet is not None
        self.outlet.send("execute_result", content, hooks=self._hooks)

    def finish_displayhook(self) -> None:
        """The value is out."""
        self._is_active = self.formatting = False


class GuestDisplayPublisher(_Hooks, DisplayPublisher):
    """Sends what `display` is given as `display_data` or `update_display_data`."""

    outlet = Instance(Outlet, allow_none=True)

    def __init__(self, shell: Any, **kwargs: Any) -> None:
        super().__init__(shell, **kwargs)
        self._hooks = []
        self.outlet = shell.outlet

    def publish(  # type: ignore[override]  # without the parameter IPython itself deprecates
        self,
        data: dict[str, Any],
        metadata: dict[str, Any] | None = None,
        *,
        transient: dict[str, Any] | None = None,
        update: bool = False,
        **_ignored: Any,
    ) -> None:
        """Send a bundle; with `update`, to the outputs with the same transient display_id."""
        self._validate_data(data, metadata)
        content = {"data": data, "metadata": metadata or {}, "transient": transient or {}}
        assert self.outlet is not None
        self.outlet.send(
            "update_display_data" if update else "display_data", content, hooks=self._hooks
        )

    def clear_output(self, wait: bool = False) -> None:
        """Clear the cell's output, now or with `wait` when the next one comes."""
        assert self.outlet is not None
        self.outlet.send("clear_output", {"wait": bool(wait)}, hooks=self._hooks)
