"""Calls and commands that can't work are found, and those that can are not."""

from __future__ import annotations

import pytest

from pyodide_kernel.check.calls import FETCHES, RULES, call_findings, command_findings
from pyodide_kernel.check.findings import Finding
from pyodide_kernel.network import Network, Place
from pyodide_kernel.reading.code import parse
from pyodide_kernel.reading.source import Place as Where
from pyodide_kernel.reading.source import Unit
from pyodide_kernel.reading.uses import calls

ALL = Network(public=True)


def found(code: str, network: Network = ALL) -> list[Finding]:
    parsed = parse([Unit(code=code, place=Where("n", 1, 1), ipython=True)])
    used = list(calls(parsed.pieces))
    return [*call_findings(used, network), *command_findings(parsed.commands)]


@pytest.mark.parametrize("code", [code for rule in RULES for code in rule.examples])
def test_what_each_rule_is_about_is_found_on_its_line(code: str) -> None:
    (finding, *_) = found(code)
    assert finding.fails
    assert finding.instead
    assert finding.place.line == 2


@pytest.mark.parametrize("code", FETCHES.examples)
def test_fetches_fail_without_a_network_only(code: str) -> None:
    assert "--allow-net" in found(code, Network())[0].instead
    assert found(code) == []


def test_a_place_that_is_not_open_is_named() -> None:
    code = "import requests, pandas as pd\nrequests.get('http://a.example')\n"
    some = Network(places=(Place(host="a.example"),))
    assert found(code, some) == []
    (finding,) = found(code + "pd.read_csv('https://b.example/x.csv')", some)
    assert "b.example:443" in finding.problem
    assert finding.place.line == 3


@pytest.mark.parametrize(
    "code",
    [
        "import pandas as pd\npd.read_csv('data.csv')",
        "import requests\nrequests.exceptions.ConnectionError()",
        "import threading\nthreading.Lock()",
        "import asyncio\nawait asyncio.to_thread(print)",
        "import os\nos.path.exists('x')",
        "import os\ntry:\n    os.system('ls')\nexcept OSError:\n    pass",
        "import multiprocessing\nmultiprocessing.cpu_count()",
        "%pip list",
        "!pip install x",
        *("!ls", "x = !ls | wc -l", "%system ls", "%sx ls", "%ls", "%mkdir x", "%%bash\nls"),
        *("%%sh\nls", "%%script sort -r\n1", "%%python3\n1", "!echo git", "!A=1 ls"),
        "%cd /tmp",
        "%%html\n<a>",
        "%%writefile x.sh\nls",
    ],
)
def test_what_works_is_no_finding(code: str) -> None:
    assert found(code, Network()) == []


@pytest.mark.parametrize(
    "code",
    [
        *("!git clone x", "x = !ls && curl y", "%system make", "%sx A=1 gcc x", "%%script perl\n1"),
        *("%%perl\n1", "%conda install x", "!conda install x", "!echo x | sudo tee y"),
        *("%uv pip install x", "%man x", "%edit x", "%qtconsole", "%%time\n!wget x"),
    ],
)
def test_commands_of_shells_and_other_programs_are_found(code: str) -> None:
    (finding,) = found(code)
    assert "WebAssembly has none" in finding.problem or "does not have" in finding.problem
    assert finding.instead
