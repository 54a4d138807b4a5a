"""Kept dev predictions of real runs: their scores are the journal's, their labels the data's."""

import json

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.small_data import TASKS

from raysearch import tasks
from raysearch.errors import InputError
from raysearch.predictions.kept_scores import KeptScores
from raysearch.predictions.scoring import score
from raysearch.run_folder import read_journal

pytestmark = pytest.mark.slow  # real runs, a browser, or many draws


def kept_file(run, task):
    return sorted((run / tasks.get(task).slug / "predictions").glob("*.parquet"))[0]


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        score(*arguments, **options)
    return str(caught.value)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("select", ["best", "last"])
def test_kept_predictions_score_what_the_journal_has_to_the_last_digit(local_run, task, select):
    folder, data = local_run(task, search={"select": select})
    result = score(task, None, folder)
    assert isinstance(result, KeptScores)
    records = read_journal(folder).of(task, "confirm")
    assert [(t.trial, t.seed, t.scores) for t in result.trials] == [
        (record.id, record.seed, record.scores_at(select)) for record in records
    ]
    assert [trial.notes for trial in result.trials] == [(), ()]
    assert score(task, None, folder / tasks.get(task).slug) == result
    compared = score(task, data, kept_file(folder, task)).trials[0]
    assert "those of the data" in compared.notes[0]


def test_the_command_prints_every_trial_with_its_seed_and_needs_no_data(local_run, command):
    folder, _ = local_run(
        "glue/mnli", search={"keep_predictions": "all"}, space={"EPOCH": {"choice": [2]}}
    )
    code, out, err = command("glue/mnli", "--predictions", folder)
    assert (code, err) == (0, "")
    title, header, *rows = out.splitlines()
    assert title == "glue/mnli, kept dev predictions of 3 trials, in percent"
    assert header.split() == ["trial", "phase", "seed", "accuracy", "mismatched.accuracy"]
    records = read_journal(folder).of("glue/mnli")
    assert [row.split()[:3] for row in rows] == [[r.id, r.phase, str(r.seed)] for r in records]
    assert [row.split()[3] for row in rows] == [
        f"{100 * r.best['dev.accuracy']:.2f}" for r in records
    ]
    code, out, _ = command("glue/mnli", "--predictions", kept_file(folder, "glue/mnli"), "--json")
    (trial,) = json.loads(out)["trials"]
    record = read_journal(folder).trials[trial["trial"]]
    assert trial["scores"] == {name: 100 * value for name, value in record.best.items()}
    assert trial["examples"] == {"matched": 23, "mismatched": 19}


def test_dev_examples_are_compared_with_those_of_the_data_that_were_scored(local_run):
    folder, data = local_run("glue/rte", dev_examples=7)
    (trial, _) = score("glue/rte", data, folder).trials
    assert trial.examples == {"dev": 7}
    assert trial.notes[0].startswith("of each dev split 7 examples were scored")


def test_of_a_divided_dev_set_the_held_out_part_is_compared_with_the_data(local_run):
    folder, data = local_run("glue/mnli", search={"hold_out": 0.5, "seed": 3}, dev_examples=20)
    (trial, _) = score("glue/mnli", data, folder).trials
    assert trial.examples == {"matched": 10, "mismatched": 10}
    assert trial.notes == (
        "of each dev split 20 examples were scored (dev_examples)",
        "of each dev split the held-out part is kept (hold_out 0.5)",
        "the ids and gold labels of matched, mismatched are those of the data",
    )
    record = read_journal(folder).trials[trial.trial]
    assert {**trial.scores} == {n: x for n, x in record.best.items() if n.startswith("dev.")}
    gold = data / "MNLI" / "dev_matched.tsv"
    assert "search.hold_out divides" in refusal("glue/mnli", gold, folder)
    (folder / "study.yaml").write_text(
        (folder / "study.yaml").read_text().replace("seed: 3", "seed: 4")
    )
    assert "seed" in refusal("glue/mnli", data, folder)


