"""A run that holds a part of dev out: every export prints the scores of that part alone.

A score of the part on which trials were compared is 10 points higher than the printed one.
"""

import json

import pytest
from huggingface_hub import ModelCard
from support.pairs import RTE
from support.written_runs import SEEDS, STUDY, write_data, write_run

import raysearch
from raysearch import results
from raysearch.results.comparison_table import comparison_table
from raysearch.results.run_results import read_run
from raysearch.results.table_formats import to_markdown
from raysearch.run_folder import read_journal
from raysearch.verification import verify

HELD_OUT = {"search": STUDY["search"] | {"hold_out": 0.5}}
PUBLISHED = [{"row": "paper", "source": "a page", "results": {RTE: {"scores": {"accuracy": 66}}}}]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with data and a written run, whose best/ says that it has the weights of seed 12."""
    folder = tmp_path_factory.mktemp("held-out")
    data = write_data(folder / "data")
    run = write_run(folder / "run", data, published=PUBLISHED, **HELD_OUT)
    (winner,) = (r for r in read_journal(run).trials.values() if r.seed == SEEDS[1])
    (run / "glue-rte/best").mkdir()
    config = {"raysearch": {"trial": {"id": winner.id}}}
    (run / "glue-rte/best/config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def exported(place):
    """The run folder with all its exports, and its table."""
    table = results.write_exports(place / "run", report=True)
    return place / "run", table


def interval_of(run):
    view = read_run(run)
    (task,) = (view.study.resolve(name) for name in view.study.tasks)
    return view.intervals(task, view.leaders[RTE], "dev.accuracy")


def test_the_table_prints_the_held_out_part_with_its_interval(exported):
    run, table = exported
    assert table.row("Result").cells[0].value == pytest.approx(0.775)
    interval = interval_of(run)
    assert table.row("95 %").cells[0].value == [[interval.low, interval.high]]
    for name in ("table.md", "table.csv", "table.tex", "glue-rte/best.yaml"):
        assert "search.accuracy" not in (run / name).read_text()


def test_the_card_has_one_result_and_its_interval(exported):
    run, _ = exported
    card = ModelCard.load(run / "glue-rte/best/README.md")
    (result,) = card.data.eval_results
    assert (result.metric_type, result.dataset_split) == ("accuracy", "dev")
    assert result.metric_value == pytest.approx(0.775)
    interval = interval_of(run)
    assert result.metric_args["interval_95"] == [interval.low, interval.high]
    assert "search.accuracy" not in card.content
    assert "Result on the held-out part of dev: accuracy 77.50 percent" in card.text
    assert f"95 % interval over seeds and examples: {100 * interval.low:.2f} to" in card.text
    assert "best on the search part of dev, 12, which scored 80.00 on the held-out" in card.text


def test_the_statement_lists_no_score_that_selected_as_a_result(exported):
    run, _ = exported
    text = (run / "reproducibility.md").read_text()
    interval = interval_of(run)
    assert "search.accuracy" not in text
    assert "Results on the held-out part of dev" in text
    ends = f"{100 * interval.low:.2f} to {100 * interval.high:.2f}"
    assert f"accuracy 77.50 (median of 2 seeds, sd 3.54; 95 % interval {ends})" in text
    assert "seed 11: 75.00" in text
    assert "seed 12: 80.00" in text
    assert f"{RTE}: dev accuracy 77.50; test files" in text


def test_the_report_draws_seeds_of_the_held_out_part_and_searches_on_the_other(exported):
    run, _ = exported
    text = (run / "report.html").read_text()
    interval = interval_of(run)
    assert "search.accuracy" not in text
    ends = f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    assert f"The first configuration scores 77.5, 95 % interval {ends}, over 2 seeds." in text
    assert "11: 75.00, 12: 80.00" in text
    assert "paper (published)" in text
    assert "accuracy on the held-out part of dev, %" in text
    assert "accuracy on the search part of dev, %" in text


def test_a_comparison_is_of_the_held_out_part(exported, place):
    run, _ = exported
    other = write_run(place / "other", place / "data", confirmed=(0.6, 0.65), **HELD_OUT)
    comparison = raysearch.compare(run, other)
    (score,) = comparison.scores
    assert (score.name, score.first, score.second) == ("accuracy", 0.775, pytest.approx(0.625))
    assert score.difference.value == pytest.approx(-0.15)
    assert "search." not in to_markdown(comparison_table(comparison))


def test_verification_without_training_holds(exported, place):
    run, _ = exported
    result = verify(run, data=place / "data", to=place / "to", rerun=False)
    assert result.holds, list(result.lines())
    scores = [c for c in result.checks if c.what == "predictions" and c.place.endswith("accuracy")]
    assert [check.seen for check in scores] == pytest.approx([0.75, 0.8])
    assert not [check for check in scores if "search." in check.place]
