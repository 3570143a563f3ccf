"""Cases that are one cell: nothing gets out, the cell ends as it has to, the kernel goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from cases.model import Case, all_cases
from cases.scene import scene
from cases.stage import OPTIONS, Stage

pytestmark = [
    pytest.mark.deno,
    pytest.mark.skipif(sys.platform != "linux", reason="mounts are held by Landlock"),
]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Stage]]:
    """By whether memory is short."""
    short = (*OPTIONS, "--memory-limit=1GB")
    with scene(tmp_path_factory.mktemp("scene")) as made:
        stages = {
            False: Stage(made, tmp_path_factory.mktemp("kernels"), *OPTIONS),
            True: Stage(made, tmp_path_factory.mktemp("short-of-memory"), *short),
        }
        yield stages
        for stage in stages.values():
            stage.close()


def _param(case: Case) -> object:
    marks = [pytest.mark.xfail(reason=case.gap, strict=True)] if case.gap else []
    return pytest.param(case, id=case.id, marks=marks)


@pytest.mark.parametrize("case", [_param(case) for case in all_cases() if not case.driven])
def test_case_holds(stages: dict[bool, Stage], case: Case) -> None:
    stages[case.kind == "limit"].run(case)
