"""The report of a real run, opened in a real browser that can reach nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium")


@pytest.fixture(scope="module")
def opened(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Image.Image]:
    """The page's DOM after loading, and its picture, 1280 pixels wide."""
    folder = tmp_path_factory.mktemp("browser")
    page = finished / "runs/smoke/report.html"
    shown = [
        str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
        "--window-size=1280,2400",
    ]  # fmt: skip
    dom = subprocess.run(
        [*shown, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120
    )
    subprocess.run(
        [*shown, f"--screenshot={folder / 'page.png'}", page.as_uri()],
        capture_output=True,
        timeout=120,
    )
    return dom.stdout, Image.open(folder / "page.png").convert("RGB")


def test_the_page_answers_and_shows_its_four_figures(opened: tuple[str, Image.Image]) -> None:
    dom, _ = opened

    assert "of the teacher's accuracy" in dom or "of the teacher&#39;s accuracy" in dom
    assert dom.count("<svg") >= 4
    assert "not measured" in dom


def test_the_page_loads_nothing(finished: Path) -> None:
    text = (finished / "runs/smoke/report.html").read_text()

    assert "<script" not in text
    outside = (' src="http', ' href="http', "@import", "url(http")
    assert not [word for word in outside if word in text]


def test_the_picture_has_plots_in_colour_and_is_not_blank(opened: tuple[str, Image.Image]) -> None:
    _, picture = opened

    pixels = np.asarray(picture.resize((320, 600))).astype(int)
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 80

    assert coloured.sum() > 500, "figures and similarity graphs are coloured"
