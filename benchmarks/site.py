"""Pages in a real browser: size, requests, errors, contrast, narrow screens; and the site's search.

    python benchmarks/site.py [build/site/html]
    python benchmarks/site.py runs/quickstart/report.html

Chromium opens each page from a server on this machine, wide and as on a phone, in light and dark
colors. What is counted is what Lighthouse counts: files and bytes (with gzip, as servers send
them), requests to other hosts, errors, texts whose contrast is below WCAG 2.1 AA (4.5, large texts
3), links and buttons without a name, pictures without text, and pages wider than the screen. The
exit code is 1 if anything but a size or a time is not 0.
"""

import argparse
import gzip
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))
from support.browser import CHROMIUM, browser  # noqa: E402

SCREENS = {"wide": (1280, 900), "phone": (390, 844)}
SCHEMES = ("light", "dark")
SETTLE = 0.5  # seconds after loading, in which scripts draw diagrams and menus fade
SIZES = ("files", "kB", "gzip kB", "load ms")
FAULTS = ("other hosts", "errors", "contrast", "unnamed", "wide")

# Texts whose contrast is too low, by the luminance of WCAG; colors are read by drawing them.
CONTRAST = """(() => {
  const context = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const cache = {};
  const rgba = color => cache[color] ??= (() => {
    context.clearRect(0, 0, 1, 1); context.fillStyle = color; context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  })();
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = color => color.map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const chain = element => element ? [element, ...chain(element.parentElement)] : [];
  const background = element => chain(element).reverse().reduce((below, e) =>
    over(rgba(getComputedStyle(e).backgroundColor), below), [255, 255, 255]);
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), low = [];
  for (let node; node = walker.nextNode();) {
    const element = node.parentElement, style = getComputedStyle(element);
    if (!node.data.trim() || element.closest('script, style, noscript, title, desc')) continue;
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const range = document.createRange(); range.selectNodeContents(node);
    if (![...range.getClientRects()].some(box => box.width > 1 && box.height > 1)) continue;
    const back = background(element), svg = element instanceof SVGElement;
    const opacity = chain(element).reduce((product, e) => product * getComputedStyle(e).opacity, 1);
    const ink = rgba(svg ? style.fill : style.color);
    const front = over([...ink.slice(0, 3), ink[3] * opacity], back);
    const [a, b] = [light(front), light(back)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (style.fontWeight >= 700 && size >= 18.66);
    if (ratio < (large ? 3 : 4.5) - 0.005)
      low.push(`${ratio.toFixed(2)} ${element.className} ${node.data.trim().slice(0, 40)}`);
  }
  return low;
})()"""
UNNAMED = """[...document.querySelectorAll('a[href], button, img, input:not([type=hidden])')]
  .filter(e => e.checkVisibility({visibilityProperty: true}) && !e.closest('[aria-hidden=true]'))
  .filter(e => !(e.innerText || e.alt || e.title || e.ariaLabel || e.placeholder
    || (e.labels && e.labels.length) || e.querySelector?.('title, img[alt], [aria-label]')))
  .map(e => e.outerHTML.slice(0, 90))"""
LOAD = "Math.round(performance.getEntriesByType('navigation')[0].loadEventEnd)"
# The search draws its results in a shadow tree.
RESULTS = """[...document.querySelectorAll('*')].map(e => e.shadowRoot).filter(Boolean)
  .flatMap(root => [...root.querySelectorAll('a[href]')].map(a => a.href))"""


def main() -> int:
    """Measure the pages and return the exit code."""
    parser = argparse.ArgumentParser(description="Measure pages in Chromium.")
    parser.add_argument("place", type=Path, nargs="?", default=Path("build/site/html"))
    parser.add_argument("--search", default="degenerate", help="a word to search the site for")
    options = parser.parse_args()
    if CHROMIUM is None:
        parser.error("chromium is not installed")
    if not options.place.exists():
        parser.error(f"{options.place} is not there")
    is_site = options.place.is_dir()
    folder = options.place if is_site else options.place.parent
    pages = sorted(folder.rglob("*.html")) if is_site else [options.place]
    # Chromium's last processes may still write into the profile.
    profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with profile, served(folder) as address, browser(profile.name) as tab:
        tab.call("Network.setCacheDisabled", cacheDisabled=True)
        problems = print_figures(tab, folder, pages, address)
        if is_site:
            hits = search(tab, f"{address}/index.html", options.search)
            print(f"search for {options.search!r}: {len(hits)} hits, the first {hits[:1]}")
            problems += [] if hits else ["the search finds nothing"]
    print(*dict.fromkeys(problems), sep="\n")
    return 1 if problems else 0


