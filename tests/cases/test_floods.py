"""Cases that say, hold or ask for more than anybody can take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from real_kernel import Cell, RealKernel

from cases.memory import MB, Peaks
from cases.model import case
from cases.scene import scene
from cases.stage import ALIVE_S, Stage, perform

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform != "linux", reason="memory is measured in /proc"),
]

GROWTH_MB = 300.0


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scene(tmp_path_factory.mktemp("scene")) as made:
        stage = Stage(made, tmp_path_factory.mktemp("kernels"), "--interrupt-grace=3")
        yield stage
        stage.close()


@pytest.fixture
def kernel(stage: Stage) -> Iterator[RealKernel]:
    """A kernel that is the same and answers when the case is over."""
    kernel = stage.kernel
    kernel.run("_kept = True")
    yield kernel
    after = kernel.run("(_kept, 40 + 2)", timeout_s=ALIVE_S)
    assert after.result == "(True, 42)", after


def peaks_of(kernel: RealKernel) -> Peaks:
    return Peaks(kernel.tree())


def notice(cell: Cell) -> str:
    """What the kernel says about output that it dropped, or nothing."""
    return cell.text("stderr") if "--output-limit" in cell.text("stderr") else ""


def test_a_million_prints_are_all_there(kernel: RealKernel) -> None:
    peaks = peaks_of(kernel)
    flood = case("P42-million-prints")
    cell = kernel.run(flood.code, timeout_s=flood.timeout)
    assert cell.text() == "".join(f"{number}\n" for number in range(10**6))
    assert cell.seconds < 60
    assert max(peaks.growth_mb().values()) < GROWTH_MB


def test_a_line_of_200_mb_is_cut_with_a_notice(kernel: RealKernel) -> None:
    host = psutil.Process(kernel.pid)
    before = host.memory_info().rss
    flood = case("P43-print-200MB")
    cell = kernel.run(flood.code, timeout_s=flood.timeout)
    assert set(cell.text()) <= {"x", "\n"}
    assert len(cell.text()) == 200_000_001 or "100 MB" in notice(cell)
    assert cell.status == "ok"
    del cell
    kernel.run("1")
    assert host.memory_info().rss - before < 100 * MB


@pytest.mark.timeout(300)  # the client has some 12,000 messages to read, up to the output limit
def test_endless_prints_to_a_slow_client_end_with_the_interrupt(kernel: RealKernel) -> None:
    peaks = peaks_of(kernel)
    performance = perform(
        kernel, case("P44-print-forever").code, case("P44-print-forever"), pace_s=0.003
    )
    assert performance.cell.ename == "KeyboardInterrupt"
    assert performance.after_interrupt is not None
    assert performance.after_interrupt < 5
    assert max(peaks.growth_mb().values()) < GROWTH_MB


def test_a_display_of_200_mb_is_whole_or_refused_with_the_limit(kernel: RealKernel) -> None:
    flood = case("P45-display-200MB")
    cell = kernel.run(flood.code, timeout_s=flood.timeout)
    assert "OK" in cell.text() or "limit" in cell.evalue or notice(cell)
    displays = cell.of("display_data")
    assert [len(display["data"]["text/html"]) for display in displays] == [200_000_007] or (
        "100 MB" in notice(cell)
    )


@pytest.mark.timeout(300)
def test_a_flood_of_the_client_holds_nobody_up(kernel: RealKernel) -> None:
    peaks = peaks_of(kernel)
    flood = case("P46-comm-flood")
    msg_id = kernel.start(flood.code)
    kernel.wait_for_input(msg_id)
    client = kernel.client
    session, shell = client.session, client.shell_channel
    asked = set()
    for number in range(20_000):
        shell.send(session.msg("comm_msg", {"comm_id": "nobody", "data": {"number": number}}))
        if number % 10 == 0:
            request = session.msg("is_complete_request", {"code": "1"})
            asked.add(request["header"]["msg_id"])
            shell.send(request)
    assert len(asked) == 2_000
    replies: list[dict[str, Any]] = []
    while len(replies) < 2_001:
        replies.append(client.get_shell_msg(timeout=flood.timeout))
    parents = [reply["parent_header"]["msg_id"] for reply in replies]
    assert sorted(parents) == sorted({*asked, msg_id})
    (cell,) = [r for r in replies if r["parent_header"]["msg_id"] == msg_id]
    assert cell["content"]["status"] == "ok"
    assert {r["content"]["status"] for r in replies if r["parent_header"]["msg_id"] != msg_id} == {
        "complete"
    }
    assert max(peaks.growth_mb().values()) < GROWTH_MB


@pytest.mark.parametrize("allowed", [True, False])
def test_a_password_is_asked_for_or_refused(kernel: RealKernel, allowed: bool) -> None:
    msg_id = kernel.start(case("P52-getpass").code, allow_stdin=allowed)
    if allowed:
        question = kernel.client.get_stdin_msg(timeout=20)["content"]
        assert question == {"prompt": "pw? ", "password": True}
        kernel.client.input("four")
    cell = kernel.finish(msg_id, timeout_s=20)
    assert cell.text() == ("4\nOK\n" if allowed else "StdinNotImplementedError\nOK\n")
