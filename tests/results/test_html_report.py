"""The report of a run: what its page says, compared with the journal, and that it is whole HTML."""

import json
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from support.driven_runs import NAME, PANX, RTE, STUDY, drive, search_end
from support.run_folders import Script, write_study
from typer.testing import CliRunner

from raysearch.cli.commands import app
from raysearch.errors import InputError
from raysearch.results import analysis, html_report, write_exports
from raysearch.results.export import read_run
from raysearch.results.html_report.axes import linear, listed, logarithmic
from raysearch.results.html_report.chart import Chart, figure, svg
from raysearch.results.html_report.elements import write_elements
from raysearch.results.html_report.lanes import idle_share, session_lanes
from raysearch.results.html_report.result_table import result_table
from raysearch.results.leaderboard import leaderboard
from raysearch.run_folder import JOURNAL_NAME, Journal, read_journal

VOID = {"meta", "link", "br", "hr", "img", "input", "wbr"}


class Page(HTMLParser):
    """A page as (tag, attributes, ids around it) and its texts; it checks the nesting."""

    def __init__(self, text):
        super().__init__()
        self.stack, self.elements, self.texts = [], [], []
        self.feed(text)
        assert not self.stack

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        around = [a["id"] for _, a in self.stack if "id" in a]
        self.elements.append((tag, attributes, around))
        if tag not in VOID:
            self.stack.append((tag, attributes))

    def handle_endtag(self, tag):
        assert self.stack.pop()[0] == tag

    def handle_data(self, data):
        self.texts.append((self.stack[-1][0] if self.stack else "", data))

    def count(self, tag, kind, inside):
        """How many elements of a class stand in a chart and in its legend."""
        return sum(
            element == tag and kind in attributes.get("class", "").split() and inside in around
            for element, attributes, around in self.elements
        )

    def text_of(self, tag):
        return [text for inside, text in self.texts if inside == tag]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of two tasks on three lanes, stopped once and resumed on two; its report."""
    folder = tmp_path_factory.mktemp("report") / "run"
    drive(folder, STUDY, lanes=3, most=9, outcome=search_end)
    drive(folder, STUDY, lanes=2, outcome=search_end)
    write_exports(folder, report=True)
    return folder


@pytest.fixture(scope="module")
def page(run):
    return Page((run / "report.html").read_text())


@pytest.mark.slow
def test_texts_of_files_are_texts_and_never_tags(run, page):
    tags = [tag for tag, _, _ in page.elements]
    assert tags.count("script") == 1
    assert page.text_of("h1") == [NAME]
    assert 'RuntimeError: </pre><script>alert("x")</script> & more' in page.text_of("pre")
    assert "b" not in tags
    assert any("<b>BERT</b>" in text for _, text in page.texts)


def test_the_page_loads_nothing(page):
    for tag, attributes, _ in page.elements:
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#") or attributes["href"] == "data:,", tag
    text = "".join(text for tag, text in page.texts if tag in ("style", "script"))
    assert not re.search(r"url\(|@import|https?:|fetch\(|XMLHttp|import\(", text)


def test_every_reference_leads_somewhere_and_headings_go_down_by_one(page):
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    for _, attributes, _ in page.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert attributes.get(name, ids[0]) in ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 == levels.count(1)
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert [t for t, _, _ in page.elements if t in ("header", "nav", "main", "footer")] == [
        "header", "nav", "main", "footer",
    ]  # fmt: skip


def test_every_chart_has_a_title_words_and_its_data(page):
    charts = [a["id"] for tag, a, _ in page.elements if tag == "figure"]
    assert [c for c in charts if c.startswith("glue-rte")] == [
        f"glue-rte-{name}"
        for name in ("seeds", "history", "curves", "loss", "parallel", "expected-trials",
                     "expected-hours")
    ]  # fmt: skip
    assert "xtreme-panx-languages" in charts
    assert charts[-1] == "timeline"
    for chart in charts:
        inside = [(tag, a) for tag, a, around in page.elements if chart in around]
        tags = [tag for tag, _ in inside]
        assert tags.count("h3") == tags.count("details") == tags.count("table") == 1
        drawing = next(a for tag, a in inside if tag == "svg" and "aria-hidden" not in a)
        assert drawing["role"] == "img"
        assert drawing["aria-label"]
        assert drawing["aria-describedby"] == f"{chart}-words"


@pytest.mark.parametrize("task", [RTE, PANX])
def test_every_trial_is_drawn(run, page, task):
    read = read_run(run)
    slug, searched = task.replace("/", "-"), read.records.of(task, "search")
    ends = [record.status for record in searched]
    assert {"finished", "stopped", "failed", "diverged", "degenerate"} >= set(ends) > {"failed"}
    in_legend = 1
    for end in set(ends):
        marks = page.count("path", end, f"{slug}-history")
        assert marks == ends.count(end) + in_legend, end
    reports = [sum(bool(x.scores) for x in record.reports) for record in read.records.of(task)]
    kinds = {"winner", "search", "early", "confirm"}
    in_their_legend = sum(page.count("polyline", kind, f"{slug}-curves") > 0 for kind in kinds)
    lines = page.count("polyline", "line", f"{slug}-curves")
    assert lines == sum(count > 1 for count in reports) + in_their_legend
    assert page.count("path", "single", f"{slug}-curves") == reports.count(1) == 1
    seeds = leaderboard(read.study.resolve(task), read.records)
    assert page.count("path", "finished", f"{slug}-seeds") == 2 * 3 + in_legend
    assert len(seeds) == 2


def test_the_history_says_the_best_so_far(run, page):
    read = read_run(run)
    best, expected = None, []
    for record in read.records.of(RTE, "search"):
        score = record.best.get("dev.accuracy") if record.status == "finished" else None
        best = max(x for x in (best, score, -1) if x is not None)
        expected.append("-" if best < 0 else f"{100 * best:.2f}")
    rows = table_of(run, "glue-rte-history")
    assert [row[3] for row in rows] == expected
    assert [row[0] for row in rows] == [str(number) for number in range(16)]


def test_expected_performance_is_that_of_the_analysis(run):
    read = read_run(run)
    found = analysis.expected_performance(read.study.resolve(RTE), read.records)
    rows = table_of(run, "glue-rte-expected-hours")
    assert [row[2] for row in rows] == [f"{100 * score:.2f}" for score in found.scores]


def test_languages_stand_beside_what_was_published_of_them(run):
    rows = {row[0]: row for row in table_of(run, "xtreme-panx-languages")}
    assert len(rows) == 40
    assert rows["de"][3] == "<b>BERT</b>: 87.5"
    assert rows["en"][3] == "<b>BERT</b>: 88"
    assert rows["fr"][3] == "-"


def table_of(folder, chart):
    """The rows of a chart's data, as texts."""
    text = (folder / "report.html").read_text()
    figure = text.partition(f'<figure id="{chart}"')[2].partition("</figure>")[0]
    found = re.findall(r"<tr>(.*?)</tr>", figure.partition("<tbody>")[2])
    cells = (re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in found)
    return [[c.replace("&lt;", "<").replace("&gt;", ">") for c in row] for row in cells]


