"""Where no trial of a search has learned anything: it is told, and each score is one everywhere."""

import io
from contextlib import closing as closing_file

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from support.driven_runs import drive
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from raysearch import open_run, results
from raysearch.cli.progress import ProgressDisplay, closing
from raysearch.results.leaderboard import best_of_search
from raysearch.run_folder import Journal
from raysearch.search.trial_queue import TrialQueue

RTE = "glue/rte"
STUDY = {
    "name": "stuck",
    "tasks": [RTE],
    "model": "scratch",
    "space": {"LR": {"log": [5e-6, 2e-4]}, "BSZ": {"choice": [16, 32]}},
    "search": {"sampler": "random", "trials": 4},
    "confirm": {"top": 1, "seeds": [11, 12]},
}
NOTE = (
    "RTE: no trial of the search learned anything (4 degenerate), so that its settings cannot be"
    " compared. A degenerate trial predicts a single class or stays at chance:"
    " docs/not_learning.md says what helps."
)
LOST = "RTE: not a result, every trial of its winner is degenerate: it learned nothing."


@pytest.fixture(scope="module", params=[[11, 12], []], ids=["confirmed", "searched"])
def folder(request, tmp_path_factory):
    """A finished run whose trials have all learned nothing."""
    raw = {**STUDY, "confirm": {"top": 1, "seeds": request.param}}
    place = drive(tmp_path_factory.mktemp("run") / "stuck", raw, outcome=lambda _: "degenerate")
    results.write_exports(place, report=True)
    return place


def in_percent(score, digits=1):
    return f"{100 * score:.{digits}f}"


def test_it_is_told_at_the_end_in_the_table_and_in_the_report(folder, capsys):
    assert closing(open_run(folder)) == 0
    for text in (capsys.readouterr().out, (folder / "report.html").read_text()):
        assert NOTE in text
        assert LOST in text


def test_it_is_not_told_where_a_trial_learned_or_the_search_goes_on(tmp_path):
    learned = drive(
        tmp_path / "learned",
        STUDY,
        outcome=lambda r: "finished" if r.number == 2 else "degenerate",
    )
    begun = drive(tmp_path / "begun", STUDY, most=2, outcome=lambda _: "degenerate")
    for folder in (learned, begun):
        assert "learned anything" not in "".join(results.write_exports(folder).notes)


def test_a_search_of_which_others_diverged_says_how_many(tmp_path):
    ends = {0: "diverged", 1: "failed"}
    folder = drive(tmp_path / "run", STUDY, outcome=lambda r: ends.get(r.number, "degenerate"))
    assert "(2 degenerate, 1 diverged, 1 failed)" in "".join(results.write_exports(folder).notes)


def shown_in_log(run):
    """The score in each trial's line of the log, by its phase and number."""
    written = io.StringIO()
    with closing_file(Journal(run.folder)) as journal:
        queue = TrialQueue(run.study, journal, {RTE: "model-data"})
        display = ProgressDisplay(queue, lambda: 1, Console(file=written, width=200))
        for record in journal.trials.values():
            display.change(record)
    lines = [line.split() for line in written.getvalue().splitlines()]
    return {(phase, int(number)): float(score) for _, phase, number, _, _, score, *_ in lines}


def in_tensorboard(folder, record):
    """The score in a trial's event files."""
    (events,) = (folder / "glue-rte" / "tensorboard").glob(f"*-{record.id}/events*")
    values = [v for event in EventFileLoader(str(events)).Load() for v in event.summary.value]
    return next(v.tensor.float_val[0] for v in values if v.tag == "score")


def test_a_trial_that_learned_nothing_has_one_score_everywhere(folder):
    run = open_run(folder)
    rows = {row["id"]: row for row in pq.read_table(folder / "glue-rte/trials.parquet").to_pylist()}
    frame, log = run.trials().set_index("id"), shown_in_log(run)
    history = run.figures()["history"].to_frame()
    drawn = dict(zip(map(str, history["trial"]), map(str, history["score, %"]), strict=True))
    for record in run.records.trials.values():
        measured = record.best["dev.accuracy"]
        assert measured > record.score == 0  # what the sampler is told
        assert rows[record.id]["score"] == frame.score[record.id] == measured
        assert in_tensorboard(folder, record) == pytest.approx(measured)
        assert log[record.phase, record.number] == pytest.approx(100 * measured, abs=0.051)
        if record.phase == "search":
            assert float(drawn[str(record.number)]) == float(in_percent(measured, 2))
    (best,) = [r for r in (best_of_search(run.study.resolve(RTE), run.records),) if r]
    score, figures = in_percent(best.best["dev.accuracy"]), run.figures()
    assert f"The best scored {score}: trial {best.number} " in figures["history"].summary
    assert f"The best is {best.number} with {score}" in figures["parallel"].summary
    if not run.study.confirm.seeds:
        assert run.table().row("Result").cells[0].text == score
        assert run.best(RTE).configuration == best.configuration


def test_the_panel_says_that_the_best_so_far_learned_nothing(folder):
    run = open_run(folder)
    console = Console(file=io.StringIO(), force_terminal=True, record=True, width=150)
    with closing_file(Journal(folder)) as journal:
        queue = TrialQueue(run.study, journal, {RTE: "model-data"})
        ProgressDisplay(queue, lambda: 1, console).close()
    best = best_of_search(run.study.resolve(RTE), run.records)
    text = console.export_text()
    assert f"best accuracy {in_percent(best.best['dev.accuracy'])} (degenerate)" in text
    shown = [line for line in text.splitlines() if "best accuracy" in line]
    phases = {"search", "confirm"} if run.study.confirm.seeds else {"search"}
    assert {line.split()[1] for line in shown} == phases
    assert all("(degenerate)" in line for line in shown)
