"""The report in a real browser: nothing fails, nothing is requested, every chart works."""

import base64
import json

import pytest
from support.browser import CHROMIUM, browser
from support.driven_runs import STUDY, drive, search_end

from raysearch.results import write_exports

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.slow,
]
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser") / "run"
    drive(folder, STUDY, lanes=3, most=9, outcome=search_end)
    drive(folder, STUDY, lanes=2, outcome=search_end)
    write_exports(folder, report=True)
    return folder / "report.html"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(chromium, report):
    chromium.open(report)
    yield chromium
    chromium.call("Emulation.clearDeviceMetricsOverride")
    chromium.call("Emulation.setEmulatedMedia", media="", features=[])


def colours(tab, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    tab.call("Emulation.setEmulatedMedia", features=features)


def charts(tab):
    return tab.evaluate("[...document.querySelectorAll('figure')].map(f => f.id)")


def test_nothing_fails_and_nothing_but_the_file_is_requested(tab, report):
    assert tab.of("Runtime.exceptionThrown") == []
    assert tab.of("Runtime.consoleAPICalled") == []
    assert tab.of("Log.entryAdded") == []
    urls = [event["request"]["url"] for event in tab.of("Network.requestWillBeSent")]
    assert [url for url in urls if not url.startswith("data:")] == [report.resolve().as_uri()]


OUTSIDE = """[...document.querySelectorAll('figure')].flatMap(figure => {
        const box = figure.querySelector('.drawing svg').getBoundingClientRect();
        return [...figure.querySelectorAll('.drawing :is(.mark, .line, .bar, text)')].filter(m => {
            const b = m.getBoundingClientRect();
            const drawn = b.width + b.height > 0;
            return !drawn || b.left < box.left - 1 || b.right > box.right + 1
                || b.top < box.top - 1 || b.bottom > box.bottom + 1;
        }).map(m => `${figure.id} ${m.getAttribute('class')} ${m.textContent}`);
    })"""
# Pairs of names of axes, or of values at an axis, that lie on each other: a letter is lower than
# its line.
OVERLAPS = """[...document.querySelectorAll('.drawing svg')].flatMap(svg =>
    ['text.name', 'text.tick:not(.halo)'].flatMap(kind => {
        const texts = [...svg.querySelectorAll(kind)].map(t => [t, t.getBoundingClientRect()]);
        return texts.flatMap(([a, x], i) => texts.slice(i + 1)
            .filter(([, y]) => x.left < y.right && y.left < x.right
                && Math.abs(x.top - y.top) < 0.7 * x.height)
            .map(([b]) => `${a.textContent} on ${b.textContent}`));
    }))"""
LONG = {
    "name": "a_study_with_a_name_that_is_longer_than_the_screen_of_a_phone",
    "tasks": ["own/feedback_of_the_second_quarter_with_all_languages"],
    "own": {
        "feedback_of_the_second_quarter_with_all_languages": {
            "train": "train.csv", "dev": "dev.csv", "text": "text", "label": "label"
        }
    },
    "model": "scratch",
    "space": {
        **{name: {"uniform": [0.1, 0.3]} for name in (
            "weight_decay", "attention_dropout", "classifier_dropout", "label_smoothing",
            "layerwise_decay",
        )},
        "LR": {"log": [1e-5, 1e-4]},
        "schedule": {"choice": ["linear", "constant", "polynomial"]},
    },
    "search": {"sampler": "random"},
}  # fmt: skip


@pytest.fixture(scope="module")
def hard_cases(tmp_path_factory):
    """Reports of one trial, and of many trials with long names."""
    folder, reports = tmp_path_factory.mktemp("hard"), []
    for trials in (1, 60):
        raw = {**LONG, "search": {**LONG["search"], "trials": trials}}
        drive(folder / str(trials), raw, outcome=search_end)
        write_exports(folder / str(trials), report=True)
        reports.append(folder / str(trials) / "report.html")
    return reports


def test_every_mark_has_a_place_in_its_drawing(tab):
    assert tab.evaluate(OUTSIDE) == []
    assert len(charts(tab)) > 14


@pytest.mark.parametrize("width", [1200, 390])
def test_long_names_and_one_trial_have_their_place_on_every_screen(chromium, hard_cases, width):
    chromium.call("Emulation.setDeviceMetricsOverride", **{**PHONE, "width": width})
    for report in hard_cases:
        chromium.open(report)
        assert chromium.evaluate(OUTSIDE) == []
        assert chromium.evaluate(OVERLAPS) == []
        assert chromium.evaluate("document.documentElement.scrollWidth") == width
    assert len(charts(chromium)) > 6
    chromium.call("Emulation.clearDeviceMetricsOverride")


def test_a_pointer_on_a_mark_shows_what_it_is(tab):
    for chart in charts(tab):
        place = tab.evaluate(f"""(() => {{
            const mark = document.querySelector('#{chart} .drawing :is(.mark, .line, .bar)');
            mark.scrollIntoView({{block: 'center'}});
            const point = mark.getPointAtLength(0).matrixTransform(mark.getScreenCTM());
            return [point.x, point.y];
        }})()""")
        # Scrolling hides the tip, and its event comes with the next frame.
        tab.call("Page.captureScreenshot", clip={"x": 0, "y": 0, "width": 1, "height": 1,
                                                "scale": 1})  # fmt: skip
        x, y = place
        tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 1, y=y)
        assert not tab.evaluate("document.querySelector('#tip').hidden"), chart
        assert len(tab.evaluate("document.querySelector('#tip').textContent")) > 5
        assert tab.evaluate("document.querySelectorAll('.hot').length") == 1
    tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    assert tab.evaluate("document.querySelector('#tip').hidden")


