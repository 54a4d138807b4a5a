"""Dimensions that are searched only with some values of another one."""

import json

import pytest

from raysearch import study
from raysearch.errors import InputError
from raysearch.recipes import RECIPES
from raysearch.run_folder import Journal
from raysearch.search.trial_queue import TrialQueue
from raysearch.search_space import count_points, difference, grid
from raysearch.study.unused_fields import unused_field_notes

RTE = "glue/rte"
SPACE = {
    "schedule_power": {"choice": [1.5, 2, 3], "when": {"schedule": "polynomial"}},
    "schedule": {"choice": ["linear", "polynomial", "constant"]},
    "BSZ": {"choice": [16, 32]},
}
RAW = {"tasks": [RTE], "model": "scratch", "space": SPACE, "search": {"trials": 10}}


def parsed(**changes):
    return study.parse({**RAW, **changes})


def problems(**changes):
    with pytest.raises(InputError) as caught:
        parsed(**changes)
    return {problem.location: problem.text for problem in caught.value.problems}


def test_a_grid_has_each_configuration_once():
    space = parsed().resolve(RTE).space
    points = grid(space)
    assert count_points(space) == len(points) == (3 + 1 + 1) * 2
    assert len({json.dumps(point, sort_keys=True) for point in points}) == len(points)
    for point in points:
        assert ("schedule_power" in point) == (point["schedule"] == "polynomial")
        assert not difference(space, point)
        assert list(point) == [name for name in SPACE if name in point]


@pytest.mark.parametrize("sampler", ["tpe", "random", "grid", "qmc", "gp", "nsga2"])
def test_every_sampler_gives_a_value_where_and_only_where_the_condition_holds(sampler, tmp_path):
    searched = parsed(
        space={
            "schedule_power": {"uniform": [1.5, 3], "when": {"schedule": ["polynomial"]}},
            "schedule": {"choice": ["linear", "polynomial"]},
            "LR": {"log": [1e-5, 1e-3]},
        }
        if sampler != "grid"
        else SPACE,
        search={"trials": 10, "sampler": sampler},
    )
    with_power = []
    for most in (6, 4):  # a second session goes on
        queue = TrialQueue(searched, Journal(tmp_path), {RTE: "data"})
        for _ in range(most):
            record = queue.next()
            point = record.configuration
            assert ("schedule_power" in point) == (point["schedule"] == "polynomial")
            with_power.append("schedule_power" in point)
            queue.end(record, "failed", "RuntimeError: a toy broke")
        queue.journal.close()
    assert 0 < sum(with_power) < 10
    assert len(queue.journal.trials) == 10


def test_a_trial_without_the_condition_has_the_default():
    task = parsed().resolve(RTE)
    default = RECIPES["finetune"].hyper().schedule_power
    assert task.hyperparameters({"schedule": "linear", "BSZ": 16}).schedule_power == default


def test_a_fixed_value_decides_the_condition():
    fixed = {"space": {k: v for k, v in SPACE.items() if k != "schedule"}}
    space = parsed(**fixed, fixed={"schedule": "polynomial"}).resolve(RTE).space
    assert space["schedule_power"].when is None
    narrowed = study.parse(RAW, set={"schedule": "constant"})
    assert list(narrowed.resolve(RTE).space) == ["BSZ"]
    told = "glue/rte does not search schedule_power: that needs schedule polynomial"
    assert told in unused_field_notes(narrowed)
    per_task = {RTE: {"fixed": {"schedule": "polynomial"}}}
    assert set(parsed(per_task=per_task).resolve(RTE).space) == {"schedule_power", "BSZ"}


def test_a_study_with_conditions_is_written_and_read_back():
    first = parsed()
    again = study.parse(study.as_mapping(first))
    assert again.space == first.space
    assert study.as_mapping(first)["space"]["schedule_power"] == {
        "choice": [1.5, 2, 3],
        "when": {"schedule": ["polynomial"]},
    }
    assert "when" not in study.as_mapping(first)["space"]["BSZ"]


def test_start_points_have_the_values_that_apply():
    start = [
        {"schedule": "linear", "BSZ": 16},
        {"schedule": "polynomial", "BSZ": 16, "schedule_power": 2},
    ]
    assert parsed(search={"start_from": start}).resolve(RTE).initial_points == start
    lacking = problems(search={"start_from": [{"schedule": "polynomial", "BSZ": 16}]})
    assert "lacks schedule_power" in lacking["search.start_from[0]"]


@pytest.mark.parametrize(
    ("when", "place", "text"),
    [
        (
            {"schedul": "linear"},
            "schedul",
            "no hyperparameter named 'schedul'",
        ),
        ({"schedule": "linea"}, "schedule", "linea"),
        ({"BSZ": 64}, "BSZ", "is never true: BSZ=64 is none of the values"),
        ({"LR": 1e-4}, "LR", "is searched in a range"),
        ({"schedule_power": 2}, "schedule_power", "cannot depend on itself"),
    ],
)
def test_a_condition_that_makes_no_sense_is_refused_with_its_place(when, place, text):
    space = {
        **SPACE,
        "LR": {"log": [1e-5, 1e-3]},
        "schedule_power": {"choice": [2, 3], "when": when},
    }
    assert text in problems(space=space)[f"space.schedule_power.when.{place}"]


def test_a_condition_on_a_condition_is_refused():
    space = {**SPACE, "adam_eps": {"choice": [1e-8, 1e-6], "when": {"schedule_power": 2}}}
    found = problems(space=space)["space.adam_eps.when.schedule_power"]
    assert "schedule_power has a condition itself" in found


def test_the_form_of_a_condition_is_checked():
    space = {**SPACE, "schedule_power": {"choice": [2, 3], "when": "polynomial"}}
    assert "mapping" in problems(space=space)["space.schedule_power.when"]
