"""Every malformed value is refused at the start: which option, which value, which form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.options import parse_kernel_options
from pyodide_kernel.settings import SETTINGS, Setting

NOT_A_SIZE = [
    "",
    "big",
    "-1",
    "1e3",
    "1 TB",
    "1,5GB",
    "0x10",
    "٤GB",
    "nan",
    "1MB2",
    "MB",
    "1" * 400,
]
NOT_SECONDS = ["", "soon", "-1", "nan", "inf", "1 s", "0x1", "1,5", "--1", "1e400"]
NOT_A_SWITCH = ["yes", "true", "2", "no", "01", " "]
NOT_A_NUMBER = ["", "few", "-1", "1.5", "1e3", "²", "9" * 5000, "+3", "1_000 "]

BAD: dict[str, list[str]] = {
    "--mount": [
        *("", "=/mnt/x", ":ro", "=/mnt/x:ro"),
        *(
            "a=/x",
            "a=/mnt",
            "a=/mnt/",
            "a=/mnt/..",
            "a=/mnt/.",
            "a=/mnt/x/y",
            "a=/mnt/x:rx",
            "a=/mnt/x:",
        ),
        *("a=/mnt/x\ny", "a=/mnt/\x7f", "a\0b", "a=/mnt/\udcff"),
    ],
    "--cwd": NOT_A_SWITCH,
    "--allow-net": [
        *("", "a b", "http://example.com", "example.com/x", "a@b", "*.example.com", "**"),
        *("example.com:0", "example.com:99999", "example.com:http", ":80", "example..com", "-a.b"),
        *("127.1", "0x7f.1", "2130706433", "1.2.3.4.5", "256.1.1.1", "fe80::1%eth0", "[::1", "::g"),
        *("a\nb", "a\0b", "a,,b", "a" * 64, "a." * 127 + "com"),
    ],
    "--allow-env": ["", "A B", "A=1", "A,,B", "1A", "A-B", "A\nB", "É", "*"],
    "--memory-limit": [*NOT_A_SIZE, "127MB", "0", "5000", "2000000000GB"],
    "--open-files": [*NOT_A_NUMBER, "63", "1048577", "0"],
    "--workers": [*NOT_A_NUMBER, "1001"],
    "--write-limit": NOT_A_SIZE,
    "--cell-timeout": NOT_SECONDS,
    "--idle-timeout": NOT_SECONDS,
    "--interrupt-grace": NOT_SECONDS,
    "--hang-timeout": [*NOT_SECONDS, "0", "0.0"],
    "--output-limit": NOT_A_SIZE,
    "--message-limit": [*NOT_A_SIZE, "0", "999kB", "257MiB"],
    "--cache-dir": ["", "cache", "./cache", "a\0b"],
    "--safe-outputs": NOT_A_SWITCH,
    "--package-url": ["", "  "],
    "--index-url": ["", "example.com", "ftp://example.com/", "file:///x", "https://a b/"],
    "--find-links": ["", " "],
    "--constraints": ["", " "],
    "--lock": ["", " "],
    "--lite-site": ["", " "],
    "--offline": NOT_A_SWITCH,
    "--preload": ["", "a b", "-x", "a;b", "../x", "a,,b", "a==1"],
    "--cache-limit": NOT_A_SIZE,
}


def test_every_setting_is_in_the_table() -> None:
    assert set(BAD) == {setting.option for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.option)
def test_a_bad_value_is_refused_with_its_name_the_value_and_the_form(setting: Setting) -> None:
    for text in BAD[setting.option]:
        if not setting.switch:
            refused(setting, text, setting.option, [f"{setting.option}={text}"], {})
        if text:  # an empty variable counts as unset
            refused(setting, text, setting.variable, [], {setting.variable: text})


def refused(
    setting: Setting, text: str, name: str, arguments: list[str], environ: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_kernel_options(["-f", "x", *arguments], environ)
    message = str(caught.value)
    parts = [text, *text.split(",")] if setting.many else [text]
    assert message.startswith(f"{name}: "), text
    assert any(repr(part) in message or repr(part.strip()) in message for part in parts), text
    assert message.endswith(f" is not {setting.form}"), text
    assert "\n" not in message, text


@pytest.mark.parametrize(
    ("arguments", "environ", "named"),
    [
        (["--mount", "nowhere"], {}, ("--mount", "'nowhere'", "PATH[=/mnt/NAME][:ro|:rw]")),
        (["--mount", "/proc:ro"], {}, ("--mount", "'/proc:ro'", "the system's")),
        ([], {"PYODIDE_KERNEL_WORKERS": "many"}, ("PYODIDE_KERNEL_WORKERS", "'many'", "1000")),
        (["--PyodideKernel.workers=-1"], {}, ("workers", "-1", "not be less than 0")),
        (
            ["--PyodideKernel.message_limit=5"],
            {},
            ("message_limit", "5", "not be less than 1000000"),
        ),
        (["--PyodideKernel.memory_limit=lots"], {}, ("memory_limit", "lots")),
    ],
)
def test_a_kernel_with_a_bad_setting_says_so_in_one_line_and_does_not_start(
    arguments: list[str], environ: dict[str, str], named: tuple[str, ...], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "pyodide_kernel", "-f", str(tmp_path / "c.json"), *arguments]
    done = subprocess.run(
        command, env=os.environ | environ, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    for text in named:
        assert text in done.stderr
    assert not (tmp_path / "c.json").exists()
