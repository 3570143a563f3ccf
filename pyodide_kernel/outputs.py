"""What the guest says by itself: outputs to iopub, questions to the user. The bridge's thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from pyodide_kernel.bridge.messages import COMM_TYPES, IOPUB_TYPES, PACKAGE_TYPES, Message
from pyodide_kernel.content import with_reason
from pyodide_kernel.parents import Parent, Parents
from pyodide_kernel.publisher import Publisher
from pyodide_kernel.safe_outputs import COMM_NOTICE, SafeOutputs
from pyodide_kernel.stdin import Question, StdinChannel

NO_STDIN: Final = {
    "status": "error",
    "ename": "StdinNotImplementedError",
    "evalue": "raw_input was called, but this frontend does not support input requests.",
}

ORPHAN: Final = Parent(id="", header={})
"""Stands for the parent of what the guest says before any cell ran; clients drop such messages."""


class Outputs:
    """Routes the messages of the guest that answer no request."""

    def __init__(
        self,
        *,
        publisher: Publisher,
        parents: Parents,
        limit_bytes: int,
        stdin: StdinChannel,
        refuse: Callable[[str, Mapping[str, Any]], None],
        on_sandbox_question: Callable[[str], None],
        on_package_question: Callable[[Message], None],
        on_result: Callable[[int, str], None],
        safe: SafeOutputs | None = None,
        log: logging.Logger,
    ) -> None:
        self._publisher = publisher
        self._parents = parents
        self._limit_bytes = limit_bytes
        self._stdin = stdin
        self._refuse = refuse
        self._on_sandbox_question = on_sandbox_question
        self._on_package_question = on_package_question
        self._on_result = on_result
        self._safe = safe
        self._told_of_comms: Parent | None = None
        self._log = log

    def route(self, message: Message) -> None:
        """Publish an output, or pass a question on. Waits while iopub is far behind."""
        if self._safe is not None:
            if message.msg_type in COMM_TYPES:
                self._refuse_comm(self._parent(message))
                return
            message = self._cleaned(message, self._safe)
            if message.content.get("text") == "":
                return
        if message.msg_type == "input_request":
            self._question(message)
        elif message.msg_type == "sandbox_request":
            self._on_sandbox_question(message.id)
        elif message.msg_type in PACKAGE_TYPES:
            self._on_package_question(message)
        elif message.msg_type in COMM_TYPES:
            self._publisher.publish_comm(
                message.msg_type,
                message.content,
                parent=self._parent(message).header,
                metadata=message.metadata,
                buffers=message.buffers,
            )
        elif message.msg_type in IOPUB_TYPES:
            self._output(message)

    def _output(self, message: Message) -> None:
        parent, content = self._parent(message), message.content
        if message.msg_type == "execute_result":
            self._note_result(content)
        if message.msg_type == "error" and parent.overtime:
            content = with_reason(content, parent.overtime)
        self._publisher.publish_output(
            message.msg_type,
            content,
            parent=parent,
            limit_bytes=self._limit_bytes,
            metadata=message.metadata,
            buffers=message.buffers,
        )

    def _cleaned(self, message: Message, safe: SafeOutputs) -> Message:
        if message.msg_type == "stream":
            content = safe.stream(self._parent(message).id, message.content)
        else:
            content = safe.content(message.msg_type, message.content)
        return replace(message, content=content, metadata={}, buffers=())

    def _refuse_comm(self, parent: Parent) -> None:
        if parent is not self._told_of_comms:
            self._told_of_comms = parent
            notice = {"name": "stderr", "text": COMM_NOTICE}
            self._publisher.publish("stream", notice, parent=parent.header)

    def _parent(self, message: Message) -> Parent:
        """The cell named by the message; the latest one if the name means nothing (any more)."""
        return self._parents.get(message.parent_id) or self._parents.latest_cell or ORPHAN

    def _note_result(self, content: Mapping[str, Any]) -> None:
        text = content["data"].get("text/plain")
        if isinstance(text, str):
            self._on_result(content["execution_count"], text)

    def _question(self, message: Message) -> None:
        """Ask the client whose cell runs; nobody else would know what the question is about."""
        cell = self._parents.running_cell
        if cell is None or not cell.allow_stdin:
            self._refuse(message.id, NO_STDIN)
            return
        question = Question(
            id=message.id,
            prompt=message.content["prompt"],
            password=message.content["password"],
            ident=cell.ident,
            parent=cell.header,
        )
        # After the iopub thread, so that what was printed before the prompt is seen before it.
        ask = partial(self._stdin.ask, question, cancelled=self._stdin.cancelled)
        self._publisher.call_when_sent(ask)
