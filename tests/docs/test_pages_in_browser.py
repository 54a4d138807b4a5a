"""What `benchmarks/site.py` tells of a page, in a real browser, on pages made by hand."""

import importlib.util
from pathlib import Path

import pytest
from support.browser import CHROMIUM, browser
from support.paths import ROOT

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.slow,
]
HEAD = (
    '<html lang="en"><meta name="viewport" content="width=device-width">'
    '<link rel="icon" href="data:,"><body><h1>A</h1>'
)
FAULTLESS = "<p>dark on white</p><svg><text y='20' fill='#333'>drawn</text></svg><a href='#a'>b</a>"


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory):
    """A function that returns the figures of a page with this body."""
    spec = importlib.util.spec_from_file_location("site_figures", ROOT / "benchmarks" / "site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.SETTLE = 0.1
    folder: Path = tmp_path_factory.mktemp("pages")

    def figures_of(body: str) -> dict[str, int]:
        page = folder / f"{len(list(folder.iterdir()))}.html"  # of its own: browsers keep pages
        page.write_text(HEAD + body)
        return module.measure(tab, folder, f"{address}/{page.name}")[0]

    with (
        module.served(folder) as address,
        browser(tmp_path_factory.mktemp("profile")) as tab,
    ):
        yield figures_of


def test_a_page_without_faults_has_none(measure) -> None:
    figures = measure(FAULTLESS)
    assert figures["files"] == 1
    assert figures["kB"] == 0  # below half of one
    assert not any(figures[name] for name in ("errors", "contrast", "unnamed", "wide"))


@pytest.mark.parametrize(
    ("column", "body"),
    [
        ("contrast", "<p style='color: #999'>grey</p>"),
        ("contrast", "<p style='opacity: 0.4'>pale</p>"),
        ("contrast", "<p style='background: #222'>dark on dark</p>"),
        ("contrast", "<svg><text y='20' fill='#aaa'>drawn</text></svg>"),
        (
            "contrast",
            "<style>@media (prefers-color-scheme: dark) {p {color: #888}}</style><p>a</p>",
        ),
        ("unnamed", "<button></button>"),
        ("unnamed", "<a href='#a'><svg></svg></a>"),
        ("wide", "<div style='width: 500px'>a</div>"),
        ("errors", "<script>throw Error('no')</script>"),
        ("other hosts", "<img alt='a' src='http://nowhere.invalid/a.png'>"),
    ],
)
def test_a_fault_is_counted_in_its_column(measure, column: str, body: str) -> None:
    assert measure(body)[column] == 1
