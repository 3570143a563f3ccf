"""JupyterLab: what a user does on the first day, with screenshots."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients.lab import Lab, open_lab
from clients.place import ROOT, Place
from playwright.sync_api import expect

pytestmark = [pytest.mark.deno, pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

TEXT = """
import sys
print("Python", sys.version.split()[0], "on", sys.platform)
"""

TABLE = """
from IPython.display import HTML

rows = "".join(f"<tr><td>{n}</td><td>{n**2}</td></tr>" for n in range(1, 6))
HTML(f"<table><thead><tr><th>n</th><th>square</th></tr></thead><tbody>{rows}</tbody></table>")
"""

SVG = """
from IPython.display import SVG

discs = "".join(
    f'<circle cx="{40 + 60 * n}" cy="40" r="{30 - 4 * n}" fill="hsl({50 * n} 70% 50%)"/>'
    for n in range(5)
)
SVG(f'<svg xmlns="http://www.w3.org/2000/svg" width="320" height="80">{discs}</svg>')
"""

PNG = """
import struct, zlib
from IPython.display import Image

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

width, height = 256, 64
rows = b"".join(
    b"\\0" + b"".join(bytes((x, 4 * y, 255 - x)) for x in range(width)) for y in range(height)
)
header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
Image(
    b"\\x89PNG\\r\\n\\x1a\\n"
    + chunk(b"IHDR", header)
    + chunk(b"IDAT", zlib.compress(rows))
    + chunk(b"IEND", b"")
)
"""


@pytest.fixture
def lab(place: Place, tmp_path: Path) -> Iterator[Lab]:
    with open_lab(place, tmp_path) as lab:
        yield lab


def test_the_launcher_has_a_tile_with_name_and_logo(lab: Lab) -> None:
    lab.open()
    tile = lab.page.locator(".jp-LauncherCard[data-category=Notebook]")
    expect(tile).to_have_text("Python (Pyodide)")
    logo = tile.locator("img")
    assert logo.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    lab.screenshot("launcher")
    tile.click()
    lab.expect_idle()
    lab.write(0, "6 * 7")
    lab.run(0)
    expect(lab.outputs(0)).to_have_text("42")


def test_a_notebook_shows_text_a_table_and_images(lab: Lab, place: Place) -> None:
    place.write_notebook("shown.ipynb", *(code.strip() for code in (TEXT, TABLE, SVG, PNG)))
    lab.open("shown.ipynb")
    lab.choose("Run", "Run All Cells")
    lab.expect_done(3, 4)
    expect(lab.outputs(0)).to_have_text(re.compile(r"^Python 3\.\d+\.\d+ on emscripten\s*$"))
    expect(lab.outputs(1).locator("td")).to_have_count(10)
    expect(lab.outputs(1).locator("tr").last).to_have_text("525")
    svg = lab.outputs(2).locator("svg, img")
    box = svg.bounding_box()
    assert box is not None
    assert (round(box["width"]), round(box["height"])) == (320, 80)
    png = lab.outputs(3).locator("img")
    assert png.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [256, 64]
    lab.screenshot("outputs")
    png.scroll_into_view_if_needed()
    lab.screenshot("image")


def test_the_tour_runs_to_its_end(lab: Lab, place: Place) -> None:
    shutil.copy(ROOT / "notebooks" / "tour.ipynb", place.work)
    code = [cell for cell in place.read_notebook("tour.ipynb").cells if cell.cell_type == "code"]
    lab.open("tour.ipynb")
    lab.choose("Run", "Run All Cells")
    lab.page.locator(".jp-InputPrompt", has_text=f"[{len(code)}]:").wait_for()
    expect(lab.page.locator(".jp-OutputArea-output[data-mime-type$=stderr]")).to_have_count(0)
    lab.page.locator(".jp-RenderedSVG").last.scroll_into_view_if_needed()
    lab.screenshot("tour")


def test_a_cell_asks_in_a_box_and_the_stop_button_ends_another(lab: Lab, place: Place) -> None:
    place.write_notebook(
        "busy.ipynb",
        "name = input('Your name? ')\nprint('Hello,', name)",
        "print('started')\nwhile True: pass",
        "print(name, 'is still known')",
    )
    lab.open("busy.ipynb")
    lab.run(0)
    box = lab.cell(0).locator(".jp-Stdin-input")
    box.wait_for()
    expect(lab.cell(0).locator(".jp-Stdin-prompt")).to_have_text("Your name?")
    lab.screenshot("input")
    box.fill("Ada")
    box.press("Enter")
    expect(lab.outputs(0).last).to_have_text("Hello, Ada")

    lab.run(1)
    expect(lab.outputs(1)).to_have_text("started")
    lab.press("Interrupt the kernel")
    expect(lab.outputs(1).last).to_contain_text("KeyboardInterrupt")
    lab.expect_done(1, 2)
    lab.screenshot("interrupted")

    lab.run(2)
    expect(lab.outputs(2)).to_have_text("Ada is still known")
