from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel.connection import check_connection_file, find_problem
from pyodide_kernel.errors import ConfigurationError

GOOD = {
    "shell_port": 1,
    "iopub_port": 2,
    "stdin_port": 3,
    "control_port": 4,
    "hb_port": 5,
    "ip": "127.0.0.1",
    "key": "k",
    "transport": "tcp",
    "signature_scheme": "hmac-sha256",
    "kernel_name": "",
}


def test_a_file_of_jupyter_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "kernel.json"
    path.write_text(json.dumps(GOOD))
    check_connection_file(path)
    assert find_problem({}) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"transport": "udp"}, "transport"),
        ({"shell_port": "1"}, "shell_port"),
        ({"hb_port": 70000}, "hb_port"),
        ({"iopub_port": True}, "iopub_port"),
        ({"key": 3}, "key"),
        ({"ip": None}, "ip"),
        ({"signature_scheme": "none"}, "signature_scheme"),
        ({"curve_publickey": 1}, "curve_publickey"),
    ],
)
def test_a_senseless_member_is_named(change: dict[str, Any], named: str) -> None:
    problem = find_problem(GOOD | change)
    assert problem is not None
    assert named in problem


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\x00"])
def test_a_file_that_is_not_one_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kernel.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        check_connection_file(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Can't read"):
        check_connection_file(tmp_path)
