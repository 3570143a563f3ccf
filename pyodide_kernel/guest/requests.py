"""Requests to the guest: run one, answer it once, last."""

from __future__ import annotations

import atexit
import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from IPython.core.completer import provisionalcompleter, rectify_completions
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.utils.tokenutil import token_at_cursor

from pyodide_kernel.bridge.messages import CLIENT_HEADER, COMM_TYPES, MESSAGE_TYPES, Message
from pyodide_kernel.guest import errors
from pyodide_kernel.guest.comm import Comms
from pyodide_kernel.guest.host import Host
from pyodide_kernel.guest.jsonable import MessageTooLargeError, check_size, jsonable
from pyodide_kernel.guest.parent import Parent
from pyodide_kernel.guest.shell import GuestShell

Content = dict[str, Any]

# Older versions of IPython don't know all of these.
_CELL_PARAMETERS = frozenset(inspect.signature(InteractiveShell.run_cell).parameters)


class Dispatcher:
    """Runs requests and sends their replies."""

    def __init__(self, shell: GuestShell, host: Host, *, parent: Parent, comms: Comms) -> None:
        self._shell = shell
        self._host = host
        self._parent = parent
        self._comms = comms
        self._depth = 0
        self._answers: Mapping[str, Callable[[Message], Content]] = {
            "execute_request": self._execute,
            "complete_request": self._complete,
            "inspect_request": self._inspect,
            "is_complete_request": self._is_complete,
            "comm_info_request": self._comm_info,
            "shutdown_request": self._shutdown,
        }

    def handle(self, message: Message) -> None:
        """Run one request and send its reply after all its output; comm messages have no reply.

        May be called while another request waits inside it.
        """
        self._depth += 1
        try:
            metadata = dict(message.metadata)
            header = metadata.pop(CLIENT_HEADER, {})
            message = replace(message, metadata=metadata)
            with self._parent.request(message.id, nested=self._depth > 1, header=header):
                if message.msg_type in COMM_TYPES:
                    self._receive(message)
                else:
                    self._answer(message)
        finally:
            self._depth -= 1

    def _receive(self, message: Message) -> None:
        try:
            self._comms.receive(message)
        except (KeyboardInterrupt, Exception):
            self._shell.showtraceback()
        self._shell.outlet.streams.flush()

    def _answer(self, message: Message) -> None:
        msg_type = message.msg_type
        try:
            content = self._answers[msg_type](message)
        except KeyboardInterrupt as error:
            content = errors.of_exception(error)
        except BaseException as error:
            content = errors.internal(error, msg_type)
        self._shell.outlet.streams.flush()
        self._host.emit(self._reply(message, content))

    def _reply(self, message: Message, content: Content) -> Message:
        """The reply, or if it can't be sent an error reply that says so."""
        reply_type = MESSAGE_TYPES[message.msg_type].reply or "error"

        def reply(content: Content) -> Message:
            required = self._required(reply_type)
            answer = Message(
                msg_type=reply_type,
                parent_id=message.id,
                content=jsonable(required | content),
            )
            return check_size(answer, limit=self._host.message_limit)

        try:
            return reply(content)
        except MessageTooLargeError as error:
            return reply(errors.of_exception(error))
        except Exception as error:
            return reply(errors.internal(error, message.msg_type))

    def _required(self, reply_type: str) -> Content:
        """What even an error reply must have."""
        if reply_type == "execute_reply":
            return {
                "execution_count": self._shell.execution_count - 1,
                "user_expressions": {},
                "payload": [],
            }
        return {"comms": {}} if reply_type == "comm_info_reply" else {}

    # --- one answer each --------------------------------------------------------------------------

    def _execute(self, message: Message) -> Content:
        shell, content = self._shell, message.content
        shell.allow_stdin = bool(content.get("allow_stdin", False))
        shell.interrupted = False
        try:
            outcome = self._run_cell(message)
        except KeyboardInterrupt:  # outside of the user's own code
            shell.showtraceback()
            outcome = errors.error_content(*(shell.last_error or ("KeyboardInterrupt", "", [])))
        expressions = dict(content.get("user_expressions") or {})
        if outcome["status"] == "ok":
            outcome["user_expressions"] = shell.user_expressions(expressions)
        assert shell.payload_manager is not None
        outcome["payload"] = shell.payload_manager.read_payload()
        shell.payload_manager.clear_payload()
        return outcome

    def _run_cell(self, message: Message) -> Content:
        content, metadata = message.content, message.metadata
        silent = bool(content.get("silent", False))
        options = {
            "store_history": bool(content.get("store_history", True)) and not silent,
            "silent": silent,
            "cell_id": metadata.get("cellId") or metadata.get("cell_id"),
            "cell_meta": dict(metadata),
        }
        known = {name: value for name, value in options.items() if name in _CELL_PARAMETERS}
        result = self._shell.run_cell(content["code"], **known)
        return self._outcome(result)

    def _outcome(self, result: ExecutionResult) -> Content:
        """How the cell ended, in the form of a reply."""
        shell = self._shell
        error = result.error_before_exec or result.error_in_exec
        shown = shell.last_error
        if error is None:
            if not shell.failed_while_displaying or shown is None:
                return {"status": "ok"}
            return errors.error_content(*shown)
        error = shell.as_interrupt(error)
        name, value, lines = errors.bounded(
            type(error).__name__, str(error), shown[2] if shown else []
        )
        return errors.error_content(name, value, lines)

    def _complete(self, message: Message) -> Content:
        code = message.content["code"]
        cursor = message.content.get("cursor_pos")
        cursor = len(code) if cursor is None else min(cursor, len(code))
        with provisionalcompleter():
            found = self._shell.Completer.completions(code, cursor)
            completions = list(rectify_completions(code, found))
        types = [
            {
                "start": item.start,
                "end": item.end,
                "text": item.text,
                "type": item.type,
                "signature": item.signature,
            }
            for item in completions
        ]
        return {
            "status": "ok",
            "matches": [item.text for item in completions],
            "cursor_start": completions[0].start if completions else cursor,
            "cursor_end": completions[0].end if completions else cursor,
            "metadata": {"_jupyter_types_experimental": types},
        }

    def _inspect(self, message: Message) -> Content:
        content = message.content
        cursor = min(content["cursor_pos"], len(content["code"]))
        name = token_at_cursor(content["code"], cursor)
        reply: Content = {"status": "ok", "found": False, "data": {}, "metadata": {}}
        try:
            bundle = self._shell.object_inspect_mime(
                name,
                detail_level=content.get("detail_level", 0),
                omit_sections=content.get("omit_sections", ()),
            )
        except KeyError:
            return reply
        return reply | {"found": True, "data": bundle}

    def _is_complete(self, message: Message) -> Content:
        transformer = self._shell.input_transformer_manager
        status, indent = transformer.check_complete(message.content["code"])
        if status != "incomplete":
            return {"status": status}
        return {"status": status, "indent": " " * (indent or 0)}

    def _comm_info(self, message: Message) -> Content:
        return {"status": "ok", "comms": self._comms.info(message.content.get("target_name"))}

    def _shutdown(self, message: Message) -> Content:
        """Run what is registered with `atexit`; what that raises is printed, as at any exit."""
        atexit._run_exitfuncs()
        return {"status": "ok", "restart": bool(message.content.get("restart", False))}