def lanes_of(tmp_path, *trials, sessions=(0,)):
    """The lanes of trials given as (lane, start, end)."""
    write_study(tmp_path, **{**STUDY, "tasks": [RTE]})
    events = []
    for at in sessions:
        events.append((at, {"event": "session", "at": at}))
    for number, (lane, start, end) in enumerate(trials):
        name = f"t{number}"
        events.append((start, {"event": "trial", "trial": name, "number": number, "task": RTE,
                               "phase": "search", "configuration": {}, "seed": 1}))  # fmt: skip
        attempt = {"event": "attempt", "trial": name, "at": start, "attempt": 1,
                   "plan": {"steps": 1}}  # fmt: skip
        events.append((start, attempt | ({} if lane is None else {"lane": lane})))
        events.append((end, {"event": "end", "trial": name, "at": end, "status": "stopped"}))
    lines = [json.dumps(event) for _, event in sorted(events, key=lambda pair: pair[0])]
    (tmp_path / JOURNAL_NAME).write_text("\n".join(lines) + "\n")
    return session_lanes(read_journal(tmp_path))


def test_the_idle_share_is_what_the_lanes_had_no_trial(tmp_path):
    (session,) = lanes_of(tmp_path, (1, 10, 20), (2, 10, 14), (1, 22, 30), (2, 16, 24))
    assert [[s.record.number for s in row] for row in session.rows] == [[0, 2], [1, 3]]
    assert idle_share([session]) == pytest.approx(1 - (10 + 8 + 4 + 8) / 40)


def test_trials_of_a_journal_without_lanes_stand_in_the_first_free_row(tmp_path):
    (session,) = lanes_of(tmp_path, (None, 10, 20), (None, 11, 14), (None, 15, 30))
    assert [[s.record.number for s in row] for row in session.rows] == [[0], [1, 2]]
    assert session.lane_seconds == 40


def test_a_pause_between_sessions_is_no_idle_time(tmp_path):
    sessions = lanes_of(tmp_path, (1, 10, 20), (1, 1000, 1010), sessions=(5, 990))
    assert len(sessions) == 2
    assert idle_share(sessions) == 0


def test_a_run_without_trials_has_no_idle_share():
    assert idle_share([]) is None


