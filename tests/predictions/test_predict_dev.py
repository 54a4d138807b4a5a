"""Dev predictions of real runs in the benchmarks' formats: their scores are the journal's."""

import shutil

import pytest
from support.small_data import TASKS

from raysearch import tasks
from raysearch.errors import InputError
from raysearch.predictions.prediction import predict
from raysearch.predictions.scoring import score
from raysearch.predictions.split_names import requested_splits
from raysearch.run_folder import read_journal

pytestmark = pytest.mark.slow  # real runs, a browser, or many draws


def refusal(*arguments, **options):
    with pytest.raises(InputError) as caught:
        predict(*arguments, **options)
    return {problem.location: problem.text for problem in caught.value.problems}


def winner(folder, task):
    """Return the trial of the seed whose weights are in best/: of equal ones the first."""
    name = f"dev.{tasks.get(task).metric}"
    return max(read_journal(folder).of(task, "confirm"), key=lambda record: record.best[name])


@pytest.mark.parametrize("task", TASKS)
def test_the_files_score_exactly_what_the_winners_trial_has_in_the_journal(
    local_run, tmp_path, task
):
    folder, data = local_run(task)
    out, said = tmp_path / "out", []
    paths = predict(folder, to=out, split="dev", note=said.append)
    record = winner(folder, task)
    dev = [split for split in tasks.get(task).dev if split.language in (None, "en", "de")]
    assert any(f"the weights are those of seed {record.seed}" in line for line in said)
    if task == "squad/v2.0":
        names = {path.stem: path for path in paths}
        options = {"null_odds": names["null_odds"], "threshold": 0.25}
        scores = score(task, data, names["answers"], **options).scores
        assert {f"dev.{name}": value for name, value in scores.items()} == record.best
        return
    assert [path.relative_to(out).as_posix() for path in paths] == [
        tasks.get(task).prediction_file(split) for split in dev
    ]
    for split, path in zip(dev, paths, strict=True):
        result = score(task, data, path)  # the file's name says of which split it is
        assert result.split == split.name
        prefix = "dev." if split is dev[0] else f"dev.{split.name}."
        for name, value in result.scores.items():
            # Training holds the labels of STS-B in float32, the file's text has more digits.
            tolerance = 1e-6 if task == "glue/stsb" else 0
            assert record.best[f"{prefix}{name}"] == pytest.approx(value, abs=tolerance, rel=0)
    if task == "xtreme/panx":
        result = score(task, data, out)
        assert result.scores["mean.entity_f1"] == record.best["dev.mean.entity_f1"]
    else:
        assert score(task, data, out).split == dev[0].name


def test_numbers_of_test_sets_are_still_clipped_and_rounded_and_those_of_dev_sets_are_not(
    local_run, tmp_path
):
    folder, _ = local_run("glue/stsb")
    (path,) = predict(folder, to=tmp_path / "out", split="dev")
    numbers = [line.split("\t")[1] for line in path.read_text().splitlines()[1:]]
    assert max(map(len, numbers)) > len("0.123")


def test_a_split_may_be_named_and_an_unknown_one_is_refused_with_those_there_are(
    local_run, tmp_path
):
    folder, _ = local_run("glue/mnli", "glue/rte")
    out = tmp_path / "out"
    for name in ("mismatched", "dev.mismatched", "dev-mismatched"):
        (path,) = predict(folder, to=out, names=["glue/mnli"], split=name)
        assert path.name == "glue-mnli-dev-mismatched.tsv"
    assert refusal(folder, to=out, split="dev.mismatched") == {
        "glue/rte": "no split named 'dev.mismatched'; there are: dev, test"
    }
    assert "there are: matched, mismatched" in refusal(folder, to=out, split="train")["glue/mnli"]
    missing = refusal(folder, to=out, names=["glue/rte"], split="test")["glue/rte"]
    assert "no test file under" in missing
    assert not list(out.glob("*rte*"))


def test_names_of_splits_are_those_of_the_languages_too():
    panx, text = tasks.get("xtreme/panx"), tasks.get("text/lines")
    for name in ("de", "dev-de", "dev.de"):
        (split,) = requested_splits(panx, name)
        assert (split.name, split.submission) == ("de", "panx/dev-de.tsv")
    (split,) = requested_splits(panx, "test-de")
    assert (split.name, split.submission) == ("test-de", "panx/test-de.tsv")
    assert len(requested_splits(panx, "dev")) == len(panx.dev)
    with pytest.raises(InputError, match="masks words"):
        requested_splits(text, "dev")
    with pytest.raises(InputError, match="there are: dev"):
        requested_splits(tasks.get("squad/v1.1"), "test")


def test_without_weights_it_is_said_what_the_kept_predictions_can_still_do(local_run, tmp_path):
    folder, _ = local_run("glue/rte")
    shutil.rmtree(folder / "glue-rte" / "best")
    hint = "the dev predictions of 2 trials are kept, without weights: raysearch score glue/rte"
    for names in (None, ["glue/rte"]):
        texts = refusal(folder, to=tmp_path / "out", names=names, split="dev")
        assert hint in texts["glue/rte"]
    assert len(score("glue/rte", None, folder).trials) == 2  # what it says works


def test_a_score_on_fewer_examples_is_told(local_run, tmp_path):
    folder, _ = local_run("glue/rte", dev_examples=7)
    said = []
    (path,) = predict(folder, to=tmp_path / "out", split="dev", note=said.append)
    assert len(path.read_text().splitlines()) == 1 + 23
    assert "glue/rte: dev: the journal's score is that of 7 of these 23 examples" in "\n".join(said)
