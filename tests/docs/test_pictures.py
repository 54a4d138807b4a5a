"""The pictures of the pages: each is shown by a page, described, and drawn by the script."""

import importlib.util
from collections import Counter
from types import ModuleType

import markdown_pages
import pytest
from support.paths import ROOT

FOLDER = ROOT / "docs" / "pictures"
MOST = 1_500_000  # bytes of all


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script, as a module."""
    pytest.importorskip("PIL", reason="pillow is not installed")
    specification = importlib.util.spec_from_file_location("pictures", ROOT / "docs/pictures.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_script_draws_every_picture_and_a_page_shows_it(script: ModuleType) -> None:
    files = {path.name for path in FOLDER.iterdir()}
    assert files == set(script.PICTURES)
    shown = {
        (page.parent / link.target).resolve()
        for page in markdown_pages.pages_under(ROOT)
        for link in markdown_pages.links(page.read_text(encoding="utf-8"))
        if not link.is_external
    }
    assert files == {path.name for path in shown if path.parent == FOLDER}


def test_the_pictures_are_small_and_load_nothing() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST
    for path in FOLDER.glob("*.svg"):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "raysearch run quickstart" in text.replace("&#160;", " ")
        assert "url(http" not in text
        assert "@font-face" not in text


def test_a_live_panel_that_was_drawn_again_is_there_once(script: ModuleType) -> None:
    up = "\r\x1b[2K\x1b[1A\x1b[2K"
    output = f"\x1b[?25l\r\npanel 1\r\nfoot\x1b[0m{up}{up}one \x1b[32mended\x1b[0m\r\n"
    output += "\r\npanel 2\r\nfoot\r\n\x1b[?25h"
    lines = script.screen_lines(output)
    assert lines == ["one \x1b[32mended\x1b[0m", "", "panel 2", "foot", ""]


def test_the_made_up_task_is_the_same_each_time(script: ModuleType) -> None:
    rows = script.polarity_rows(400, seed=1)
    assert rows == script.polarity_rows(400, seed=1) != script.polarity_rows(400, seed=2)
    assert len({text for text, _ in rows}) == 400
    praised = [
        sum(word in script.WORDS["praise"].split() for word in text.split()) for text, _ in rows
    ]
    right = [(label == "praise") == (n >= 2) for (_, label), n in zip(rows, praised, strict=True)]
    assert set(praised) == {1, 2}
    assert 0.9 < sum(right) / len(rows) < 0.98


def test_the_row_of_the_larger_class_is_what_dev_has(script: ModuleType) -> None:
    dev = script.polarity_rows(script.TRAIN + script.DEV, seed=1)[script.TRAIN :]
    larger = max(Counter(label for _, label in dev).values())
    (row,) = script.TWO_TASKS["published"]
    assert row["results"]["own/polarity"]["scores"] == {"accuracy": 100 * larger / script.DEV}
