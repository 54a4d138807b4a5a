"""The checks of Markdown pages in `make lint`: links, anchors, pictures and banned words."""

import re
import subprocess
import sys
from pathlib import Path

import check_pages
import markdown_pages
import pytest
from support.paths import ROOT

SCRIPT = ROOT / "docs" / "site" / "check_pages.py"


def problems_of(folder: Path, text: str, name: str = "page.md") -> list[str]:
    """Return the problems of a page with this text."""
    page = folder / name
    page.write_text(text, encoding="utf-8")
    return check_pages.check_page(page, folder)


def test_the_pages_of_the_project_have_no_problems() -> None:
    pages = markdown_pages.pages_under(ROOT)
    assert ROOT / "docs" / "index.md" in pages
    assert ROOT / "benchmarks" / "RESULTS.md" in pages
    assert not [problem for page in pages for problem in check_pages.check_page(page, ROOT)]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n[a](missing.md)", "page.md:2: link missing.md leads to no file"),
        ("![a](missing.png)", "page.md:1: link missing.png leads to no file"),
        ("[a]: missing.md", "page.md:1: link missing.md leads to no file"),
        ('<img src="missing.png" alt="a">', "page.md:1: link missing.png leads to no file"),
        ("[a](other.md#none)", "page.md:1: link other.md#none: the page has no heading #none"),
        ("# A\n\n[a](#b)", "page.md:3: link #b: the page has no heading #b"),
        ("[a](../outside.md)", "page.md:1: link ../outside.md leaves the project"),
        ('[a](missing.md "title")', "page.md:1: link missing.md leads to no file"),
    ],
)
def test_a_link_that_leads_nowhere_is_told_with_its_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    (tmp_path / "other.md").write_text("# Other\n")
    assert problems_of(tmp_path, text) == [problem]


@pytest.mark.parametrize(
    "text",
    ["![](a.png)", "![ ](a.png)", '<img src="a.png">', '<img src="a.png" alt="" width="9">'],
)
def test_a_picture_needs_a_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    problem = "page.md:2: a picture without a text that describes it"
    assert problems_of(tmp_path, f"\n{text}") == [problem]
    described = text.replace('alt="" ', "").replace("<img", '<img alt="A run"')
    described = re.sub(r"!\[ *\]", "![A run]", described)
    assert problems_of(tmp_path, f"{described} `![](a.png)`") == []


@pytest.mark.parametrize(
    "text",
    [
        "[a](other.md)",
        "[a](other.md#why-it-works-in-10-s)",
        "[a](other.md#twice-1)",
        "[a](other.md#by-hand)",
        "[a](folder/)",
        "[a](https://nowhere.invalid/missing.md)",
        "[a](mailto:a@nowhere.invalid)",
        "`[a](missing.md)`",
        "```\n[a](missing.md)\n```",
        "~~~md\n```\n[a](missing.md)\n~~~",
        "<!-- [a](missing.md) -->",
        "# A `code` & *more*\n\n[a](#a-code--more)",
    ],
)
def test_links_that_lead_somewhere_and_code_are_no_problems(tmp_path: Path, text: str) -> None:
    (tmp_path / "folder").mkdir()
    other = '# Why it works, in 10 s!\n\n## Twice\n\n## Twice\n\n<a id="by-hand"></a>\n'
    (tmp_path / "other.md").write_text(other)
    assert problems_of(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("First.\n\nIt is simply so.", "page.md:3: 'simply': leave it out"),
        ("Utilize it.", "page.md:1: 'Utilize': use"),
        ("The behaviour of it.", "page.md:1: 'behaviour': behavior"),
        ("We do it in\norder to win.", "page.md:1: 'in\norder to': to"),
        ("| a | very |", "page.md:1: 'very': leave it out, or give the number"),
    ],
)
def test_a_banned_word_is_told_with_its_line_and_a_better_one(
    tmp_path: Path, text: str, problem: str
) -> None:
    assert problems_of(tmp_path, text) == [problem]


@pytest.mark.parametrize(
    "text",
    [
        "`very` is a flag.",
        "```\nsimply\n```",
        "    $ run --very",
        "[a](other.md)",
        'The paper "Simply the best" by Turner.',
        "https://nowhere.invalid/simply",
        "every verify",
        "a very-long-option",
    ],
)
def test_code_quotations_addresses_and_longer_words_are_not_prose(
    tmp_path: Path, text: str
) -> None:
    (tmp_path / "other.md").write_text("# Other\n")
    assert problems_of(tmp_path, text) == []


def test_every_banned_word_has_advice_and_stands_once() -> None:
    lines = check_pages.WORDS.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line and not line.startswith("#")]
    assert all(len(row.split(" -> ")) == 2 for row in rows)
    words = [row.split(" -> ")[0].lower() for row in rows]
    assert len(words) == len(set(words)) == len(check_pages.banned_words()[1])


def test_environments_and_what_is_built_are_left_out(tmp_path: Path) -> None:
    for folder in (".hidden", "build", "node_modules", "environment", "docs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.md").write_text("# Page\n")
    (tmp_path / "environment" / "pyvenv.cfg").touch()
    assert markdown_pages.pages_under(tmp_path) == [tmp_path / "docs" / "page.md"]


def test_the_command_ends_with_1_where_there_is_a_problem(tmp_path: Path) -> None:
    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-S", str(SCRIPT), str(tmp_path)]  # -S: without packages
        return subprocess.run(command, capture_output=True, text=True, check=False)

    (tmp_path / "page.md").write_text("# Page\n")
    assert run().returncode == 0
    (tmp_path / "page.md").write_text("[a](missing.md)\n")
    result = run()
    assert result.returncode == 1
    assert result.stdout.splitlines()[0] == "page.md:1: link missing.md leads to no file"