@pytest.mark.parametrize("task", TASKS)
def test_every_difference_from_the_data_is_told(local_run, task):
    folder, data = local_run(task)
    path, split = kept_file(folder, task), tasks.get(task).dev[0].name
    table = parquet.read_table(path)
    column = {"xtreme/panx": "gold_tags", "squad/v2.0": "exact", "superglue/record": "exact"}.get(
        task, "gold"
    )
    gold = table[column].to_pylist()
    if column == "gold":  # the score changes, whether the prediction was right or not
        predicted = table["prediction"].to_pylist()[3]
        gold[3] = predicted if predicted != gold[3] else 1 - gold[3]
    else:
        gold[3] = [(tag + 1) % 3 for tag in gold[3]] if column == "gold_tags" else 1 - gold[3]
    ids = ["alien", *table["id"].to_pylist()[1:]]
    names = table.column_names
    for name, values in (("id", ids), (column, gold)):
        column_type = table.schema.field(name).type
        table = table.set_column(names.index(name), name, pa.array(values, column_type))
    parquet.write_table(table, path)
    text = refusal(task, data, path)
    assert f"{split} predictions" in text
    assert "1 of" in text
    assert "are of no example in the data: alien" in text
    assert f"{split} gold labels" in text
    assert f"differ from the data: {ids[3]}" in text
    notes = score(task, None, path).trials[0].notes
    assert len(notes) >= 1  # without the data, that the scores are not the journal's
    assert all("the journal has" in note for note in notes)


def test_what_is_no_kept_file_of_the_task_is_refused_and_what_does_not_fit_is_told(
    local_run, tmp_path
):
    folder, _ = local_run("glue/rte")
    path = kept_file(folder, "glue/rte")
    stray = tmp_path / "stray.parquet"
    stray.write_bytes(path.read_bytes())
    (trial,) = score("glue/rte", None, stray).trials
    assert (trial.trial, trial.phase, trial.seed, trial.notes) == ("stray", "", None, ())
    assert "has other columns" in refusal("xtreme/panx", None, stray)
    assert "dev is no dev split of glue/mnli" in refusal("glue/mnli", None, stray)
    assert "there is no such file" in refusal("glue/rte", None, tmp_path / "gone.parquet")
    assert "is of another task" in refusal("glue/mrpc", None, path.parent)
    text = refusal("glue/rte", tmp_path / "nowhere", stray)
    assert "there is no such file or folder" in text
    alien = path.with_name("alien.parquet")
    alien.write_bytes(path.read_bytes())
    result = score("glue/rte", None, path.parent)
    assert "alien" not in [trial.trial for trial in result.trials]
    assert "files of no trial in the journal, not scored: alien" in result.notes
    assert score("glue/rte", None, alien).trials[0].notes == (
        "the run's journal has no such trial",
    )
    path.write_bytes(path.read_bytes()[:80])
    assert path.name in refusal("glue/rte", None, folder)


def test_a_run_without_kept_predictions_and_files_without_data_are_refused(local_run, tmp_path):
    folder, _ = local_run("glue/rte", search={"keep_predictions": "none"})
    text = refusal("glue/rte", None, folder)
    assert "no kept predictions of glue/rte" in text
    assert "search.keep_predictions" in text
    assert "needs the data" in refusal("glue/rte", None, tmp_path / "RTE.tsv")


def test_options_that_change_nothing_are_refused(local_run):
    folder, _ = local_run("glue/rte")
    text = refusal(
        "glue/rte", None, folder, split="dev", threshold=0.5, as_official=True,
        null_odds=folder / "study.yaml",
    )  # fmt: skip
    for option in ("--split", "--threshold", "--as-official", "--null-odds"):
        assert option in text


def test_the_threshold_of_no_answer_is_the_trials_own_or_the_one_given(local_run):
    folder, _ = local_run("squad/v2.0")
    (own, _), (none, _) = (score("squad/v2.0", None, folder, threshold=t).trials
                           for t in (None, 1e9))  # fmt: skip
    assert own.notes == ()
    assert none.scores["dev.best_f1"] == own.scores["dev.best_f1"]
    assert none.scores["dev.no_answer_f1"] == 0.0
    assert "the journal has dev.f1" in " ".join(none.notes) or none.scores == own.scores
