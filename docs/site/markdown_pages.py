"""What a Markdown page holds: prose without code, headings with their anchors, links.

It is apart from the checks because the site's builder reads links too. It needs no package, so that
the quick workflow can run the checks without an installation.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^ {0,3}(?:> ?)?(`{3,}|~{3,})")
_CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")
_COMMENT = re.compile(r"<!--.*?-->", flags=re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
_DEFINITION = re.compile(r"^ {0,3}\[[^\]]+\]:\s+<?([^\s>]+)>?", flags=re.MULTILINE)
_ATTRIBUTE = re.compile(r"<(?:a|img|source)\b[^>]*?\b(?:href|src|srcset)=\"([^\"]+)\"")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$", flags=re.MULTILINE)
_ANCHOR = re.compile(r"<[^>]*\b(?:id|name)=\"([^\"]+)\"")
_SKIPPED = {"node_modules", "build", "dist", "runs"}


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link of a page.

    Attributes:
        target: what stands between the parentheses, without a title.
        start: the index of its first character in the page's text.
    """

    target: str
    start: int

    @property
    def is_external(self) -> bool:
        """True of an address with a scheme, such as https: or mailto:."""
        return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", self.target) is not None


def pages_under(root: Path) -> list[Path]:
    """Return the Markdown files of a project, sorted.

    Folders that begin with a dot, virtual environments and what is built or run are left out.
    """
    pages = []
    for folder, folders, files in os.walk(root):
        if "pyvenv.cfg" in files:
            folders.clear()
            continue
        folders[:] = [name for name in folders if name[0] != "." and name not in _SKIPPED]
        pages += [Path(folder, name) for name in files if name.endswith(".md")]
    return sorted(pages)


def without_fences(text: str) -> str:
    """Return a page whose fenced code and comments are blanks; every line keeps its place."""
    lines, fence = [], ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if fence:
            is_end = match is not None and match[1].startswith(fence)
            fence = "" if is_end and line.strip(" >") == match[1] else fence
            lines.append(" " * len(line))
        elif match:
            fence = match[1]
            lines.append(" " * len(line))
        else:
            lines.append(line)
    return _COMMENT.sub(lambda match: _blank(match[0]), "\n".join(lines))


def without_code(text: str) -> str:
    """Return a page whose code, in blocks and in lines, is blanks; nothing moves."""
    return _CODE.sub(lambda match: _blank(match[0]), without_fences(text))


def links(text: str) -> Iterator[Link]:
    """Yield the links and pictures of a page, code left out."""
    prose = without_code(text)
    for pattern in (_LINK, _DEFINITION, _ATTRIBUTE):
        for match in pattern.finditer(prose):
            yield Link(target=match[1], start=match.start(1))


def headings(text: str) -> list[tuple[int, str]]:
    """Return the headings of a page: level and text."""
    return [(len(match[1]), match[2]) for match in _HEADING.finditer(without_fences(text))]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page, as GitHub makes them of headings, and those written as HTML."""
    counts: Counter[str] = Counter()
    names = set(_ANCHOR.findall(without_code(text)))
    for _, title in headings(text):
        name = slug(title)
        names.add(f"{name}-{counts[name]}" if counts[name] else name)
        counts[name] += 1
    return names


def slug(title: str) -> str:
    """Return GitHub's anchor of a heading."""
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)|<[^>]*>", r"\1", title).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def line_of(text: str, start: int) -> int:
    """Return the number of the line that holds a character, from 1."""
    return text.count("\n", 0, start) + 1


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
