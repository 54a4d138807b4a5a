"""Checks and measures the built site: resources of other hosts, links, titles, sizes.

Usage: python docs/site/built_site.py [HTML]

It reads the HTML and style sheets with the standard library alone.
"""

import gzip
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Attributes by which a browser loads something, by tag.
_LOADS = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
    "embed": "src", "object": "data", "image": "href", "use": "href",
}  # fmt: skip
_LOADING_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "preconnect", "manifest"}


@dataclass(kw_only=True)
class HtmlPage(HTMLParser):
    """What a page of HTML loads, links to and offers to link to.

    Attributes:
        resources: addresses that a browser loads for it.
        links: addresses that a reader may go to.
        ids: anchors.
        titles: number of first headings.
        pictures_without_text: addresses of pictures that have no alternative text.
        broken_lists: lines of lists that became part of a paragraph.
        has_viewport: whether it says that it fits narrow screens.
    """

    resources: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    titles: int = 0
    pictures_without_text: list[str] = field(default_factory=list)
    broken_lists: list[str] = field(default_factory=list)
    has_viewport: bool = False
    _in_paragraph: bool = False
    _in_code: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads, links to and names."""
        values = {name: value or "" for name, value in attrs}
        if "id" in values:
            self.ids.add(values["id"])
        if (address := values.get(_LOADS.get(tag, ""))) is not None:
            self.resources.append(address)
        elif tag == "link" and _LOADING_LINKS & set(values.get("rel", "").split()):
            self.resources.append(values["href"])
        elif tag == "a" and "href" in values:
            self.links.append(values["href"])
        self.titles += tag == "h1"
        self.has_viewport |= tag == "meta" and values.get("name") == "viewport"
        if tag == "img" and not values.get("alt"):
            self.pictures_without_text.append(values.get("src", ""))
        self._in_paragraph = tag == "p" or (self._in_paragraph and tag not in ("ul", "ol", "div"))
        self._in_code += tag in ("pre", "code")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a paragraph and of code."""
        self._in_paragraph &= tag != "p"
        self._in_code -= tag in ("pre", "code")

    def handle_data(self, data: str) -> None:
        """Look for list items that Markdown has not taken for such."""
        if self._in_paragraph and not self._in_code:
            self.broken_lists += re.findall(r"\n(?:[-*] |\d+\. ).*", data)


@dataclass(frozen=True, kw_only=True)
class PageSize:
    """What a browser loads for a page, by its HTML.

    Attributes:
        page: path in the site.
        requests: number of files.
        size: bytes of all of them.
        compressed: bytes as a server sends them, with gzip.
        html: bytes of the page alone, with gzip.
    """

    page: str
    requests: int
    size: int
    compressed: int
    html: int


def problems(folder: Path) -> list[str]:
    """Return everything in the built site that would not work, or that asks another host."""
    pages = read_pages(folder)
    return [
        *(
            text
            for path, page in pages.items()
            for text in _page_problems(folder, path, page, pages)
        ),
        *_style_problems(folder),
    ]


def read_pages(folder: Path) -> dict[Path, HtmlPage]:
    """Return the pages of a site by their paths."""
    pages = {}
    for path in sorted(folder.rglob("*.html")):
        pages[path] = HtmlPage()
        pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


def sizes(folder: Path) -> Iterator[PageSize]:
    """Yield what a browser loads for each page."""
    for path, page in read_pages(folder).items():
        names = dict.fromkeys(page.resources)
        files = {path, *(_target(folder, path, name) for name in names)}
        contents = [file.read_bytes() for file in files if file.is_file()]
        yield PageSize(
            page=path.relative_to(folder).as_posix(),
            requests=len(contents),
            size=sum(map(len, contents)),
            compressed=sum(len(gzip.compress(content)) for content in contents),
            html=len(gzip.compress(path.read_bytes())),
        )


def _page_problems(
    folder: Path, path: Path, page: HtmlPage, pages: dict[Path, HtmlPage]
) -> Iterator[str]:
    """Yield what is wrong with a page, with its path."""
    name = path.relative_to(folder).as_posix()
    for address in page.resources:
        if urlsplit(address).netloc:
            yield f"{name}: loads {address} from another host"
        elif not address.startswith("data:") and not _target(folder, path, address).is_file():
            yield f"{name}: loads {address}, which is not there"
    for address in page.links:
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target, anchor = _target(folder, path, address), unquote(parts.fragment)
        if not target.is_file():
            yield f"{name}: link to {address}, which is not there"
        elif anchor and target in pages and anchor not in pages[target].ids:
            yield f"{name}: link to {address}, which has no such heading"
    if page.titles != 1 and name != "404.html":
        yield f"{name}: {page.titles} first headings"
    if not page.has_viewport:
        yield f"{name}: no viewport for narrow screens"
    yield from (f"{name}: picture {source} without text" for source in page.pictures_without_text)
    yield from (
        f"{name}: no list, as no line is empty before: {line.strip()}" for line in page.broken_lists
    )


def _style_problems(folder: Path) -> Iterator[str]:
    """Yield the addresses of other hosts in style sheets."""
    for path in sorted(folder.rglob("*.css")):
        for address in re.findall(
            r"url\([\"']?([^)\"']+)|@import\s+[\"']([^\"']+)", path.read_text()
        ):
            if urlsplit("".join(address)).netloc:
                yield f"{path.relative_to(folder)}: loads {''.join(address)} from another host"


def _target(folder: Path, page: Path, address: str) -> Path:
    """Return the file that an address of a page means."""
    path = unquote(urlsplit(address).path)
    if not path:
        return page
    target = folder / path.lstrip("/") if path.startswith("/") else page.parent / path
    target = target.resolve()
    return target / "index.html" if target.is_dir() else target


def main() -> int:
    """Print the problems of a site and the sizes of its pages; return the exit code."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "build/site/html").resolve()
    if not folder.is_dir():
        print(f"{folder} is not there: `make docs` builds it", file=sys.stderr)
        return 2
    texts = problems(folder)
    print(*texts, sep="\n", end="\n" if texts else "")
    print("page                             files      kB  gzip kB  page alone")
    for size in sizes(folder):
        print(
            f"{size.page:32} {size.requests:5} {size.size / 1000:7.0f}"
            f" {size.compressed / 1000:8.0f} {size.html / 1000:11.1f}"
        )
    return 1 if texts else 0


if __name__ == "__main__":
    sys.exit(main())
