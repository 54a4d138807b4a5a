"""One task of a study: what it says is computed once, and follows the study it came from."""

import pytest

from raysearch import study, tasks
from raysearch.errors import InputError

RTE, MNLI = "glue/rte", "glue/mnli"


def parsed(**more):
    raw = {"tasks": [RTE, MNLI], "model": "scratch", "space": {"LR": {"choice": [1e-5, 2e-5]}}}
    return study.parse({**raw, **more})


def test_a_task_has_its_own_settings_and_those_of_all_tasks():
    per_task = {MNLI: {"model": "scratch:1x8x9", "space": {}, "fixed": {"LR": 3e-5}}}
    rte, mnli = map(parsed(fixed={"BSZ": 8}, per_task=per_task).resolve, (RTE, MNLI))
    assert (rte.row, mnli.row) == (tasks.get(RTE), tasks.get(MNLI))
    assert (rte.model, mnli.model) == ("scratch", "scratch:1x8x9")
    assert (set(rte.space), set(mnli.space)) == ({"LR"}, set())
    assert (rte.fixed, mnli.fixed) == ({"BSZ": 8}, {"BSZ": 8, "LR": 3e-5})
    assert rte.shared == rte.hyperparameters({}) != rte.hyperparameters({"LR": 1e-5})
    assert (rte.planned_trials, mnli.planned_trials) == (2, 1)
    assert rte.recipe.name == "finetune"
    assert rte.teacher_configuration({"LR": 1e-5}) is None


def test_what_a_task_says_is_computed_once():
    rte = parsed().resolve(RTE)
    assert all(getattr(rte, name) is getattr(rte, name) for name in ("space", "fixed", "shared"))


def test_a_changed_copy_of_a_study_resolves_to_its_own_settings():
    searched = parsed()
    before = searched.resolve(RTE).space
    copy = searched.model_copy(update={"space": {}, "fixed": {"LR": 1e-5}})
    assert set(before) == {"LR"}
    assert copy.resolve(RTE).space == {}
    assert copy.resolve(RTE).fixed == {"LR": 1e-5}


def test_a_name_that_is_no_task_has_the_settings_of_all_tasks_and_no_row():
    unknown = parsed(fixed={"BSZ": 8}).resolve("")
    assert set(unknown.space) == {"LR"}
    assert unknown.fixed == {"BSZ": 8}
    with pytest.raises(InputError, match="no task"):
        _ = unknown.row
