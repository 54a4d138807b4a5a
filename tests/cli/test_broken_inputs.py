"""Broken studies, data files and options: `check` names all that is wrong, and where, at once.

Each case is a study beside a data folder with sound files of an own task and of RTE. Exit code 2,
no traceback, and a last line that names the pages.
"""

import pytest
import yaml
from typer.testing import CliRunner

from raysearch.cli.commands import app

ROWS = [("p", "h", "gold"), *((f"a {i}", f"b {i}", ("yes", "no")[i % 2]) for i in range(40))]
NOTES = {"train": "train.csv", "dev": "dev.csv", "text": ["p", "h"], "label": "gold"}
BASE = {"tasks": ["own/notes"], "model": "scratch:1x64", "own": {"notes": NOTES}}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Runs `raysearch check` on a study; gives the head of its error and place -> text."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("train", ROWS), ("dev", ROWS[:11])):
        (tmp_path / f"{name}.csv").write_text("\n".join(",".join(row) for row in rows))

    def run(study, *options):
        if isinstance(study, dict):
            study = yaml.safe_dump(study, sort_keys=False)
        (tmp_path / "mine.yaml").write_bytes(study if isinstance(study, bytes) else study.encode())
        done = CliRunner().invoke(app, ["check", "mine.yaml", "--data", ".", *options])
        assert done.exit_code == 2, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        head, *lines, last = done.stderr.splitlines()
        assert last.startswith("explained in docs/")
        assert "unexpected" not in done.stderr
        texts = {}
        for line in lines:
            place, _, text = line.strip().partition("  ")
            if line[2] == " ":  # a further line of the problem before
                place, text = list(texts)[-1], f"{texts[list(texts)[-1]]}\n{line.strip()}"
            texts[place] = text.strip()
        return head, texts

    return run


def test_a_wrong_list_of_labels_is_told_once_for_a_file_with_what_stands_there(check):
    head, texts = check({**BASE, "own": {"notes": {**NOTES, "labels": ["0", "1"]}}})
    assert head == "mine.yaml: 50 problems"
    wrong = "label 'yes', 'no'; the labels are: 0, 1"
    assert texts == {
        "own/notes train.csv line 2, 3, 4 and 37 more": wrong,
        "own/notes dev.csv line 2, 3, 4 and 7 more": wrong,
    }


def test_mistakes_of_a_study_hide_neither_those_of_its_own_files_nor_those_of_its_chains(check):
    study = {
        **BASE,
        "tasks": ["own/notes", "own/more"],
        "space": {"LR": {"log": [2, 1]}, "BZS": {"choice": [8]}},
        "own": {"notes": {**NOTES, "text": ["p", "hh"]}, "more": {**NOTES, "dev": "none.csv"}},
        "per_task": {"own/more": {"from": "own/ntoes"}},
        "search": {"sampler": "tpee", "trials": 0},
        "confirm": {"top": -1},
    }
    _, texts = check(study)
    assert {*texts} == {
        "space.LR", "space.BZS", "per_task.own/more.from", "search.sampler", "search.trials",
        "confirm.top", "own/notes train.csv line 1", "own/notes dev.csv line 1", "own/more",
    }  # fmt: skip
    assert "did you mean 'own/notes'?" in texts["per_task.own/more.from"]
    assert "no column named 'hh'" in texts["own/notes train.csv line 1"]
    assert "no none.csv in ." in texts["own/more"]


def test_a_wrong_setting_hides_no_length_that_the_model_has_not(check):
    _, texts = check(BASE, "--set", "LR=abc", "--set", "max_length=600")
    assert {*texts} == {"fixed.LR", "max_length"}
    assert "positions for 512 tokens, got 600" in texts["max_length"]


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"recipe": "lora"}, "recipe"),
        ({"fixed": {"lora_rank": 4}}, "fixed.lora_rank"),
        ({"space": {"lora_rank": {"choice": [4, 8]}}}, "space.lora_rank"),
        ({"per_task": {"own/notes": {"fixed": {"lora_rank": 4}}}},
         "per_task.own/notes.fixed.lora_rank"),
    ],
)  # fmt: skip
def test_adapters_on_a_model_from_scratch_are_refused(check, fields, place):
    _, texts = check({**BASE, **fields})
    assert {*texts} == {place}
    assert "no pretrained weights that the adapters of lora_rank could keep" in texts[place]


def test_a_share_that_is_none_is_one_problem_and_the_files_are_read_all_the_same(check):
    entry = {**NOTES, "hold_out": 1.5, "label": "glod"}
    del entry["dev"]
    _, texts = check({**BASE, "own": {"notes": entry}})
    assert {*texts} == {"own.notes.hold_out", "own/notes train.csv line 1"}
    assert texts["own.notes.hold_out"] == "input should be less than 1, got 1.5"
