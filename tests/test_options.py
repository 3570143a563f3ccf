from __future__ import annotations

import math

import pytest

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.options import (
    BAKED,
    from_environment,
    kernel_parser,
    parse_kernel_options,
)
from pyodide_kernel.settings import SETTINGS
from pyodide_kernel.values import read_duration, read_seconds, read_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("5000", 5000),
        ("100MB", 100_000_000),
        (" 1.5 gb ", 1_500_000_000),
        ("64MiB", 64 * 2**20),
        ("1k", 1000),
        ("0", 0),
    ],
)
def test_sizes_have_units(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "MB", "-1", "1 tb", "1e3", "ten", "1,5GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message is the caller's
        read_size(text)


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_seconds(text)


@pytest.mark.parametrize("text", ["0", "0.0", "-1", "nan"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_duration(text)


def test_every_setting_has_an_option_and_a_variable_named_alike() -> None:
    assert {setting.variable for setting in SETTINGS} == {
        "PYODIDE_KERNEL_CACHE_DIR",
        "PYODIDE_KERNEL_CONSTRAINTS",
        "PYODIDE_KERNEL_LITE_SITE",
        "PYODIDE_KERNEL_LOCK",
        "PYODIDE_KERNEL_MOUNT",
        "PYODIDE_KERNEL_CWD",
        "PYODIDE_KERNEL_ALLOW_ENV",
        "PYODIDE_KERNEL_ALLOW_NET",
        "PYODIDE_KERNEL_MEMORY_LIMIT",
        "PYODIDE_KERNEL_OPEN_FILES",
        "PYODIDE_KERNEL_CELL_TIMEOUT",
        "PYODIDE_KERNEL_IDLE_TIMEOUT",
        "PYODIDE_KERNEL_INTERRUPT_GRACE",
        "PYODIDE_KERNEL_HANG_TIMEOUT",
        "PYODIDE_KERNEL_OUTPUT_LIMIT",
        "PYODIDE_KERNEL_WORKERS",
        "PYODIDE_KERNEL_WRITE_LIMIT",
        "PYODIDE_KERNEL_MESSAGE_LIMIT",
        "PYODIDE_KERNEL_SAFE_OUTPUTS",
        "PYODIDE_KERNEL_PACKAGE_URL",
        "PYODIDE_KERNEL_INDEX_URL",
        "PYODIDE_KERNEL_FIND_LINKS",
        "PYODIDE_KERNEL_OFFLINE",
        "PYODIDE_KERNEL_PRELOAD",
        "PYODIDE_KERNEL_CACHE_LIMIT",
    }


def test_every_setting_is_documented_in_the_help() -> None:
    text = kernel_parser().format_help()
    for setting in SETTINGS:
        assert setting.option in text
        assert setting.variable in text


def test_settings_come_with_where_they_were_found() -> None:
    argv = ["--interrupt-grace", "1", BAKED, "-f", "x.json", "--interrupt-grace=3"]
    options = parse_kernel_options(argv, {"PYODIDE_KERNEL_INTERRUPT_GRACE": "2"})
    trait = "PyodideKernel.interrupt_grace"
    assert options.baked == [(trait, 1.0)]
    assert options.environment == [(trait, 2.0)]
    assert options.command_line == [(trait, 3.0)]
    assert options.connection_file == "x.json"


def test_traits_of_jupyter_are_taken_as_text() -> None:
    options = parse_kernel_options(["-f", "x", "--Session.username=me=you"], {})
    assert options.command_line == [("Session.username", "me=you")]


def test_names_of_files_after_the_connection_file_are_for_others() -> None:
    options = parse_kernel_options(["-f", "x", "--interrupt-grace=3", "script.py"], {})
    assert options.connection_file == "x"
    assert options.command_line == [("PyodideKernel.interrupt_grace", 3.0)]


def test_an_empty_variable_counts_as_unset() -> None:
    assert from_environment({"PYODIDE_KERNEL_OUTPUT_LIMIT": ""}) == []


@pytest.mark.parametrize(
    ("argv", "environ", "named"),
    [
        (["-f", "x", "--no-such-option"], {}, "--no-such-option"),
        (["-f", "x", "--interrupt-grace", "soon"], {}, "--interrupt-grace: 'soon'"),
        (["-f", "x", "--interrupt-grac=3"], {}, "--interrupt-grac=3"),
        (["-f", "x"], {"PYODIDE_KERNEL_OUTPUT_LIMIT": "big"}, "PYODIDE_KERNEL_OUTPUT_LIMIT: 'big'"),
        (["-f"], {}, "-f"),
        ([], {}, "-f FILE is missing"),
        (["somewhere"], {}, "somewhere"),
    ],
)
def test_errors_name_the_thing_in_one_line(
    argv: list[str], environ: dict[str, str], named: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_kernel_options(argv, environ)
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_zero_turns_the_grace_time_off() -> None:
    options = parse_kernel_options(["-f", "x", "--interrupt-grace=0"], {})
    assert math.isclose(options.command_line[0][1], 0.0)