def print_figures(tab: Any, folder: Path, pages: list[Path], address: str) -> list[str]:
    """Print a line of figures for each page; return what is wrong with them."""
    print(f"{'page':30} {'  '.join((*SIZES, *FAULTS))}")
    problems = []
    for page in pages:
        name = page.relative_to(folder).as_posix()
        figures, texts = measure(tab, folder, f"{address}/{name}")
        cells = "  ".join(f"{figures[column]:{len(column)}}" for column in (*SIZES, *FAULTS))
        print(f"{name:30} {cells}", flush=True)
        problems += [f"{name}: {text}" for text in texts]
    return problems


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine and yield its address."""

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def open_page(tab: Any, address: str) -> None:
    """Open a page and wait until it is loaded and its scripts have drawn it."""
    tab.events.clear()
    tab.call("Page.navigate", url=address)
    while not tab.of("Page.loadEventFired"):
        tab.evaluate("0")
        time.sleep(0.02)
    time.sleep(SETTLE)
    tab.evaluate("0")  # takes in what was told meanwhile


def measure(tab: Any, folder: Path, address: str) -> tuple[dict[str, int], list[str]]:
    """Return a page's figures by column, the worst of all screens and schemes, and its problems."""
    figures = dict.fromkeys((*SIZES, *FAULTS), 0)
    problems = []
    for scheme in SCHEMES:
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        tab.call("Emulation.setEmulatedMedia", features=features)
        for screen, (width, height) in SCREENS.items():
            shape = {"width": width, "height": height, "deviceScaleFactor": 1}
            tab.call("Emulation.setDeviceMetricsOverride", mobile=screen == "phone", **shape)
            open_page(tab, address)
            contents = [file.read_bytes() for file in requested(tab, folder)]
            sizes = {
                "files": len(contents),
                "kB": round(sum(map(len, contents)) / 1000),
                "gzip kB": round(sum(len(gzip.compress(content)) for content in contents) / 1000),
                "load ms": tab.evaluate(LOAD),
            }
            texts = dict(faults(tab, address, width))
            figures = {
                name: max(old, sizes[name] if name in sizes else len(texts[name]))
                for name, old in figures.items()
            }
            problems += [f"{name}, {screen}, {scheme}: {t}" for name in texts for t in texts[name]]
    return figures, problems


def faults(tab: Any, address: str, width: int) -> Iterator[tuple[str, list[str]]]:
    """Yield each column that should be 0, and what is wrong."""
    urls = [event["request"]["url"] for event in tab.of("Network.requestWillBeSent")]
    own = ("", urlsplit(address).netloc)
    yield "other hosts", [url for url in urls if urlsplit(url).netloc not in own]
    events = [*tab.of("Runtime.exceptionThrown"), *tab.of("Log.entryAdded")]
    yield "errors", [str(event)[:300] for event in events]
    yield "contrast", tab.evaluate(CONTRAST)
    yield "unnamed", tab.evaluate(UNNAMED)
    broad = tab.evaluate("document.documentElement.scrollWidth")
    yield "wide", [f"{broad} pixels on {width}"] if broad > width else []


def requested(tab: Any, folder: Path) -> list[Path]:
    """Return the files that the page has loaded."""
    urls = [event["request"]["url"] for event in tab.of("Network.requestWillBeSent")]
    paths = dict.fromkeys(unquote(urlsplit(url).path).lstrip("/") for url in urls)
    return [folder / path for path in paths if path and (folder / path).is_file()]


def search(tab: Any, address: str, word: str) -> list[str]:
    """Return the addresses that the site's search finds for a word, typed as by a reader."""
    open_page(tab, address)
    tab.evaluate("document.querySelector('.md-search__button').click()")
    time.sleep(2 * SETTLE)
    tab.call("Input.insertText", text=word)
    time.sleep(4 * SETTLE)
    results: list[str] = tab.evaluate(RESULTS)
    return results


if __name__ == "__main__":
    sys.exit(main())
