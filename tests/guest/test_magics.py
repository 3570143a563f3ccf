from __future__ import annotations

from pathlib import Path

import pytest
from guest.guest import Guest


@pytest.mark.parametrize("magic", ["%clear", "%cls"])
def test_clear_clears_the_output(guest: Guest, magic: str) -> None:
    assert guest.run(magic).of("clear_output") == [{"wait": False}]


@pytest.mark.parametrize("magic", ["%less", "%more"])
def test_files_are_paged(guest: Guest, tmp_path: Path, magic: str) -> None:
    text = tmp_path / "a.txt"
    text.write_text("grüße\n", "utf-8")
    (payload,) = guest.run(f"{magic} {text}").payload
    assert payload["data"] == {"text/plain": "grüße\n"}


def test_python_files_are_highlighted(guest: Guest, tmp_path: Path) -> None:
    code = tmp_path / "a.py"
    code.write_text("def f(): pass\n")
    (payload,) = guest.run(f"%less {code}").payload
    assert "\x1b[" in payload["data"]["text/plain"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("%less", "name of a file is missing"),
        ("%less /no/such/file", "can't read '/no/such/file'"),
        ("%man ls", "WebAssembly has no processes"),
        ("%edit x.py", "%%writefile"),
        ("%ed", "%%writefile"),
        ("%connect_info", "stay on the host"),
        ("%qtconsole", "jupyter qtconsole"),
        ("%sandbox off", "takes no arguments, not 'off'"),
        ("%subshell", "Use asyncio"),
        ("%autosave soon", "whole number"),
        ("%pip", "install, uninstall, list, show or freeze is missing"),
        ("%pip install", "a requirement or -r FILE is missing"),
        ("%pip install --target x y", "unrecognized arguments: --target"),
        ("%pip download x", "invalid choice: 'download'"),
        ("!pip", "install, uninstall, list, show or freeze is missing"),
        ("%%perl\nls", "'perl', which can't run here: WebAssembly has no processes"),
        ("%%script ruby\nls", "There are bash, sh and python"),
        ("%%script\nls", "the name of a program is missing"),
        ("%%bash --bg\nls", "%%bash: nothing runs in the background here"),
        ("%%sh --proc p\nls", "WebAssembly has no processes"),
    ],
)
def test_magic_that_can_not_work_says_why(guest: Guest, code: str, reason: str) -> None:
    outcome = guest.run(code)
    assert outcome.reply["ename"] == "UsageError"
    assert reason in outcome.reply["evalue"]
    assert outcome.stderr.startswith("UsageError: ")


def test_autosave_talks_to_the_classic_notebook(guest: Guest) -> None:
    outcome = guest.run("%autosave 60")
    (content,) = outcome.of("display_data")
    assert "set_autosave_interval(60000)" in content["data"]["application/javascript"]
    assert outcome.stdout == "Autosaving every 60 seconds\n"
    assert guest.run("%autosave 0").stdout == "Autosave disabled\n"


def test_sandbox_shows_what_the_host_answers(guest: Guest) -> None:
    rows = [["/mnt/<b>", "/home/<script>, read-only"], ["network", "none"]]
    guest.host.answers.append({"status": "ok", "sections": [{"title": "May", "rows": rows}]})
    outcome = guest.run("%sandbox")
    assert outcome.types == ["sandbox_request", "display_data"]
    data = outcome.of("display_data")[0]["data"]
    assert data["text/plain"] == ("May\n  /mnt/<b>  /home/<script>, read-only\n  network   none")
    assert "/home/&lt;script&gt;, read-only</td>" in data["text/html"]
    assert "<script>" not in data["text/html"]
