"""Checks the Markdown pages of the project: links, anchors, pictures, banned words.

Usage: python docs/site/check_pages.py [ROOT]

Nothing is fetched, and no package is needed. `make lint` runs it. Each problem is a line with file
and line number; the exit code is 1 if there is any.
"""

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import markdown_pages

WORDS = Path(__file__).with_name("banned_words.txt")
_UNDESCRIBED = re.compile(r"!\[\s*\][(\[]|<img\b(?![^>]*\balt=\"[^\"]*\w)")
# Link targets, addresses and quoted text: titles of papers and messages are not ours to reword.
_NOT_PROSE = re.compile(r"\]\([^)]*\)|<[^>]+>|https?://\S+|\"[^\"\n]*\"|“[^”\n]*”")


def main() -> int:
    """Print every problem of the pages under the root and return the exit code."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    pages = markdown_pages.pages_under(root)
    problems = [problem for page in pages for problem in check_page(page, root)]
    print(*problems, sep="\n", end="\n" if problems else "")
    print(f"{len(pages)} pages, {len(problems)} problems in links, anchors, pictures and words")
    return 1 if problems else 0


def check_page(page: Path, root: Path) -> list[str]:
    """Return the problems of a page in the order of its lines, as FILE:LINE: TEXT."""
    text = page.read_text(encoding="utf-8")
    problems = [*link_problems(page, text, root), *picture_problems(text), *word_problems(text)]
    problems.sort()
    name = page.relative_to(root).as_posix()
    return [
        f"{name}:{markdown_pages.line_of(text, start)}: {problem}" for start, problem in problems
    ]


def link_problems(page: Path, text: str, root: Path) -> Iterator[tuple[int, str]]:
    """Yield the links that lead nowhere: the place in the text, and what is wrong.

    Args:
        page: the file.
        text: its content.
        root: the project's folder, which no link may leave.
    """
    for link in markdown_pages.links(text):
        if link.is_external:
            continue
        name, _, anchor = link.target.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.is_relative_to(root):
            yield link.start, f"link {link.target} leaves the project"
        elif not target.exists():
            yield link.start, f"link {link.target} leads to no file"
        elif anchor and target.suffix == ".md" and anchor not in _anchors(target):
            yield link.start, f"link {link.target}: the page has no heading #{anchor}"


def picture_problems(text: str) -> Iterator[tuple[int, str]]:
    """Yield the pictures without a text for those who do not see them: their place, and that."""
    for match in _UNDESCRIBED.finditer(markdown_pages.without_code(text)):
        yield match.start(), "a picture without a text that describes it"


def word_problems(text: str) -> Iterator[tuple[int, str]]:
    """Yield the banned words of a page's prose: their place, and what to write instead."""
    prose = markdown_pages.without_code(text)
    prose = _NOT_PROSE.sub(lambda match: " " * len(match[0]), prose)
    pattern, instead = banned_words()
    for match in pattern.finditer(prose):
        word = re.sub(r"\s+", " ", match[0].lower())
        yield match.start(), f"'{match[0]}': {instead[word]}"


@cache
def banned_words() -> tuple[re.Pattern[str], dict[str, str]]:
    """Return a pattern of all banned words, and word -> what to write instead."""
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    rows = [line.split(" -> ") for line in lines if line.strip() and not line.startswith("#")]
    instead = {word.lower(): advice for word, advice in rows}
    longest_first = sorted(instead, key=len, reverse=True)
    words = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in longest_first)
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", flags=re.IGNORECASE), instead


@cache
def _anchors(page: Path) -> set[str]:
    return markdown_pages.anchors(page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    sys.exit(main())
