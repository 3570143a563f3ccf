"""The forms of the settings: from options, from variables, and back into a kernelspec."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from pyodide_kernel.errors import ConfigurationError
from pyodide_kernel.kernel import PyodideKernel
from pyodide_kernel.options import add_settings, from_environment, from_namespace
from pyodide_kernel.settings import SETTINGS
from pyodide_kernel.values import read_memory, read_open_files

DOCUMENT = Path(__file__).parents[1] / "docs" / "settings.md"


def parse(*arguments: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return dict(from_namespace(parser.parse_args(arguments)))


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.option)
def test_every_setting_is_a_trait_and_is_documented(setting: Any) -> None:
    kernel, trait = setting.trait.split(".")
    assert kernel == "PyodideKernel"
    assert trait in PyodideKernel.class_traits(config=True)
    text = DOCUMENT.read_text("utf-8")
    option = "--no-cwd" if setting.option == "--cwd" else setting.option
    assert f"| `{option}" in text
    assert f"`{setting.variable}" in text
    assert f"`{setting.trait}`" in text


def test_mounts_are_repeated_on_the_command_line_and_separated_in_the_environment() -> None:
    assert parse("--mount", "a,b:ro", "--mount=c") == {"PyodideKernel.mount": ["a,b:ro", "c"]}
    assert from_environment({"PYODIDE_KERNEL_MOUNT": "a:ro, b=/mnt/x"}) == [
        ("PyodideKernel.mount", ["a:ro", "b=/mnt/x"])
    ]


def test_variables_are_separated_by_commas_and_may_be_repeated() -> None:
    assert parse("--allow-env", "A,B", "--allow-env=C") == {
        "PyodideKernel.allow_env": ["A", "B", "C"]
    }
    assert from_environment({"PYODIDE_KERNEL_ALLOW_ENV": "A, B"}) == [
        ("PyodideKernel.allow_env", ["A", "B"])
    ]


def test_the_network_is_opened_as_a_whole_or_by_places() -> None:
    name = "PyodideKernel.allow_net"
    assert parse("--allow-net") == {name: ["*"]}
    assert parse("--allow-net", "--no-cwd")[name] == ["*"]
    assert parse("--allow-net=a.example,[::1]:80", "--allow-net") == {
        name: ["a.example", "[::1]:80", "*"]
    }
    variable = "PYODIDE_KERNEL_ALLOW_NET"
    assert from_environment({variable: "*"}) == [(name, ["*"])]
    assert from_environment({variable: "a.example:80, ::1"}) == [(name, ["a.example:80", "::1"])]


def test_the_working_directory_is_a_switch() -> None:
    assert parse("--no-cwd") == {"PyodideKernel.cwd": False}
    assert parse("--cwd") == {"PyodideKernel.cwd": True}
    assert parse() == {}
    assert from_environment({"PYODIDE_KERNEL_CWD": "0"}) == [("PyodideKernel.cwd", False)]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--mount", "a=/x"], "--mount: 'a=/x' is not PATH[=/mnt/NAME][:ro|:rw]"),
        (["--mount", ""], "--mount: ''"),
        (["--allow-env", "A,,B"], "--allow-env: ''"),
        (["--allow-env", "A=1"], "--allow-env: 'A=1' is not a list of names"),
        (["--allow-net", ""], "--allow-net: '' is not * or HOST[:PORT], such as example.com"),
        (["--allow-net", "a.example,"], "--allow-net: ''"),
        (["--allow-net", "a.example:port"], "--allow-net: 'a.example:port' is not * or HOST"),
        (["--allow-net", "a.example:65536"], "--allow-net: 'a.example:65536' is not * or HOST"),
        (["--allow-net", "http://a.example"], "--allow-net: 'http://a.example' is not * or HOST"),
        (["--allow-net", "10.0.0.0/8"], "--allow-net: '10.0.0.0/8' is not * or HOST"),
        (["--allow-net", "*.example"], "--allow-net: '*.example' is not * or HOST"),
        (["--allow-net", "127.1"], "--allow-net: '127.1' is not * or HOST"),
        (["--allow-net", "[::1"], "--allow-net: '[::1' is not * or HOST"),
        (["--memory-limit", "much"], "--memory-limit: 'much' is not a size of at least 128MB"),
        (["--memory-limit", "100MB"], "--memory-limit: '100MB'"),
        (["--open-files", "10"], "--open-files: '10' is not a number from 64"),
        (["--open-files", "-1"], "--open-files: '-1'"),
        (["--cell-timeout", "soon"], "--cell-timeout: 'soon' is not a number of seconds"),
        (["--cell-timeout", "-1"], "--cell-timeout: '-1'"),
    ],
)
def test_malformed_options_are_refused_with_option_value_and_form(
    arguments: list[str], named: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(f"{arguments[0]}={arguments[1]}")
    assert str(caught.value).startswith(named)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PYODIDE_KERNEL_MOUNT", "a=/x"),
        ("PYODIDE_KERNEL_MOUNT", "a,"),
        ("PYODIDE_KERNEL_CWD", "no"),
        ("PYODIDE_KERNEL_ALLOW_ENV", "A B"),
        ("PYODIDE_KERNEL_ALLOW_NET", "a b"),
        ("PYODIDE_KERNEL_ALLOW_NET", "**"),
        ("PYODIDE_KERNEL_MEMORY_LIMIT", "4 TB"),
        ("PYODIDE_KERNEL_OPEN_FILES", "1e3"),
        ("PYODIDE_KERNEL_CELL_TIMEOUT", "nan"),
    ],
)
def test_malformed_variables_are_refused_by_name(variable: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=variable):
        from_environment({variable: text})


def test_what_is_kept_in_a_kernelspec_says_the_same_again() -> None:
    given = ["--mount=a:ro", "--mount=b,c", "--no-cwd", "--allow-net=*,a.example:80"]
    given += ["--allow-env=A,B", "--memory-limit=1GB"]
    parser = argparse.ArgumentParser()
    add_settings(parser)
    namespace = parser.parse_args(given)
    baked = [
        argument
        for setting in SETTINGS
        if (value := getattr(namespace, setting.trait)) is not None
        for argument in setting.arguments(value)
    ]
    assert baked == given


@pytest.mark.parametrize("text", ["127MB", "1" + "0" * 400, "-4GB", "٤GB"])
def test_what_is_no_memory_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_memory(text)


@pytest.mark.parametrize("text", ["63", "1048577", "9" * 5000, "1.5", "²", ""])
def test_what_is_no_number_of_files_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_open_files(text)
