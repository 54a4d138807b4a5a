"""The checks of the built HTML, on pages made by hand."""

from pathlib import Path

import built_site
import pytest

HEAD = (
    '<html><head><meta name="viewport" content="width=device-width"></head><body><h1 id="a">A</h1>'
)


def problems_of(folder: Path, body: str) -> list[str]:
    """Return the problems of a site of two pages, of which one has this body."""
    (folder / "other.html").write_text(HEAD)
    (folder / "picture.png").write_bytes(b"picture")
    (folder / "page.html").write_text(HEAD + body)
    return built_site.problems(folder)


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<script src="https://cdn.invalid/a.js"></script>', "loads https://cdn.invalid/a.js from"),
        ('<link rel="stylesheet" href="//cdn.invalid/a.css">', "loads //cdn.invalid/a.css from"),
        ('<link rel="preconnect" href="https://cdn.invalid">', "loads https://cdn.invalid from"),
        ('<img src="https://cdn.invalid/a.png" alt="a">', "loads https://cdn.invalid/a.png from"),
        ('<script src="missing.js"></script>', "loads missing.js, which is not there"),
        ('<a href="missing.html">a</a>', "link to missing.html, which is not there"),
        ('<a href="other.html#b">a</a>', "link to other.html#b, which has no such heading"),
        ('<img src="picture.png">', "picture picture.png without text"),
        ("<h1>B</h1>", "2 first headings"),
        ("<p>These:\n- one\n- two</p>", "no list, as no line is empty before: - one"),
    ],
)
def test_what_would_not_work_is_told_with_its_page(tmp_path: Path, body: str, problem: str) -> None:
    problems = problems_of(tmp_path, body)
    assert problems[0].startswith(f"page.html: {problem}")


def test_what_works_is_no_problem(tmp_path: Path) -> None:
    body = (
        '<a href="other.html#a">a</a><a href="https://elsewhere.invalid">b</a>'
        '<img src="picture.png" alt="a"><ul><li>one</li></ul><p><code>\n- one</code></p>'
    )
    assert problems_of(tmp_path, body) == []


def test_a_page_that_does_not_fit_narrow_screens_is_told(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<h1>A</h1>")
    assert built_site.problems(tmp_path) == ["page.html: no viewport for narrow screens"]


def test_a_style_sheet_that_loads_from_another_host_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text('@import "https://fonts.invalid/a.css"; b{}')
    assert built_site.problems(tmp_path) == [
        "a.css: loads https://fonts.invalid/a.css from another host"
    ]


def test_the_size_of_a_page_is_that_of_all_that_it_loads(tmp_path: Path) -> None:
    body = '<img src="picture.png" alt="a"><img src="picture.png" alt="b">'
    assert problems_of(tmp_path, body) == []
    size = next(size for size in built_site.sizes(tmp_path) if size.page == "page.html")
    assert size.requests == 2
    assert size.size == len(HEAD + body) + len(b"picture")
