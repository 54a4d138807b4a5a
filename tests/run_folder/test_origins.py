"""Tasks that start from another task's winner: what is read, what studies and tables tell."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from support.run_folders import Script, write_study
from support.toys import toy_tokenizer

from raysearch import results, study, tasks
from raysearch.models import read_pretrained
from raysearch.study.model_names import model_problems, resolve_model_folder

RTE, MNLI, STSB, PANX = "glue/rte", "glue/mnli", "glue/stsb", "xtreme/panx"


def parse(per_task: dict, **overrides: object) -> study.Study:
    raw = {"tasks": [RTE, MNLI], "model": "scratch", "space": {"LR": {"choice": [1e-5, 2e-5]}}}
    return study.parse({**raw, "per_task": per_task}, **overrides)


@pytest.fixture
def run(tmp_path: Path, toy_folder) -> Path:
    """A run folder with the winners of two tasks."""
    folder = tmp_path / "runs" / "first"
    for slug in ("glue-mnli", "glue-qnli"):
        (folder / slug).mkdir(parents=True)
        toy_folder("bert").rename(folder / slug / "best")
    return folder


def test_a_task_may_start_from_something_else_than_the_study(run: Path) -> None:
    made = parse({RTE: {"model": str(run / "glue-mnli")}})
    assert made.model_of(MNLI) == "scratch"
    assert made.model_of(RTE) == str(run / "glue-mnli" / "best")
    assert made.models == (str(run / "glue-mnli" / "best"), "scratch")
    assert study.same_trials(made, study.parse(yaml.safe_load(study.dump(made))))


def test_fixing_a_hyperparameter_leaves_what_tasks_start_from(run: Path) -> None:
    own = {RTE: {"model": str(run / "glue-mnli"), "space": {"BSZ": {"choice": [16, 32]}}}}
    made = parse(own, set={"BSZ": 8})
    assert made.model_of(RTE) == str(run / "glue-mnli" / "best")
    assert set(made.space_of(RTE)) == {"LR"}


def test_a_run_with_one_winner_is_that_winner_and_of_several_one_is_named(run: Path) -> None:
    assert resolve_model_folder(str(run / "glue-mnli")) == str(run / "glue-mnli" / "best")
    (problem,) = model_problems(resolve_model_folder(str(run)))
    assert "2 winners" in problem.text
    assert str(run / "glue-qnli" / "best") in problem.text
    (run / "glue-qnli").rename(run.parent / "elsewhere")
    assert resolve_model_folder(str(run)) == str(run / "glue-mnli" / "best")
    assert resolve_model_folder("bert-base-uncased") == "bert-base-uncased"


@pytest.mark.slow
def test_the_head_stays_where_the_labels_are_the_same_and_is_drawn_anew_otherwise(
    toy_folder,
) -> None:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = toy_folder("bert")
    labels = dict(enumerate(tasks.get(MNLI).labels))
    config = AutoConfig.from_pretrained(folder, num_labels=3, id2label=labels)
    AutoModelForSequenceClassification.from_pretrained(folder, config=config).save_pretrained(
        folder
    )
    tokenizer = toy_tokenizer()
    kept = read_pretrained(str(folder), tasks.get(MNLI), tokenizer).weights
    for other in (RTE, STSB):
        weights = read_pretrained(str(folder), tasks.get(other), tokenizer).weights
        assert {n for n in kept if n not in weights} == {"classifier.weight", "classifier.bias"}
        assert all(np.array_equal(weights[n], kept[n]) for n in weights)


@pytest.fixture
def written(tmp_path: Path, run: Path) -> Path:
    """The folder of a run in which RTE started from the MNLI winner of another."""
    folder = tmp_path / "second"
    own = {RTE: {"model": str(run / "glue-mnli")}}
    write_study(folder, name="second", tasks=[RTE, MNLI], model="scratch", per_task=own,
                space={"LR": {"choice": [1e-5]}}, search={"trials": 1})  # fmt: skip
    script = Script(folder)
    for task in (RTE, MNLI):
        script.trial(task, {"LR": 1e-5}, {"accuracy": 0.6})
    script.close()
    return folder


def test_the_table_and_the_winners_study_say_what_a_task_started_from(
    written: Path, run: Path
) -> None:
    origin = str(run / "glue-mnli" / "best")
    assert f"RTE: from {origin}." in results.write_exports(written).notes
    assert study.load(written / "glue-rte" / "best.yaml").model == origin
    assert study.load(written / "glue-mnli" / "best.yaml").model == "scratch"


def test_a_winners_study_keeps_what_else_the_study_said(tmp_path: Path) -> None:
    said = {"train": ["en", "de"], "leave_out": 3}
    said |= {"space": {"LR": {"choice": [1e-5]}}, "search": {"trials": 1, "select_on": "mean"}}
    write_study(tmp_path, name="s", tasks=[PANX], model="scratch", **said)
    script = Script(tmp_path)
    script.trial(PANX, {"LR": 1e-5}, {"entity_f1": 0.6, "mean.entity_f1": 0.5})
    script.close()
    results.write_exports(tmp_path)
    best = study.load(tmp_path / "xtreme-panx" / "best.yaml")
    assert best.train == ("en", "de")
    assert best.leave_out == 3
    assert best.search.select_on == "mean"