def test_arrow_keys_go_from_trial_to_trial(tab):
    tab.evaluate("document.querySelector('#glue-rte-history .drawing svg').focus()")
    tab.call("Page.captureScreenshot")

    def press(key):
        tab.call("Input.dispatchKeyEvent", type="keyDown", key=key)
        tab.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        return tab.evaluate("document.querySelector('#tip').textContent")

    assert press("ArrowRight") == "Best so far"  # lines lie below the marks
    assert press("ArrowRight").startswith("Trial 0, search, seed 1: ")
    assert press("ArrowDown").startswith("Trial 1, search, seed 1: ")
    assert press("ArrowLeft").startswith("Trial 0, search, seed 1: ")
    press("Escape")
    assert tab.evaluate("document.querySelector('#tip').hidden")


def test_a_phone_scrolls_the_page_down_only(tab):
    tab.call("Emulation.setDeviceMetricsOverride", **PHONE)
    tab.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert tab.evaluate("innerWidth") == 390
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    assert tab.evaluate("document.querySelector('#timeline .drawing').scrollWidth") > 390


CONTRAST = """(() => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const paper = light(getComputedStyle(document.body).backgroundColor);
    const found = {text: 99, graphic: 99};
    const note = (kind, colour) => {
        found[kind] = Math.min(found[kind], ratio(light(colour), paper));
    };
    for (const e of document.querySelectorAll('h1, h2, h3, p, a, th, td, dt, dd, li, summary, pre'))
        note('text', getComputedStyle(e).color);
    for (const e of document.querySelectorAll('svg text')) note('text', getComputedStyle(e).fill);
    for (const e of document.querySelectorAll('.mark:not(.dot), .line'))
        note('graphic', getComputedStyle(e).stroke);
    return JSON.stringify(found);
})()"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_marks_stand_out_from_the_paper(tab, scheme):
    colours(tab, scheme)
    is_dark = tab.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert is_dark == (scheme == "dark")
    found = json.loads(tab.evaluate(CONTRAST))
    assert found["text"] >= 4.5
    assert found["graphic"] >= 3


def test_a_printed_chart_fits_on_a_page(tab):
    colours(tab, "dark")  # paper is white in any case
    tab.call("Emulation.setEmulatedMedia", media="print", features=[])
    size = {"width": 690, "height": 980, "deviceScaleFactor": 1, "mobile": False}  # A4, margins
    tab.call("Emulation.setDeviceMetricsOverride", **size)
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
    boxes = tab.evaluate("""[...document.querySelectorAll('figure')].map(figure => {
        const box = figure.getBoundingClientRect();
        const drawing = figure.querySelector('.drawing svg').getBoundingClientRect();
        return [figure.id, box.height < 980, drawing.right <= innerWidth, drawing.height > 40];
    })""")
    assert [box for box in boxes if box[1:] != [True, True, True]] == []
    assert tab.evaluate("getComputedStyle(document.querySelector('details')).display") == "none"
    pdf = base64.b64decode(tab.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")


def test_without_scripts_the_charts_are_drawn_and_have_the_browser_s_own_tips(tab, report):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(report)
        titles = tab.evaluate("document.querySelectorAll('main svg title').length")
        marks = tab.evaluate("document.querySelectorAll('.drawing :is(.mark, .line, .bar)').length")
        assert titles == marks > 300
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
