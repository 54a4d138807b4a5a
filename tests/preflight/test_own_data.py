"""What `check` tells of a user's own files: columns, labels, duplicates, and everything wrong."""

import pytest
import yaml
from support.own_files import write_rows
from typer.testing import CliRunner

from raysearch import preflight, study
from raysearch.cli.commands import app

ENTRY = {"train": "n/train.csv", "dev": "n/dev.jsonl", "text": ["p", "h"], "label": "gold"}


def row(text, label, **more):
    return {"p": f"{text} p", "h": f"{text} h", "gold": label, **more}


TRAIN = [row(f"t{index}", ("yes", "no")[index % 2]) for index in range(40)]
DEV = [row(f"d{index}", ("yes", "no")[index % 2]) for index in range(10)]


@pytest.fixture
def check(tmp_path):
    """Writes own files and a study, and runs `raysearch check` on them."""

    def run(train=TRAIN, dev=DEV, **entry):
        rows, entry = (dev, entry) if isinstance(dev, list) else (DEV, {**entry, "dev": dev})
        write_rows(tmp_path / "n" / "train.csv", train)
        write_rows(tmp_path / "n" / "dev.jsonl", rows)
        raw = {"tasks": ["own/notes"], "own": {"notes": ENTRY | entry}, "model": "scratch:1x16"}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(raw))
        done = CliRunner().invoke(app, ["check", str(path), "--data", str(tmp_path)])
        output = " ".join((done.stdout + done.stderr).split())
        return done.exit_code, output

    return run


def test_it_shows_what_it_understood(check):
    code, output = check(metrics=["accuracy", "f1"])
    assert code == 0
    assert "own/notes train 40 dev 10" in output
    assert "own/notes reads the text in p, h; the label in gold; ids are the numbers" in output
    assert "own/notes has 2 labels, in this order: no, yes" in output
    assert "own/notes train: yes 20, no 20" in output
    assert "own/notes f1 is that of 'yes', the second label" in output
    assert "too high" not in output
    assert "repeat" not in output


def test_dev_examples_that_are_trained_on_are_told_with_one_of_them(check):
    code, output = check(dev=[*DEV, TRAIN[3], TRAIN[5]])
    assert code == 0
    assert "in the training set too, so that its scores are too high: 2 of 12, such as" in output
    assert "dev 10 and train 3: 't3 p / t3 h'" in output


def test_training_examples_that_repeat_or_contradict_each_other_are_told(check):
    code, output = check(train=[*TRAIN, TRAIN[1], {**TRAIN[2], "gold": "no"}])
    assert code == 0
    assert "training examples that repeat an earlier one: 2, such as 40 and 1" in output
    assert "of these with another label: 1, such as 41 and 2: 't2 p / t2 h'" in output


def test_a_label_that_a_split_lacks_is_told(check):
    _, output = check(dev=[row("d", "yes")] * 2)
    assert "own/notes dev: yes 2; none: no" in output


def test_labels_that_occur_once_in_training_are_told_with_what_they_may_be(check):
    _, output = check(train=[*TRAIN, row("t", "yess"), row("u", "maybe")])
    assert "labels that occur once in training: maybe, yess (is it 'yes'?)" in output
    _, output = check(train=[row("t", "yes"), row("u", "no")], dev=[row("d", "yes")])
    assert "occur once" not in output


def test_everything_that_is_wrong_with_all_files_is_named_at_once(check):
    broken = [row("", "yes"), row("x", "maybe"), {"p": "", "h": "x", "gold": "no"}]
    code, output = check(train=[*TRAIN, {"p": " ", "h": "x", "gold": "no"}], dev=[*DEV, *broken])
    assert code == 2
    assert "own/notes train.csv line 42 'p' is blank" in output
    assert "own/notes dev.jsonl line 12 label 'maybe'; the labels are: no, yes" in output
    assert "own/notes dev.jsonl line 13 'p' is blank" in output


def test_missing_columns_and_files_are_named(check):
    code, output = check(text=["premise", "h"], test="n/none.csv", label="label")
    assert code == 2
    assert "no column named 'premise'" in output
    assert "no column named 'label'" in output
    code, output = check(dev={"easy": "n/trian.csv"})
    assert code == 2
    assert "no trian.csv in" in output
    assert "did you mean 'train.csv'?" in output


def test_tags_without_prefixes_are_told_what_their_metric_counts(tmp_path):
    rows = [{"tokens": ["a", "b"], "tags": ["NOUN", "VERB"]}] * 3
    for name in ("train", "dev"):
        write_rows(tmp_path / f"{name}.jsonl", rows)
    entry = {"head": "tag", "train": "train.jsonl", "dev": "dev.jsonl"}
    raw = {"tasks": ["own/pos"], "own": {"pos": entry}, "model": "scratch"}
    survey = preflight.survey(study.parse(raw), tmp_path)
    assert not [problem for problem in survey.problems if "Problem" in problem.text]
    assert any("runs of equal tags" in note for note in survey.notes)