def written(folder, *options):
    result = CliRunner().invoke(app, ["report", str(folder), *options])
    assert result.exit_code == 0, result.output
    return (folder / "report.html").read_text()


def test_a_run_of_an_older_version_has_a_report(run, tmp_path):
    write_study(tmp_path, **STUDY)
    lines = [json.loads(line) for line in (run / JOURNAL_NAME).read_text().splitlines()]
    for event in lines:
        for name in ("lane", "elapsed", "format"):
            event.pop(name, None)
    text = "\n".join(map(json.dumps, lines)) + "\n"
    (tmp_path / JOURNAL_NAME).write_text(text)
    page = Page(written(tmp_path))
    texts = [text for _, text in page.texts]
    assert any("provenance.json is missing or cannot be read" in text for text in texts)
    assert any("does not say the lanes" in text for text in texts)
    assert page.count("rect", "bar", "timeline") > 30


def test_a_run_that_goes_on_says_so_and_refreshes_only_while_it_is_watched(tmp_path):
    drive(tmp_path / "run", STUDY, most=5, outcome=search_end)
    folder = tmp_path / "run"
    run = read_run(folder)
    html_report.write_report(run, running=True, refresh=7)
    assert '<meta http-equiv="refresh" content="7">' in (folder / "report.html").read_text()
    text = written(folder)
    assert "refresh" not in text
    assert "not finished, " in text
    journal = Journal(folder)
    try:
        text = written(folder)
        assert "running, " in text
    finally:
        journal.close()
    assert "No configuration is confirmed over seeds yet" in text


def test_watching_ends_with_the_run(tmp_path, monkeypatch):
    folder = drive(tmp_path / "run", STUDY, most=5, outcome=search_end)
    journal, pages = Journal(folder), []

    def sleep(seconds):
        pages.append((seconds, (folder / "report.html").read_text()))
        if len(pages) == 2:
            journal.close()

    monkeypatch.setattr("raysearch.results.html_report.writing.time.sleep", sleep)
    text = written(folder, "--watch", "--every", "3")
    assert [seconds for seconds, _ in pages] == [3, 3]
    assert all('http-equiv="refresh" content="3"' in page for _, page in pages)
    assert "refresh" not in text


def test_a_run_of_failures_only_has_a_report(tmp_path):
    drive(tmp_path / "run", STUDY, outcome=lambda record: "failed")
    page = Page(written(tmp_path / "run"))
    assert len(page.text_of("pre")) == 2 * 16
    charts = [a["id"] for tag, a, _ in page.elements if tag == "figure"]
    assert charts == ["timeline"]  # nothing has a score, so no axis has a scale


def test_one_trial_is_counted_as_one_and_has_no_chart_of_many(tmp_path):
    raw = {**STUDY, "tasks": [RTE], "search": {"sampler": "random", "trials": 1}, "confirm": {}}
    drive(tmp_path / "run", raw)
    text = written(tmp_path / "run")
    assert "complete, 1 of 1 trial<" in text
    assert "1 of 1 trial of phase search: complete." in text
    assert "The study confirms no configuration over seeds" in text
    assert "1 trial of the search: 1 finished." in text
    assert "1 trial at each evaluation; its last value is " in text
    assert not re.search(r"\b1 (trials|seeds|rows|lanes|attempts)\b", text)
    charts = {a["id"].removeprefix("glue-rte-") for t, a, _ in Page(text).elements if t == "figure"}
    assert charts == {"seeds", "history", "curves", "loss", "timeline"}


@pytest.mark.parametrize(("count", "kind"), [(40, None), (41, "many"), (501, "many crowd")])
def test_marks_and_lines_are_thinner_where_they_are_many(count, kind):
    rows = [["1", "2"]] * count
    drawing = svg(460, 200)
    columns = ("trial", "score")
    figure(Chart(key="c", title="C", summary="", drawing=drawing, columns=columns, rows=rows))
    assert drawing.get("class") == kind
    if kind:
        style = (Path(html_report.__file__).parent / "report.css").read_text()
        assert all(f".{name} .line" in style for name in kind.split())


def test_a_long_title_of_a_column_may_take_lines_between_its_words():
    table = result_table(["RTE", "own/a_b-cd<e>" + "f" * 20], [], "Results")
    html = write_elements([table])
    assert '<th scope="col">RTE</th>' in html
    assert "own/<wbr>a_<wbr>b-<wbr>cd&lt;e&gt;fff" in html


