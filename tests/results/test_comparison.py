"""Two runs compared: what is refused, and differences, intervals and tests against references."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import stats
from support.run_folders import Script, write_study
from typer.testing import CliRunner

import raysearch
from raysearch.cli import app
from raysearch.errors import InputError
from raysearch.metrics import classification
from raysearch.results import export
from raysearch.results.comparison_table import comparison_table
from raysearch.results.paired_predictions import p_value
from raysearch.run_folder import dev_predictions
from raysearch.run_folder.report import dev_scores
from raysearch.statistics.intervals import Sample
from raysearch.tasks import get
from raysearch.tasks.glue import AVERAGED

EXAMPLES = 300
SELECTING = {(name, get(name).metric) for name in AVERAGED}
GOLD = np.random.default_rng(1).integers(0, 2, EXAMPLES)
IDS = [f"e{number}" for number in range(EXAMPLES)]


def answers(right, seed):
    """Labels of which about this share is right; the first examples are the easy ones."""
    random = np.random.default_rng(seed)
    return np.where(random.random(EXAMPLES) < right, GOLD, 1 - GOLD)


def write_run(folder, predictions, *, report="median", gold=GOLD, ids=IDS, confirm=None, keep=True,
              hold_out=None, languages=None):  # fmt: skip
    """Write a finished run.

    Args:
        folder: the run folder.
        predictions: task -> seed -> predictions of each example.
        report: the statistic over seeds.
        gold: the labels.
        ids: of the examples.
        confirm: seeds of the study; those of the predictions by default.
        keep: whether the predictions are kept.
        hold_out: of the study; every trial scores 0.5 on the part on which trials are compared.
        languages: those whose files are there; all by default.
    """
    seeds = confirm or sorted({seed for by_seed in predictions.values() for seed in by_seed})
    write_study(folder, name=folder.name, tasks=list(predictions), model="scratch",
                confirm={"seeds": seeds, "report": report},
                search={"hold_out": hold_out} if hold_out else {})  # fmt: skip
    script = Script(folder)
    for task, by_seed in predictions.items():
        for seed, predicted in by_seed.items():
            row, splits, found = get(task), {}, {}
            for split in row.dev:
                if languages is None or split.name in languages:
                    splits[split.name] = ids, dev_predictions.class_columns(predicted, gold)
                    found[split.name] = {
                        name: float(value)
                        for name, value in classification.score(
                            row.metrics, predicted, gold
                        ).items()
                    }
            named = dev_scores(found, row.dev[0].name, multilingual=bool(row.languages))
            scores = {name.removeprefix("dev."): value for name, value in named.items()}
            if hold_out:
                scores = {f"search.{name}": 0.5 for name in scores} | scores
            name = script.trial(task, {}, scores, seed, "confirm")
            if keep:
                content = dev_predictions.to_parquet(splits)
                dev_predictions.write(folder, script.journal.trials[name], content)
    script.close()
    return folder


@pytest.fixture
def runs(tmp_path):
    """Writes run A and run B: runs({"glue/rte": {11: predictions}}, ...)."""

    def write(first, second, **options):
        return write_run(tmp_path / "A", first), write_run(tmp_path / "B", second, **options)

    return write


def rte(right, seeds, offset=0):
    return {"glue/rte": {seed: answers(right, seed + offset) for seed in seeds}}


def test_a_difference_of_single_seeds_is_that_of_the_examples_and_mcnemars_test_is_exact(runs):
    one, other = answers(0.7, 1), answers(0.8, 2)
    (found,) = raysearch.compare(*runs({"glue/rte": {1: one}}, {"glue/rte": {1: other}})).scores
    right, theirs = one == GOLD, other == GOLD
    assert (found.task, found.name) == ("glue/rte", "accuracy")
    assert found.difference.value == pytest.approx(theirs.mean() - right.mean())
    error = np.std(theirs * 1.0 - right) / np.sqrt(EXAMPLES)
    assert found.difference.error == pytest.approx(error, rel=0.08)
    gained, lost = int((theirs & ~right).sum()), int((right & ~theirs).sum())
    assert found.p == pytest.approx(stats.binomtest(gained, gained + lost).pvalue)


@pytest.mark.slow
def test_the_difference_is_of_the_printed_scores_and_its_sign_that_of_the_better_run(runs):
    a, b = runs(rte(0.6, (1, 2, 3)), rte(0.9, (1, 2, 3), offset=50))
    (found,) = raysearch.compare(a, b).scores
    (swapped,) = raysearch.compare(b, a).scores
    assert found.difference.low > 0.2
    assert swapped.difference.high < -0.2
    for table, value in (
        (export.write_exports(a), found.first),
        (export.write_exports(b), found.second),
    ):
        assert table.row("Result").cells[0].value == value
    verdicts = [
        comparison_table(raysearch.compare(*pair)).rows[0].cells[4].text
        for pair in ((a, b), (b, a))
    ]
    assert verdicts == ["B better", "A better"]
    assert found.p < 0.001


def xnli(right, seed):
    return {"xtreme/xnli": {seed: np.where(answers(right, seed) == GOLD, GOLD, 2)}}


def test_languages_without_files_are_no_part_of_a_mean_its_interval_and_a_comparison(tmp_path):
    some = {"languages": ("en", "de", "fr")}
    a, b = (
        write_run(tmp_path / name, xnli(right, seed), **some)
        for name, right, seed in (("A", 0.6, 1), ("B", 0.9, 2))
    )
    found = {score.name: score for score in raysearch.compare(a, b).scores}
    assert set(found) == {"accuracy", "de.accuracy", "fr.accuracy", "mean.accuracy"}
    assert found["mean.accuracy"].difference.low > 0.2
    exported = export.write_exports(a)
    assert exported.row("95 %").cells[0].text != "-"
    assert not any("no interval" in note for note in exported.notes)


def test_means_over_other_languages_are_told_and_not_compared(tmp_path):
    a = write_run(tmp_path / "A", xnli(0.6, 1), languages=("en", "de", "fr"))
    b = write_run(tmp_path / "B", xnli(0.9, 2), languages=("en", "de"))
    compared = raysearch.compare(a, b)
    assert [score.name for score in compared.scores] == ["accuracy", "de.accuracy"]
    (note,) = [note for note in compared.notes if "mean over languages" in note]
    assert "not compared: A alone has scores of fr" in note


def test_equal_systems_cannot_be_told_apart_and_the_table_says_what_could_be_seen(runs):
    (row,) = comparison_table(
        raysearch.compare(*runs(rte(0.7, (1, 2, 3)), rte(0.7, (4, 5, 6))))
    ).rows
    assert row.cells[4].text.startswith("cannot tell (sees ")
    assert row.cells[4].value == "cannot tell"


def test_a_run_is_the_same_as_itself(runs):
    a, b = runs(rte(0.7, (1,)), rte(0.7, (1,)))
    (row,) = comparison_table(raysearch.compare(a, b)).rows
    assert [cell.text for cell in row.cells[2:]] == ["0.0", "0.0 to 0.0", "the same", "1.000"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seeds", "paired"), [((1, 2, 3), True), ((3, 1, 2), True), ((1, 2, 4), False), ((1, 2), False)]
)
def test_seeds_are_paired_where_both_runs_used_the_same_ones(runs, seeds, paired):
    comparison = raysearch.compare(*runs(rte(0.7, (1, 2, 3)), rte(0.7, seeds, offset=9)))
    assert comparison.scores[0].difference.paired == paired
    notes = " ".join(comparison_table(comparison).notes)
    assert ("in pairs" in notes) == paired
    assert f"3 of A, {len(seeds)} of B" in notes


def test_examples_are_paired_by_their_ids_in_any_order(runs, tmp_path):
    first, second = rte(0.7, (1,)), {"glue/rte": {1: answers(0.8, 2)}}
    (expected,) = raysearch.compare(*runs(first, second)).scores
    order = np.random.default_rng(0).permutation(EXAMPLES)
    shuffled = write_run(tmp_path / "C", {"glue/rte": {1: second["glue/rte"][1][order]}},
                         gold=GOLD[order], ids=[IDS[index] for index in order])  # fmt: skip
    assert raysearch.compare(tmp_path / "A", shuffled).scores == (expected,)


def problems(*arguments, **options):
    with pytest.raises(InputError) as error:
        raysearch.compare(*arguments, **options)
    return " ".join(f"{p.location}: {p.text}" for p in error.value.problems)


def test_other_examples_are_refused(runs):
    a, b = runs(rte(0.7, (1,)), rte(0.7, (1,)), ids=[*IDS[:200], *(f"x{n}" for n in range(100))])
    assert (
        "glue/rte: the examples of dev differ: A has 300, B 300, and 200 are the same"
        in problems(a, b)
    )


def test_other_gold_labels_are_refused_with_the_first(runs):
    gold = GOLD.copy()
    gold[[4, 8]] = 1 - gold[[4, 8]]
    a, b = runs(rte(0.7, (1,)), rte(0.7, (1,)), gold=gold)
    assert f"2 of 300 examples of dev have another gold label, such as 'e4': {GOLD[4]}" in problems(
        a, b
    )


def test_runs_without_kept_predictions_are_refused(runs):
    text = problems(*runs(rte(0.7, (1,)), rte(0.7, (1,)), keep=False))
    assert "B lacks the dev predictions of" in text


def test_runs_without_a_common_task_are_refused(runs):
    text = problems(*runs(rte(0.7, (1,)), {"glue/cola": {1: answers(0.7, 1)}}))
    assert "a task of both runs is needed; A has glue/rte, B glue/cola" in text


def test_an_unfinished_run_another_statistic_and_damaged_predictions_are_refused(runs, tmp_path):
    a, b = runs(rte(0.7, (1,)), rte(0.7, (1,)), confirm=[1, 2])
    assert "B is not finished" in problems(a, b)
    c = write_run(tmp_path / "C", rte(0.7, (1,)), report="mean")
    assert "A prints the median over seeds and B the mean" in problems(a, c)
    path = next(a.rglob("predictions/*.parquet"))
    path.write_bytes(path.read_bytes()[:50])
    d = write_run(tmp_path / "D", rte(0.7, (1,)))
    assert "remove the file" in problems(a, d)


def test_predictions_that_are_not_those_of_the_journal_are_refused(runs):
    a, b = runs(rte(0.7, (1,)), rte(0.8, (1,), offset=3))
    path = next(b.rglob("predictions/*.parquet"))
    table = parquet.read_table(path)
    changed = pa.array(np.ones(EXAMPLES))
    parquet.write_table(table.set_column(2, "prediction", changed), path)
    assert "its predictions score" in problems(a, b)


def test_a_task_that_cannot_be_compared_is_named_below_the_others_and_refused_if_asked_for(runs):
    both = {"glue/rte": {1: answers(0.7, 1)}, "glue/cola": {1: answers(0.8, 2)}}
    a, b = runs(both, both)
    next((b / get("glue/rte").slug).rglob("*.parquet")).unlink()
    table = comparison_table(raysearch.compare(a, b))
    assert [row.name for row in table.rows] == ["CoLA mcc", "CoLA accuracy"]
    assert any(
        "glue/rte: not compared, B lacks the dev predictions" in note for note in table.notes
    )
    assert "B lacks the dev predictions" in problems(a, b, tasks=["glue/rte", "glue/cola"])
    assert "glue/mrpc" in problems(a, b, tasks=["glue/mrpc"])


def test_a_metric_of_the_whole_set_has_an_interval_and_no_test(runs):
    one, other = ({"glue/mrpc": {1: answers(right, n)}, "glue/cola": {1: answers(right, n)}}
                  for right, n in ((0.7, 1), (0.85, 2)))  # fmt: skip
    comparison = raysearch.compare(*runs(one, other))
    tests = {(s.task, s.name): s.p is not None for s in comparison.scores}
    assert tests == {
        ("glue/mrpc", "accuracy"): True,
        ("glue/mrpc", "f1"): False,
        ("glue/cola", "mcc"): False,
        ("glue/cola", "accuracy"): True,
    }
    notes = comparison_table(comparison).notes
    assert any(note.startswith("MRPC f1, CoLA mcc: no mean over examples") for note in notes)
    assert all(s.difference.low < s.difference.value < s.difference.high for s in comparison.scores)


def test_several_tests_are_adjusted_and_counted(runs):
    names = ("glue/rte", "glue/qnli", "glue/sst2")
    one, other = ({name: {1: answers(right, 9 * index + n)} for index, name in enumerate(names)}
                  for right, n in ((0.7, 1), (0.76, 2)))  # fmt: skip
    comparison = raysearch.compare(*runs(one, other))
    values = [score.p for score in comparison.scores]
    smallest = int(np.argmin(values))
    assert comparison.scores[smallest].adjusted == pytest.approx(min(1, 3 * values[smallest]))
    table = comparison_table(comparison)
    assert table.columns[-1] == "p (Holm)"
    assert any(note.startswith("3 comparisons were made") for note in table.notes)


@pytest.mark.slow
@pytest.mark.parametrize("hold_out", [None, 0.5])
def test_the_average_of_glue_stands_where_both_runs_have_all_its_tasks(tmp_path, hold_out):
    one, other = ({name: {1: answers(right, 3 * index + n)} for index, name in enumerate(AVERAGED)}
                  for right, n in ((0.7, 1), (0.9, 2)))  # fmt: skip
    a = write_run(tmp_path / "A", one, hold_out=hold_out)
    b = write_run(tmp_path / "B", other, hold_out=hold_out)
    comparison = raysearch.compare(a, b)
    average = comparison.average
    for run, mean in ((a, average.first), (b, average.second)):
        table = export.write_exports(run)
        assert table.columns[-1] == "AVG"
        assert table.row("Result").cells[-1].value == pytest.approx(mean)
    assert average.difference.value == pytest.approx(average.second - average.first)
    parts = [s.difference.error for s in comparison.scores if (s.task, s.name) in SELECTING]
    expected = np.sqrt(np.sum(np.square(parts))) / len(AVERAGED)
    assert average.difference.error == pytest.approx(expected, rel=0.15)
    assert comparison_table(comparison).rows[-1].name == "AVG"


def test_examples_of_a_cluster_and_translations_of_an_example_change_their_signs_together():
    samples = {"en": Sample.of_groups(["a", "a", "b", "b", "c"])}
    worse, better = [np.zeros(5), np.zeros(5)], [np.ones(5), np.ones(5)]
    # Three clusters that all gain: two of the eight signs are as extreme.
    assert p_value(worse, better, ["en", "en"], samples) == pytest.approx(2 / 8)
    assert p_value(worse[:1], better[:1], ["en"], samples) == pytest.approx(2 / 8)
    # As many examples without clusters, in two splits of their own.
    apart = {"en": Sample.of_size(5), "de": Sample.of_size(5)}
    assert p_value(worse, better, ["en", "de"], apart) == pytest.approx(2 / 2**10)


@pytest.mark.slow
def test_the_command_prints_every_format_and_refuses_what_is_no_run(runs, tmp_path):
    a, b = runs(rte(0.7, (1, 2)), rte(0.8, (1, 2), offset=9))

    def command(*arguments):
        return CliRunner().invoke(app, ["compare", *map(str, arguments)])

    assert "| RTE accuracy |" in command(a, b).stdout
    assert r"\toprule" in command(a, b, "--format", "tex").stdout
    assert command(a, b, "--format", "csv").stdout.startswith("row,A,B,B - A,95 %,verdict,p")
    values = json.loads(command(a, b, "--format", "json", "--tasks", "glue/rte").stdout)
    assert values["rows"][0]["value"]["B - A"] == raysearch.compare(a, b).scores[0].difference.value
    for wrong in ((a, tmp_path / "none"), (a, b, "--format", "xls"), (a, b, "--tasks", "")):
        assert command(*wrong).exit_code == 2
