"""JupyterLab as a user sees it: a real server, and a page in a real, headless Chromium."""

from __future__ import annotations

import json
import os
import queue
import re
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import pytest
from clients.place import KERNEL_NAME, TIMEOUT_S, Place
from playwright.sync_api import Locator, Page, expect, sync_playwright

SCREENSHOTS: Final = os.environ.get("PYODIDE_KERNEL_SCREENSHOTS")
"""A folder that gets a copy of each screenshot."""

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")

BROWSER_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

SIZE: Final = {"width": 1280, "height": 1000}

DISPLAY_NAME: Final = "Python (Pyodide)"

TIMEOUT_MS: Final = TIMEOUT_S * 1000

NO_NEWS: Final = {"checkForUpdates": False, "fetchNews": "false"}
"""Nothing is fetched, and no question whether it should be covers the page."""

ALL_CELLS: Final = {"windowingMode": "none"}
"""Cells are there although they are out of sight."""

_URL: Final = re.compile(r"http://127\.0\.0\.1:\d+/")


class Lab:
    """One page of JupyterLab."""

    def __init__(self, page: Page, url: str, token: str, screenshots: Path) -> None:
        self.page = page
        self._url = url
        self._token = token
        self._screenshots = screenshots

    def open(self, notebook: str = "") -> None:
        """Open the launcher, or a notebook and wait until its kernel is idle."""
        tree = f"/tree/{notebook}" if notebook else ""
        self.page.goto(f"{self._url}lab{tree}?token={self._token}")
        if notebook:
            self.expect_idle()
        else:
            self.page.locator(".jp-LauncherCard").first.wait_for()

    def expect_idle(self) -> None:
        """Wait until the kernel of the notebook is connected and idle."""
        self.page.get_by_text(f"{DISPLAY_NAME} | Idle", exact=True).wait_for()

    def press(self, button: str) -> None:
        """Click a button of the notebook's tool bar."""
        self.page.get_by_role("button", name=button, exact=True).first.click()

    def choose(self, menu: str, entry: str) -> None:
        """Click an entry of the menu bar."""
        self.page.locator(".lm-MenuBar-item", has_text=re.compile(f"^{menu}$")).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{entry}")).first.click()

    def cell(self, number: int) -> Locator:
        """A cell of the notebook, from 0."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def write(self, number: int, code: str) -> None:
        """Put code into a cell."""
        self.cell(number).locator(".cm-content").fill(code)

    def run(self, number: int) -> None:
        """Run a cell, as one does with the keyboard; does not wait for it."""
        editor = self.cell(number).locator(".cm-content")
        editor.click()
        editor.press("Shift+Enter")

    def outputs(self, number: int) -> Locator:
        """The outputs of a cell."""
        return self.cell(number).locator(".jp-OutputArea-output")

    def expect_done(self, number: int, prompt: int) -> None:
        """Wait until a cell shows its execution count."""
        expect(self.cell(number).locator(".jp-InputPrompt")).to_have_text(f"[{prompt}]:")

    def screenshot(self, name: str) -> None:
        """Keep what the page looks like now."""
        path = self._screenshots / f"{name}.png"
        self.page.screenshot(path=path)
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, SCREENSHOTS)


def find_browser() -> str:
    """Chromium of the system; skips where there is none."""
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.skip(f"no Chromium here: none of {', '.join(BROWSERS)} is on PATH")


@contextmanager
def open_lab(place: Place, screenshots: Path) -> Iterator[Lab]:
    """A server in the working folder, and a page with a fresh profile; both end."""
    browser_path = find_browser()
    expect.set_options(timeout=TIMEOUT_MS)
    with (
        _server(place) as (url, token),
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=browser_path, args=list(BROWSER_OPTIONS)
        ) as browser,
    ):
        page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]  # a TypedDict
        page.set_default_timeout(TIMEOUT_MS)
        lab = Lab(page, url, token, screenshots)
        yield lab
        lab.screenshot("end")


@contextmanager
def _server(place: Place) -> Iterator[tuple[str, str]]:
    """Its address and its token."""
    _settings(place, "apputils-extension", "notification", NO_NEWS)
    _settings(place, "notebook-extension", "tracker", ALL_CELLS)
    token = secrets.token_hex(16)
    process = subprocess.Popen(
        [
            "jupyter",
            "lab",
            "--no-browser",
            "--allow-root",
            "--ip=127.0.0.1",
            "--port=0",
            f"--IdentityProvider.token={token}",
            f"--ServerApp.root_dir={place.work}",
            f"--KernelSpecManager.allowed_kernelspecs={KERNEL_NAME}",
        ],
        cwd=place.work,
        env=dict(place.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process.stderr, log))
    reader.start()
    try:
        yield _address(log), token
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()
        reader.join()
        process.stderr.close()


def _settings(place: Place, extension: str, plugin: str, values: object) -> None:
    """Write a user's setting of JupyterLab."""
    folder = Path(place.environ["JUPYTER_CONFIG_DIR"], "lab/user-settings/@jupyterlab", extension)
    folder.mkdir(parents=True)
    (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(values), "utf-8")


def _read(stream: IO[str], log: queue.Queue[str]) -> None:
    for line in stream:
        log.put(line)
    log.put("")


def _address(log: queue.Queue[str]) -> str:
    """The address that the server announces once it listens there."""
    lines = []
    while line := log.get(timeout=TIMEOUT_S):
        lines.append(line)
        if match := _URL.search(line):
            return match[0]
    raise AssertionError("JupyterLab did not start:\n" + "".join(lines))
