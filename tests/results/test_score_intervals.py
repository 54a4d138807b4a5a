"""Intervals and verdicts in the table of a run whose dev predictions were kept."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from support.run_folders import Script, write_study

from raysearch import results, study
from raysearch.results.leaderboard import leaderboard
from raysearch.results.score_intervals import RunIntervals
from raysearch.run_folder import dev_predictions, read_journal

EXAMPLES, RIGHT, SEEDS = 400, 0.8, (11, 12, 13)
STUDY = {
    "name": "kept",
    "tasks": ["glue/mnli"],
    "model": "scratch",
    "space": {"LR": {"choice": [1e-5, 2e-5]}},
    "search": {"sampler": "grid"},
    "confirm": {"top": 1, "seeds": list(SEEDS)},
    "published": [
        {
            "row": row,
            "source": "a paper",
            "results": {"glue/mnli": {"scores": {"accuracy": score, "mismatched.accuracy": 80.0}}},
        }
        for row, score in (("near", 80.4), ("far above", 95.0), ("far below", 60.0))
    ],
}


@pytest.fixture
def run(tmp_path):
    """A finished run; its predictions are right in four of five examples, other ones per seed."""
    return write_run(tmp_path, dict.fromkeys(SEEDS, RIGHT))


def write_run(folder, right_by_seed, ends=()):
    """Write a finished run whose seeds are right in these shares of the examples.

    `ends` has the ends of some of these trials, by seed.
    """
    write_study(folder, **STUDY)
    script = Script(folder)
    random = np.random.default_rng(4)
    for rate in (1e-5, 2e-5):
        script.trial("glue/mnli", {"LR": rate}, {"accuracy": rate * 1e4}, phase="search")
    gold = random.integers(0, 3, EXAMPLES)
    ids = [str(number) for number in range(EXAMPLES)]
    for seed, share in right_by_seed.items():
        splits, scores = {}, {}
        for split, prefix in (("matched", ""), ("mismatched", "mismatched.")):
            right = random.random(EXAMPLES) < share
            predictions = np.where(right, gold, (gold + 1) % 3)
            splits[split] = ids, dev_predictions.class_columns(predictions, gold)
            scores[f"{prefix}accuracy"] = float(right.mean())
        end = dict(ends).get(seed, "finished")
        name = script.trial("glue/mnli", {"LR": 2e-5}, scores, seed, "confirm", status=end)
        record = script.journal.trials[name]
        dev_predictions.write(folder, record, dev_predictions.to_parquet(splits))
    script.close()
    return folder


def test_an_interval_of_seeds_that_differ_much_stays_below_100_percent(tmp_path):
    run = write_run(tmp_path, dict(zip(SEEDS, (0.5, 0.97, 0.99), strict=True)))
    ((low, high), _) = results.write_exports(run).row("95 %").cells[0].value
    assert 0 <= low < 0.5
    assert high == 1


def test_the_table_has_an_interval_and_verdicts_and_says_by_which_rule(run):
    table = results.write_exports(run)
    (cell,) = table.row("95 %").cells
    result = table.row("Result").cells[0].value
    for score, (low, high) in zip(result, cell.value, strict=True):
        assert low < score < high
        assert 0.04 < high - low < 0.16  # 400 examples and three seeds
    verdicts = [row.cells[0] for row in table.rows if row.name == "verdict"]
    assert [verdict.value[0] for verdict in verdicts] == ["cannot tell", "below", "above"]
    assert "cannot tell (sees " in verdicts[0].text
    assert sum(note.startswith("Verdicts: ") for note in table.notes) == 1
    assert "| 95 %" in (run / "table.md").read_text()


def test_a_winner_that_learned_nothing_gets_no_verdict_in_any_form(tmp_path):
    shares = dict.fromkeys(SEEDS, RIGHT)
    run = write_run(tmp_path / "none", shares, dict.fromkeys(SEEDS, "degenerate"))
    table = results.write_exports(run, report=True)
    assert any("not a result, every trial of its winner is degenerate" in n for n in table.notes)
    assert "verdict" not in [row.name for row in table.rows]
    assert table.row("95 %").cells[0].value
    for name in ("table.md", "table.tex", "table.csv", "table.json", "report.html"):
        text = (run / name).read_text()
        assert "near" in text
        assert "(sees " not in text
        assert "Verdicts: " not in text
    statement = (run / "reproducibility.md").read_text()
    assert "0 have a verdict" in statement
    assert "verdict below" not in statement
    some = write_run(tmp_path / "some", shares, {SEEDS[0]: "degenerate"})
    assert "(sees " in str(results.write_exports(some))


def test_the_table_is_the_same_each_time(run):
    assert results.write_exports(run) == results.write_exports(run)


def test_without_the_predictions_of_a_seed_there_is_neither_interval_nor_verdict(run):
    next(run.rglob("predictions/*.parquet")).unlink()
    table = results.write_exports(run)
    names = [row.name for row in table.rows]
    assert "Result" in names
    assert not {"95 %", "verdict"} & set(names)
    told = "MNLI-m/mm: no interval: the dev predictions of 1 of 3 trials were not kept."
    assert table.notes.count(told) == 1


def test_damaged_predictions_are_named_below_the_table_which_is_written_without_the_interval(run):
    path = next(run.rglob("predictions/*.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    table = results.write_exports(run)
    assert "95 %" not in [row.name for row in table.rows]
    assert any("no interval" in note and path.name in note for note in table.notes)
    assert path.name in (run / "table.md").read_text()


@pytest.mark.parametrize("fault", ["of another trial", "other examples", "a split is missing"])
def test_predictions_that_do_not_fit_the_journal_are_named(run, fault):
    paths = sorted(run.rglob("predictions/*.parquet"))
    table = parquet.read_table(paths[0])
    if fault == "of another trial":
        paths[0].write_bytes(paths[1].read_bytes())
    elif fault == "other examples":
        ids = pa.array([f"x{name}" for name in table["id"].to_pylist()])
        parquet.write_table(table.set_column(1, "id", ids), paths[0])
    else:
        parquet.write_table(table.slice(0, EXAMPLES), paths[0])
    written = results.write_exports(run)
    assert any("no interval of dev." in note and "predictions" in note for note in written.notes)
    assert "Result" in [row.name for row in written.rows]


def test_seeds_are_paired_in_whatever_order_they_were_trained(run):
    task, records = study.load(run / "study.yaml").resolve("glue/mnli"), read_journal(run)
    (leader,) = leaderboard(task, records)
    turned = replace(leader, trials=leader.trials[::-1])
    intervals = RunIntervals(run, pytest.fail)
    same = intervals.difference(task, leader, turned, "dev.accuracy")
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_kept_predictions_have_the_scores_of_the_journal(run):
    searched, records = study.load(run / "study.yaml"), read_journal(run)
    task = searched.resolve("glue/mnli")
    for record in records.of("glue/mnli", "confirm"):
        tables = dev_predictions.read(run, record, task.row)
        for split, name in (("matched", "accuracy"), ("mismatched", "mismatched.accuracy")):
            measure = dev_predictions.measure_of(tables[split], task.row, "accuracy", None)
            assert measure(np.ones((1, EXAMPLES)))[0] == record.best[f"dev.{name}"]


def test_the_published_setting_has_an_interval_and_so_has_the_gain_over_it(tmp_path):
    """The winner is right in eight of ten examples, the published setting in six of ten."""
    confirm = {"top": 1, "seeds": list(SEEDS), "published": True}
    paper = {"row": "paper", "source": "a paper"}
    paper["results"] = {"glue/rte": {"settings": {"LR": 1e-5}}}
    parts = {"tasks": ["glue/rte"], "confirm": confirm, "published": [paper]}
    write_study(tmp_path, **{**STUDY, **parts})
    script, random = Script(tmp_path), np.random.default_rng(4)
    for rate in (1e-5, 2e-5):
        script.trial("glue/rte", {"LR": rate}, {"accuracy": rate * 1e4}, phase="search")
    gold = random.integers(0, 2, EXAMPLES)
    ids = [str(number) for number in range(EXAMPLES)]
    for rate, share in ((2e-5, 0.8), (1e-5, 0.6)):
        for seed in SEEDS:
            right = random.random(EXAMPLES) < share
            columns = dev_predictions.class_columns(np.where(right, gold, 1 - gold), gold)
            scores = {"accuracy": float(right.mean())}
            name = script.trial("glue/rte", {"LR": rate}, scores, seed, "confirm")
            kept = dev_predictions.to_parquet({"dev": (ids, columns)})
            dev_predictions.write(tmp_path, script.journal.trials[name], kept)
    script.close()
    table = results.write_exports(tmp_path)
    assert [row.name for row in table.rows if "published setting" in row.name] == [
        "published setting",
        "published setting, 95 %",
        "winner minus published setting",
        "winner minus published setting, 95 %",
    ]
    ((low, high),) = table.row("winner minus published setting, 95 %").cells[0].value
    gain = table.row("winner minus published setting").cells[0].value
    theirs = table.row("published setting").cells[0].value
    assert 0 < low < gain < high < 0.4
    assert gain == pytest.approx(table.row("Result").cells[0].value - theirs)
    ((below, above),) = table.row("published setting, 95 %").cells[0].value
    assert below < theirs < above
