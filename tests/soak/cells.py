"""Kinds of cells: each runs one and checks all that comes of it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from real_kernel import Cell, RealKernel

KILL_EVERY_S: Final = 25.0
"""A kernel gives up after more than three deaths within 60 s that nobody asked for."""

LIMIT_S: Final = 120.0
"""For each cell; a loaded machine is no failure."""


@dataclass
class Soak:
    """One kernel under test, and what its interpreter has to know by now."""

    kernel: RealKernel
    generator: random.Random
    counter: int = 0
    """Value of `counter` in the guest; 0: not defined there."""
    killed_at: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    """Cells run so far, by kind."""

    def token(self) -> str:
        """Text that no other cell prints."""
        return f"token-{self.generator.getrandbits(64):x}"

    def step(self) -> None:
        """Run one cell of a random kind. Raises AssertionError if anything is not as it must be."""
        kind = self.generator.choices(list(KINDS), weights=[w for _, w in KINDS.values()])[0]
        if kind == "killed" and time.monotonic() - self.killed_at < KILL_EVERY_S:
            kind = "replaced"
        run, _ = KINDS[kind]
        run(self)
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def run(self, code: str) -> Cell:
        """Run a cell to its end."""
        return self.kernel.run(code, timeout_s=LIMIT_S)

    def start(self, code: str, token: str) -> str:
        """Start a cell that prints the token first, and wait for that."""
        msg_id = self.kernel.start(f"print({token!r}, flush=True)\n{code}")
        self.kernel.wait_for_output(msg_id, f"{token}\n", timeout_s=LIMIT_S)
        return msg_id

    def died(self, cell: Cell) -> None:
        """Check that a cell told of the death of its interpreter, once."""
        assert cell.ename == "DeadKernelError", cell
        assert [error["ename"] for error in cell.of("error")][-1:] == ["DeadKernelError"], cell
        assert cell.text() == "", cell
        self.counter = 0


def good(soak: Soak) -> None:
    token, number = soak.token(), soak.generator.randrange(10**9)
    soak.counter += 1
    cell = soak.run(
        f"counter = globals().get('counter', 0) + 1\nprint({token!r})\n(counter, {number} + 1)"
    )
    assert cell.status == "ok", cell
    assert cell.text() == f"{token}\n", cell
    assert cell.result == f"({soak.counter}, {number + 1})", cell


def failing(soak: Soak) -> None:
    token = soak.token()
    way = soak.generator.choice(
        ("raise ValueError({0!r})", "await __import__('asyncio').sleep(0)\nraise ValueError({0!r})")
    )
    cell = soak.run(f"print({token!r})\n" + way.format(token))
    assert (cell.ename, cell.evalue) == ("ValueError", token), cell
    assert cell.text() == f"{token}\n", cell
    assert len(cell.of("error")) == 1, cell


def chatty(soak: Soak) -> None:
    token, count = soak.token(), soak.generator.randrange(1, 20_000)
    cell = soak.run(f"for i in range({count}): print({token!r}, i)")
    assert cell.text() == "".join(f"{token} {i}\n" for i in range(count)), (count, cell.reply)


def two_streams(soak: Soak) -> None:
    token = soak.token()
    cell = soak.run(
        f"import sys\nfor i in range(50):\n    print({token!r}, i)\n"
        f"    print(i, {token!r}, file=sys.stderr)"
    )
    assert cell.text() == "".join(f"{token} {i}\n" for i in range(50)), cell
    assert cell.text("stderr") == "".join(f"{i} {token}\n" for i in range(50)), cell


def displays(soak: Soak) -> None:
    token, count = soak.token(), soak.generator.randrange(1, 200)
    cell = soak.run(
        f"for i in range({count}): display({{'text/plain': f'{token} {{i}}'}}, raw=True)"
    )
    shown = [content["data"]["text/plain"] for content in cell.of("display_data")]
    assert shown == [f"{token} {i}" for i in range(count)], cell


def interrupted(soak: Soak) -> None:
    token = soak.token()
    code = soak.generator.choice(
        (
            "while True: pass",
            "import time\ntime.sleep(600)",
            "import asyncio\nawait asyncio.sleep(600)",
            "import asyncio\nawait asyncio.gather(*(asyncio.sleep(600) for _ in range(9)))",
            "for i in range(10**9): str(i)",
        )
    )
    msg_id = soak.start(code, token)
    soak.kernel.manager.interrupt_kernel()
    cell = soak.kernel.finish(msg_id, timeout_s=LIMIT_S)
    assert cell.ename == "KeyboardInterrupt", cell
    assert cell.text() == "", cell


def queued(soak: Soak) -> None:
    """Several cells sent at once."""
    tokens = [soak.token() for _ in range(soak.generator.randrange(2, 6))]
    sent = [soak.kernel.start(f"print({token!r})") for token in tokens]
    for msg_id, token in zip(sent, tokens, strict=True):
        assert soak.kernel.finish(msg_id, timeout_s=LIMIT_S).text() == f"{token}\n"


def asking(soak: Soak) -> None:
    token = soak.token()
    msg_id = soak.kernel.start("print(input('? ')[::-1])", allow_stdin=True)
    question = soak.kernel.client.get_stdin_msg(timeout=LIMIT_S)
    assert question["parent_header"]["msg_id"] == msg_id
    soak.kernel.client.input(token[::-1])
    assert soak.kernel.finish(msg_id, timeout_s=LIMIT_S).text() == f"{token}\n"


def replaced(soak: Soak) -> None:
    """Code that no interrupt reaches; the second one replaces the interpreter."""
    msg_id = soak.start("sum(range(10**12))", soak.token())
    soak.kernel.interrupt_and_wait()
    assert soak.kernel.has_no_reply_for(2.1, msg_id)
    soak.kernel.interrupt_and_wait()
    soak.died(soak.kernel.finish(msg_id, timeout_s=LIMIT_S))


def killed(soak: Soak) -> None:
    code = soak.generator.choice(("while True: pass", "import time\ntime.sleep(600)"))
    msg_id = soak.start(code, soak.token())
    soak.kernel.deno().kill()
    soak.died(soak.kernel.finish(msg_id, timeout_s=LIMIT_S))
    soak.killed_at = time.monotonic()


KINDS: Final[dict[str, tuple[Callable[[Soak], None], float]]] = {
    "good": (good, 40),
    "failing": (failing, 15),
    "chatty": (chatty, 8),
    "two streams": (two_streams, 8),
    "displays": (displays, 8),
    "interrupted": (interrupted, 10),
    "queued": (queued, 6),
    "asking": (asking, 4),
    "replaced": (replaced, 0.5),
    "killed": (killed, 1),
}
"""What there is, and how often it comes."""