def test_many_failures_and_long_messages_are_shown_in_part(tmp_path):
    write_study(tmp_path, **{**STUDY, "tasks": [RTE]})
    script = Script(tmp_path)
    for number in range(50):
        name = script.begin(RTE, {"LR": 1e-5 * (1 + number)})
        script.end(name, "failed", None, error="a line of a traceback\n" * 500 + "the reason")
    script.close()
    text = written(tmp_path)
    messages = Page(text).text_of("pre")
    assert len(messages) == 40
    assert all(m.startswith("...") and m.endswith("the reason") for m in messages)
    assert "Trials that failed or diverged: 50. The first 40 follow; " in text


def test_a_study_without_a_search_and_a_run_without_trials_have_a_report(tmp_path):
    one = {**STUDY, "space": {}, "tasks": [RTE], "fixed": {"LR": 1e-5}}
    drive(tmp_path / "one", one, outcome=search_end)
    assert "the study fixes every hyperparameter" in written(tmp_path / "one")
    write_study(tmp_path / "none", **STUDY)
    Script(tmp_path / "none").close()
    assert "No trial has begun yet." in written(tmp_path / "none")


def test_wrong_places_are_refused_together(tmp_path):
    missing = str(tmp_path / "gone" / "report.html")
    result = CliRunner().invoke(app, ["report", str(tmp_path), "--to", missing])
    assert result.exit_code == 2
    assert "no study.yaml here" in result.output
    assert "there is no folder" in result.output


@pytest.mark.slow
def test_the_report_is_rewritten_with_the_table_where_it_exists(run, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    (folder / "report.html").unlink(missing_ok=True)
    write_exports(folder)
    assert not (folder / "report.html").exists()
    write_exports(folder, report=True)
    (folder / "report.html").write_text("of an older study")
    write_exports(folder)
    page = Page((folder / "report.html").read_text())
    assert page.text_of("h1") == [NAME]


def test_a_link_in_the_place_of_the_report_is_not_followed(run, tmp_path):
    drive(tmp_path / "run", STUDY, most=3, outcome=search_end)
    target = tmp_path / "target"
    target.write_text("mine")
    (tmp_path / "run" / "report.html").symlink_to(target)
    result = CliRunner().invoke(app, ["report", str(tmp_path / "run")])
    assert result.exit_code == 2
    with pytest.raises(InputError, match=r"report\.html"):
        write_exports(tmp_path / "run", report=True)
    assert target.read_text() == "mine"
    assert not (tmp_path / "run" / "table.md").exists()


@pytest.mark.slow
def test_a_report_elsewhere_leaves_the_run_folder_alone(run, tmp_path):
    before = sorted(path.name for path in run.iterdir())
    result = CliRunner().invoke(app, ["report", str(run), "--to", str(tmp_path / "mine.html")])
    assert result.exit_code == 0
    assert Page((tmp_path / "mine.html").read_text())
    assert sorted(path.name for path in run.iterdir()) == before
    again = CliRunner().invoke(app, ["report", str(run), "--to", str(tmp_path / "mine.html")])
    assert again.exit_code == 0
    journal = (run / "journal.jsonl").read_bytes()
    other = CliRunner().invoke(app, ["report", str(run), "--to", str(run / "journal.jsonl")])
    assert other.exit_code == 2
    assert "is there already and is no report" in other.output
    assert (run / "journal.jsonl").read_bytes() == journal


@pytest.mark.parametrize(
    "values", [[], [0.0], [1e-320, 2e-320], [-1e100, 1e100], [5.0, 5.0 + 1e-15], [-3e5, -3e5]]
)
def test_a_scale_of_any_values_has_few_ticks_within_its_length(values):
    scale = linear(values, 0, 100)
    assert 2 <= len(scale.ticks) <= 12
    assert all(-0.1 <= place <= 100.1 for place, _ in scale.ticks)
    assert all(-0.1 <= scale.place(value) <= 100.1 for value in values)


def test_scales_end_at_round_numbers_and_place_what_they_hold():
    scale = linear([71.3, 89.6], 0, 100)
    assert [text for _, text in scale.ticks] == ["70", "75", "80", "85", "90"]
    assert scale.place(80) == pytest.approx(50)
    assert [text for _, text in linear([0, 3], 0, 9, whole=True).ticks] == ["0", "1", "2", "3"]
    low = linear([5.0], 0, 100)
    assert low.ticks[0][0] == 0
    assert 0 < low.place(5.0) < 100
    ratio = logarithmic([1e-5, 1e-3], 100, 0, text="{:g}".format)
    assert ratio.place(1e-4) == pytest.approx(50)
    assert [text for _, text in ratio.ticks] == ["1e-05", "0.0001", "0.001"]
    names = listed([16, 32, 64, 32], 0, 10, text=str)
    assert [names.place(value) for value in (16, 32, 64)] == [0, 5, 10]
    assert listed(["one"], 0, 10, text=str).place("one") == 5
