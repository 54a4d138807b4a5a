"""Reading a study: what is read, and what is refused, all of it at once and each with its place."""

import math
import os
import time

import pytest
import yaml

from raysearch import parse, study
from raysearch.errors import InputError, Problem
from raysearch.recipes import RECIPES, Hyperparameters
from raysearch.search_space import IntRange, Uniform, count_points
from raysearch.study.model_names import model_problems
from raysearch.study.unusual_values import unusual_value_notes
from raysearch.tasks import TASKS

RTE, MRPC, MNLI = "glue/rte", "glue/mrpc", "glue/mnli"
SPACE = {"LR": {"choice": [1e-5, 2e-5]}, "BSZ": {"int": [8, 32]}}


def raw(**parts):
    return {"tasks": [RTE], "model": "scratch", "space": SPACE, **parts}


def problems(given, **overrides):
    """Place -> text of everything that is wrong."""
    with pytest.raises(InputError) as caught:
        study.parse(given, **overrides)
    return {problem.location: problem.text for problem in caught.value.problems}


def write(folder, text, name="mine.yaml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        study.load(path)
    assert caught.value.source == str(path)
    (problem,) = caught.value.problems
    return problem.location, problem.text


TEN_MISTAKES = """\
tasks: [glue/rtee, glue/rte]
modle: bert-base-uncased
model: bert-base-uncased
space:
  LR: {log: [5e-5, 5e-6]}
  BSZ: {uniform: [16, 32]}
  alhpa: {choice: [1, 2]}
fixed: {dropout: 1.5}
per_task:
  glue/mrpc: {fixed: {EPOHC: 3}}
search: {sampler: tpee, start_from: [{LR: fast, BSZ: 16}]}
confirm: {seeds: [1, 2, 2]}
"""


def test_ten_mistakes_in_one_file_are_all_named_with_place_cause_and_cure(tmp_path):
    path = write(tmp_path, TEN_MISTAKES)
    with pytest.raises(InputError) as caught:
        study.load(path)
    text = str(caught.value)
    assert text.splitlines()[0] == f"{path}: 11 problems"  # the seeds have two
    found = {problem.location: problem.text for problem in caught.value.problems}
    assert found["tasks[0]"] == "no task named 'glue/rtee'; did you mean 'glue/rte'?"
    assert found["modle"] == "no field named 'modle'; did you mean 'model'?"
    assert found["space.LR"] == "low must be below high, got [5e-05, 5e-06]"
    assert found["space.BSZ"].startswith("takes no fractions: write {int: [low, high]}")
    assert found["space.alhpa"].endswith("`raysearch list hyperparameters` shows them")
    assert found["fixed.dropout"] == "input should be less than 1, got 1.5"
    assert "did you mean 'EPOCH'?" in found["per_task.glue/mrpc.fixed.EPOHC"]
    assert "no sampler named 'tpee'; did you mean 'tpe'?" in found["search.sampler"]
    assert found["search.start_from[0].LR"] == "a number is needed, got 'fast'"
    assert "each seed may appear only once, got [1, 2, 2]" in text
    assert "seed 1 is the search's (search.seed); confirm with fresh ones" in text


def test_problems_stand_in_the_order_of_the_file_and_what_the_command_line_gives_first(tmp_path):
    path = write(tmp_path, TEN_MISTAKES)

    def places(**overrides):
        with pytest.raises(InputError) as caught:
            study.load(path, **overrides)
        return list(dict.fromkeys(problem.location for problem in caught.value.problems))

    file = ["tasks[0]", "modle", "space.LR", "space.BSZ", "space.alhpa", "fixed.dropout",
            "per_task.glue/mrpc.fixed.EPOHC", "search.sampler", "search.start_from[0].LR",
            "confirm.seeds"]  # fmt: skip
    assert places() == file
    file.remove("fixed.dropout")
    assert places(model="", set={"dropout": 2}) == ["model", "fixed.dropout", *file]


def test_yaml_1_1_takes_1e_5_for_text_and_a_study_does_not(tmp_path):
    path = write(tmp_path, """\
tasks: [glue/rte]
model: scratch
space: {LR: {choice: [1e-5, 2e-5]}, weight_decay: {log: [1e-4, 1e-1]}}
fixed: {adam_eps: 1e-6, adam_betas: [9e-1, 0.999]}
per_task: {glue/rte: {space: {EPOCH: {choice: [1e1, 3]}}}}
search: {hours: 5e-1, start_from: [{LR: 1e-5, weight_decay: 1e-2, EPOCH: 1e1}],
         stop_early: {at: [5e-1], keep: 3e-1}}
published:
  - {row: A, source: a, results: {glue/rte: {settings: {LR: 3e-5}, scores: {accuracy: 9e1}}}}
""")  # fmt: skip
    assert yaml.safe_load(path.read_text())["fixed"]["adam_eps"] == "1e-6"
    read = study.load(path)
    assert read.space["LR"].choice == (1e-5, 2e-5)
    assert read.space["weight_decay"].ends == (1e-4, 0.1)
    assert read.fixed == {"adam_eps": 1e-6, "adam_betas": (0.9, 0.999)}
    assert read.per_task[RTE].space["EPOCH"].choice == (10.0, 3)
    assert (read.search.hours, read.search.stop_early.keep) == (0.5, 0.3)
    assert read.search.stop_early.at == (0.5,)
    assert read.resolve(RTE).initial_points == [{"LR": 1e-5, "weight_decay": 0.01, "EPOCH": 10}]
    assert read.published[0].results[RTE].settings == {"LR": 3e-5}
    assert read.published[0].results[RTE].scores == {"accuracy": 90}


def test_yaml_1_1_takes_no_for_false_and_where_that_means_none_so_does_a_study():
    fixed = {"clip": False, "dropout": "none", "bias_correction": False}
    read = study.parse(raw(fixed=fixed, search={"stop_early": False}))
    assert read.fixed == {"clip": None, "dropout": None, "bias_correction": False}
    assert read.search.stop_early is None
    assert study.parse(raw(search={"stop_early": True})).search.stop_early == study.Halving()


@pytest.mark.parametrize(
    ("name", "value"), [("LR", False), ("EPOCH", True), ("max_length", True), ("WARMUP", False)]
)
def test_yes_and_no_are_no_numbers(name, value):
    found = problems({**raw(space={}), "fixed": {name: value}})
    assert "got " + str(value) in found[f"fixed.{name}"]


@pytest.mark.parametrize(
    ("name", "choice"),
    [("LR", ["1e-5", 1e-5]), ("EPOCH", [3, 3.0]), ("clip", ["none", False]), ("BSZ", [8, "8"])],
)
def test_a_choice_that_stands_twice_in_two_spellings_is_refused(name, choice):
    found = problems(raw(space={name: {"choice": choice}}))
    assert found[f"space.{name}"] == f"each choice may appear only once, got {choice}"


WRONG = [
    ({"space": {"LR": 3}}, "space.LR", "write exactly one of {choice: [...]}"),
    ({"space": {"LR": 2e-5}}, "space.LR", "got 2e-05; or put it under fixed"),
    ({"space": {"LR": {"lgo": [1, 2]}}}, "space.LR.lgo", "did you mean {log: [1, 2]}?"),
    ({"space": {"LR": {"log": [1e-5]}}}, "space.LR.log[1]", "one more value is needed"),
    ({"space": {"LR": {"log": [1e-5, 100]}}}, "space.LR", "less than or equal to 10, got 100"),
    ({"space": {"seed": {"choice": [1]}}}, "space.seed", "seeds are not searched: see search.seed"),
    ({"space": {"max_length": {"choice": [64, 128]}}}, "space.max_length", "put it under fixed"),
    ({"fixed": {"LR": 1e-5}}, "fixed.LR", "searched under space as well: keep one of the two"),
    ({"fixed": [1]}, "fixed", "a mapping is needed, got [1]"),
    ({"fixed": {"adam_betas": [0.9, 1.5]}}, "fixed.adam_betas", "[0, 1), got [0.9, 1.5]"),
    ({"fixed": {"weight_decay": float("inf")}}, "fixed.weight_decay", "a finite number"),
    ({"fixed": {"max_length": 16.5}}, "fixed.max_length", "a whole number is needed, got 16.5"),
    ({"fixed": {"EPOCH": {"stpes": 3}}}, "fixed.EPOCH", "did you mean {steps: 3}?"),
    ({"fixed": {"EPOCH": {"step": 30}}}, "fixed.EPOCH", "did you mean {steps: 30}?"),
    ({"fixed": {"EPOCH": {"epochs": 3}}}, "fixed.EPOCH", "a number or {steps: N} is needed, got"),
    ({"fixed": {"EPOCH": {"steps": -1}}}, "fixed.EPOCH", "greater than or equal to 0, got -1"),
    ({"fixed": {"clip": {"steps": 1}}}, "fixed.clip", "it is: largest global L2 norm"),
    ({"space": {"WARMUP": {"choice": [{"step": 9}]}}}, "space.WARMUP", "mean {steps: 9}?"),
    ({"fixed": {"evaluations": {"per_epoc": 2}}}, "fixed.evaluations", "mean {per_epoch: 2}?"),
    ({"space": {"LR": {"choices": [1e-5]}}}, "space.LR.choices", "did you mean {choice: [1e-05]}?"),
    ({"space": {"LR": {"range": [1e-5, 1]}}}, "space.LR.range", "{log: [low, high]}, {int: [low,"),
    ({"space": {"LR": {"low": 1e-5}}}, "space.LR.low", "no form named 'low'; there are: {choice"),
    (
        {"space": {"LR": {"loguniform": [1e-6, 1e-3]}}},
        "space.LR.loguniform",
        "no form named 'loguniform'; did you mean {log: [1e-06, 0.001]}?",
    ),
    (
        {"space": {"BSZ": {"grid_search": [16, 32]}}},
        "space.BSZ.grid_search",
        "no form named 'grid_search'; did you mean {choice: [16, 32]}?",
    ),
    ({"space": {"LR": [1e-5, 2e-5]}}, "space.LR", "did you mean {choice: [1e-05, 2e-05]}?"),
    ({"space": {"LR": {"choice": []}}}, "space.LR.choice", "at least one value is needed, got []"),
    ({"tasks": []}, "tasks", "at least one task name is needed, got []"),
    ({"tasks": ["glue/ax"]}, "tasks[0]", "no training data: it is predicted, not searched"),
    ({"model": 5}, "model", "text is needed, got 5"),
    ({"model": " "}, "model", "a folder, a hub name or scratch is needed, got ' '"),
    ({"per_task": {RTE: {"model": ""}}}, "per_task.glue/rte.model", "scratch is needed, got ''"),
    ({"recipe": "finetun"}, "recipe", "did you mean 'finetune'?"),
    ({"recipe": None}, "recipe", "text is needed, got None"),
    ({"tasks": ["text/lines"]}, "recipe", "does not train text/lines: cross_thought would do"),
    (
        {
            "tasks": ["text/lines"],
            "recipe": "cross_thought",
            "space": {},
            "fixed": {},
            "search": {"hold_out": 0.5},
        },
        "search.hold_out",
        "text/lines is scored on blocks of running text",
    ),
    ({"search": {"hold_out": 1}}, "search.hold_out", "less than 1, got 1"),
    ({"search": {"hold_out": "half"}}, "search.hold_out", "a number is needed"),
    ({"name": "../up"}, "name", "a name without slashes"),
    ({"search": 5}, "search", "a mapping is needed, got 5"),
    ({"search": {"select_on": "mean"}}, "search.select_on", "no task of the study has languages"),
    ({"train": ["en"]}, "train", "no task of the study has languages to train in: leave it out"),
    ({"search": {"trials": 0}}, "search.trials", "greater than or equal to 1, got 0"),
    ({"search": {"trials": True}}, "search.trials", "a whole number is needed, got True"),
    ({"search": {"hours": 0}}, "search.hours", "greater than 0, got 0"),
    ({"search": {"seed": 2**31}}, "search.seed", "less than 2147483648"),
    ({"search": {"stop_early": "maybe"}}, "search.stop_early", "true, false or {rule: name, at:"),
    (
        {"search": {"stop_early": {"rule": "mean"}}},
        "search.stop_early.rule",
        "'halving', 'median' or",
    ),
    ({"search": {"stop_early": {"rule": []}}}, "search.stop_early.rule", "or 'hyperband', got []"),
    (
        {"search": {"stop_early": {"rule": "median", "keep": 0.5}}},
        "search.stop_early.keep",
        "no field named 'keep'; there are: at, min_others, rule",
    ),
    (
        {"search": {"stop_early": {"min_others": 3}}},
        "search.stop_early.min_others",
        "no field named",
    ),
    (
        {"search": {"stop_early": {"rule": "median", "min_others": 0}}},
        "search.stop_early.min_others",
        "greater than or equal to 1, got 0",
    ),
    (
        {"search": {"stop_early": {"rule": "hyperband", "at": [0.5, 0.25]}}},
        "search.stop_early.at",
        "strictly ascending, got [0.5, 0.25]",
    ),
    ({"search": {"stop_early": {"at": [0.5, 1]}}}, "search.stop_early.at[1]", "less than 1, got 1"),
    ({"search": {"stop_early": {"at": []}}}, "search.stop_early.at", "at least one value"),
    ({"search": {"start_from": "publishd"}}, "search.start_from", "'published' or a list of"),
    (
        {"search": {"start_from": [3]}},
        "search.start_from",
        "list of configurations is needed, got [3]",
    ),
    ({"search": {"start_from": "published"}}, "search.start_from", "needs a published section"),
    ({"search": {"start_from": [{"LR": 1e-5}]}}, "search.start_from[0]", "it lacks BSZ"),
    (
        {"search": {"start_from": [{"LR": 3e-5, "BSZ": 99}]}},
        "search.start_from[0]",
        "not in the space: LR: 3e-05, BSZ: 99",
    ),
    (
        {"confirm": {"seeds": [11, 11]}},
        "confirm.seeds",
        "each seed may appear only once, got [11, 11]",
    ),
    (
        {"confirm": {"seeds": [11, 11.0]}},
        "confirm.seeds",
        "each seed may appear only once, got [11, 11.0]",
    ),
    ({"confirm": {"seeds": [11, "11"]}}, "confirm.seeds", "each seed may appear only once"),
    ({"confirm": {"seeds": [11, True]}}, "confirm.seeds[1]", "a whole number is needed, got True"),
    ({"confirm": {"seeds": [1, 2]}}, "confirm.seeds", "confirm with fresh ones"),
    ({"confirm": {"choose": [21, 21], "seeds": [11]}}, "confirm.choose", "may appear only once"),
    ({"confirm": {"choose": [1], "seeds": [11]}}, "confirm.choose", "confirm with fresh ones"),
    (
        {"confirm": {"choose": [21, 11], "seeds": [11]}},
        "confirm.choose",
        "stand under confirm.seeds",
    ),
    ({"confirm": {"choose": [21]}}, "confirm.choose", "write confirm.seeds too"),
    (
        {"confirm": {"choose": [21], "seeds": [11], "top": 1}},
        "confirm.choose",
        "with top 1 there is nothing to choose",
    ),
    (
        {"confirm": {"choose": [21, 22], "seeds": [11], "race": True}},
        "confirm.race",
        "needs 3 seeds or more under confirm.choose, got 2",
    ),
    ({"confirm": {"race": 1}}, "confirm.race", "true or false is needed, got 1"),
    ({"confirm": {"published": True}}, "confirm.published", "needs confirm.seeds"),
    (
        {"confirm": {"published": True, "seeds": [11]}},
        "confirm.published",
        "no published row has settings that its space and fixed values can take",
    ),
    ({"confirm": {"seeds": ["1"]}}, "confirm.seeds", "seed 1 is the search's"),
    (
        {"search": {"seed": "11"}, "confirm": {"seeds": [11]}},
        "confirm.seeds",
        "seed 11 is the search's",
    ),
    (
        {"search": {"seed": 11.0}, "confirm": {"seeds": ["11"]}},
        "confirm.seeds",
        "seed 11 is the search's",
    ),
    ({"confirm": {"seeds": [-1]}}, "confirm.seeds[0]", "greater than or equal to 0, got -1"),
    (
        {"per_task": {"glue/rtt": {}}},
        "per_task.glue/rtt",
        "did you mean 'glue/rte'?",
    ),
    ({"per_task": {MRPC: {}}}, "per_task.glue/mrpc", "none of the study's tasks: glue/rte"),
    ({"per_task": {RTE: {"spaces": {}}}}, "per_task.glue/rte.spaces", "did you mean 'space'?"),
    ({"published": [{"row": "A", "results": {}}]}, "published[0].source", "required"),
]


@pytest.mark.parametrize(("parts", "place", "text"), WRONG)
def test_a_mistake_is_named_where_it_stands_with_what_would_do(parts, place, text):
    found = problems(raw(**parts))
    assert list(found) == [place]
    assert text in found[place]


def published(task, **result):
    return {"published": [{"row": "A", "source": "a", "results": {task: result}}]}


@pytest.mark.parametrize(
    ("task", "result", "place", "text"),
    [
        ("glue/rt", {}, "", "did you mean 'glue/rte' or 'superglue/rte'?"),
        (RTE, {"settings": {"LRR": 1}}, ".settings.LRR", "did you mean 'LR'?"),
        (RTE, {"settings": {"BSZ": 0}}, ".settings.BSZ", "greater than or equal to 1, got 0"),
        (RTE, {"scores": {"acuracy": 9}}, ".scores", "no score named 'acuracy'; did you mean"),
        (RTE, {"scores": {"mismatched.accuracy": 9}}, ".scores", "no score named 'mismatched."),
        (RTE, {"scores": {"accuracy": 905}}, ".scores.accuracy", "less than or equal to 100"),
        (RTE, {"scores": {"accuracy": "high"}}, ".scores.accuracy", "a number is needed"),
    ],
)
def test_published_rows_are_checked_against_tasks_hyperparameters_and_metrics(
    task, result, place, text
):
    found = problems(raw(**published(task, **result)))
    assert list(found) == [f"published[0].results.{task}{place}"]
    assert text in found[f"published[0].results.{task}{place}"]


def test_published_scores_may_be_of_any_dev_split_or_of_the_test_set():
    scores = {"accuracy": 90.5, "mismatched.accuracy": 90.4, "test.mismatched.accuracy": 90}
    read = study.parse(raw(**published(MNLI, scores=scores)))
    assert read.published[0].results[MNLI].scores == scores


CONTINUOUS = {"LR": {"log": [1e-5, 1e-3]}}


@pytest.mark.parametrize("sampler", ["grid", "cmaes"])
def test_what_a_sampler_needs_is_checked_for_every_task(sampler):
    place = {"grid": "per_task.glue/mrpc.space.LR", "cmaes": "search.sampler"}[sampler]
    text = {"grid": "a grid needs {choice", "cmaes": "glue/mrpc has 0; use tpe"}[sampler]
    space = {"grid": SPACE, "cmaes": {**CONTINUOUS, "BSZ": {"int": [8, 32]}}}[sampler]
    own = {"grid": CONTINUOUS, "cmaes": {"LR": SPACE["LR"], "BSZ": {"choice": [8, 16]}}}[sampler]
    parts = {"tasks": [RTE, MRPC], "space": space, "search": {"sampler": sampler}}
    study.parse(raw(**parts))
    assert text in problems(raw(**parts, per_task={MRPC: {"space": own}}))[place]


def test_a_task_that_fixes_a_continuous_name_may_be_searched_on_a_grid():
    parts = {"space": {**SPACE, **CONTINUOUS}, "search": {"sampler": "grid"}}
    assert "space.LR" in problems(raw(**parts))
    study.parse(raw(**parts, per_task={RTE: {"fixed": {"LR": 1e-5}}}))


def test_a_grid_too_large_to_list_is_refused():
    space = {"BSZ": {"int": [1, 1000]}, "epoch_examples": {"int": [1, 1000]}}
    found = problems(raw(space=space, search={"sampler": "grid"}))
    assert found["search.sampler"].startswith("a grid of 1,000,000 configurations for glue/rte")


def test_a_configuration_to_start_from_has_to_fit_one_task_only():
    own = {"LR": {"choice": [5e-5]}, "BSZ": {"choice": [4]}}
    start = [{"LR": 1e-5, "BSZ": 9}, {"LR": 5e-5, "BSZ": 4}]
    parts = raw(tasks=[RTE, MRPC], per_task={MRPC: {"space": own}}, search={"start_from": start})
    read = study.parse(parts)
    assert (read.resolve(RTE).initial_points, read.resolve(MRPC).initial_points) == (
        [start[0]],
        [start[1]],
    )
    study.parse(parts, tasks=[RTE])  # the other one is not wrong for that


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ("", "file", "got an empty file"),
        ("# nothing\n", "file", "got an empty file"),
        ("- tasks\n- model\n", "file", "a mapping of names to values, got a list"),
        ("glue/rte", "file", "got a text"),
        ("tasks: [glue/rte\nmodel: {", "line 2", "not YAML"),
        ("tasks: [glue/rte]\n\tmodel: x\n", "line 2", "not YAML: found character '\\t'"),
        ("model: a\ntasks: [glue/rte]\nmodel: b\n", "line 3", "twice, first in line 1: keep one"),
        ("tasks: [glue/rte]\n\tmodel: x\n", "line 2", "indent with spaces"),
        ("tasks: [glue/rte]\n---\nmodel: x\n", "line 2", "but found another document"),
        ("model: x\nfixed: {LR: 2020-13-45}\n", "line 2", "a date in YAML; put it in quotes"),
        ("model: " + 5000 * "1", "line 1", "not YAML: Exceeds the limit"),
        ("? [a, b]\n: 3\n", "line 1", "not YAML: found unhashable key"),
        ("model: !!python/object:os.system {}\n", "line 1", "the tag !!python/object:os.system"),
        (b"\x89PNG\r\n\x1a\n\x00", "line 1", "byte 0x89 is not UTF-8"),
        (b"a: 1\nb: \x00\x01", "line 2", "holds the character '\\x00'"),
        (b"# A\ntasks: [glue/rte] # caf\xe9", "line 2", "byte 0xe9 is not UTF-8"),
        ("tasks: " + 1000 * "[", "file", "nested too deeply"),
        ("# " + 2**20 * "x", "file", "larger than 256 KiB"),
    ],
)
def test_what_is_no_study_is_refused_with_its_line(tmp_path, text, place, cause):
    at, said = refusal(write(tmp_path, text))
    assert at == place
    assert cause in said


def test_a_file_that_is_not_there_is_named_with_its_neighbour(tmp_path):
    write(tmp_path, "", "amos-glue.yaml")
    assert "did you mean 'amos-glue.yaml'?" in refusal(tmp_path / "amos-gleu.yaml")[1]
    assert refusal(tmp_path / "none" / "x.yaml") == ("file", "no such file")
    assert refusal(tmp_path) == ("file", "cannot be read: Is a directory")


def test_keys_that_stand_twice_are_told_with_everything_else(tmp_path):
    text = "tasks: [glue/rte]\nmodel: a\nspace: {LR: {choice: [1]}, LR: {choice: [2]}}\nmodel: b\n"
    with pytest.raises(InputError) as caught:
        study.load(write(tmp_path, text + "fixd: {}\n"))
    assert [(p.location, p.text[:17]) for p in caught.value.problems] == [
        ("line 3", "'LR' appears twic"),
        ("line 4", "'model' appears t"),
        ("fixd", "no field named 'f"),
    ]


def test_an_unknown_recipe_hides_nothing_else():
    found = problems(raw(recipe="finetun", fixed={"LR": "fast"}, confirm={"seeds": [1]}))
    assert {"recipe", "fixed.LR", "confirm.seeds"} <= set(found)
    found = problems(raw(recipe="other", fixed={"alpha": 1}, confirm={"seeds": [1]}))
    assert set(found) == {"recipe", "confirm.seeds"}  # it may well have an alpha


def test_long_input_is_not_repeated_whole():
    fixed = {"LR": "x" * 10_000, "y" * 10_000: 1}
    text = problems(raw(model=list(range(10_000)), fixed=fixed, tasks=["z" * 10_000]))
    assert all(len(said) < 140 for said in text.values())


def test_names_that_are_numbers_are_no_names():
    assert list(problems({**raw(), 1: 2})) == ["1"]
    assert list(problems(raw(space={3: {"choice": [1]}}))) == ["space.3"]
    assert list(problems(raw(per_task={3: {}}))) == ["per_task.3"]


def test_an_alias_may_be_used_again_and_overridden(tmp_path):
    path = write(tmp_path, """\
tasks: [glue/rte, glue/mrpc]
model: scratch
space: &all {LR: {choice: [1e-5]}, BSZ: {choice: [8]}}
per_task: {glue/mrpc: {space: {<<: *all, BSZ: {choice: [16]}}}}
""")  # fmt: skip
    read = study.load(path)
    assert read.resolve(MRPC).space["BSZ"].choice == (16,)
    assert read.resolve(RTE).space["BSZ"].choice == (8,)


WHOLE = {
    "tasks": [RTE, MNLI],
    "model": "bert-base-uncased",
    "space": {"LR": {"log": [1e-5, 1e-3]}, "WARMUP": {"choice": [16, {"steps": 50}]},
              "clip": {"choice": ["none", 1.0]}},
    "fixed": {"dropout": "none", "adam_betas": [0.9, 0.98], "evaluations": {"per_epoch": 2}},
    "per_task": {MNLI: {"space": {"LR": {"choice": ["1e-5"]}}, "fixed": {"clip": "none"}}},
    "search": {"trials": 4, "stop_early": {"at": [0.5]}, "hours": 2,
               "start_from": [{"LR": 1e-4, "WARMUP": {"steps": 50}, "clip": "none"}]},
    "confirm": {"top": 1, "seeds": [11, 12], "report": "mean"},
    **published(RTE, settings={"LR": "1e-5"}, scores={"accuracy": 70}),
}  # fmt: skip


def test_a_dumped_study_is_read_back_the_same(tmp_path):
    read = study.parse(WHOLE, name="whole")
    again = study.load(write(tmp_path, study.dump(read), "other.yaml"))
    assert again == read
    assert study.same_trials(again, read)
    assert again.name == "whole"
    assert again.resolve(RTE).initial_points == [
        {"LR": 1e-4, "WARMUP": {"steps": 50}, "clip": None}
    ]
    assert not study.same_trials(again, study.parse(WHOLE, trials=5))


def test_the_name_of_a_study_is_that_of_its_file(tmp_path):
    assert study.load(write(tmp_path, "tasks: toy/grammar\nmodel: scratch\n")).name == "mine"


def test_patterns_stand_for_the_tasks_that_can_be_trained():
    read = study.parse(raw(tasks=["glue/*", RTE]))
    assert len(read.tasks) == 9
    assert "glue/ax" not in read.tasks


def test_what_a_task_says_of_its_own_wins():
    read = study.parse(raw(
        tasks=[RTE, MRPC, MNLI],
        fixed={"EPOCH": 3, "dropout": 0.2},
        per_task={
            MRPC: {"fixed": {"LR": 3e-5, "EPOCH": 5}},
            MNLI: {"space": {"LR": {"choice": [5e-5]}, "EPOCH": {"choice": [2, 3]}}},
        },
    ))  # fmt: skip
    assert set(read.resolve(RTE).space) == {"LR", "BSZ"}
    assert set(read.resolve(MRPC).space) == {"BSZ"}
    assert read.resolve(MRPC).fixed == {"EPOCH": 5, "dropout": 0.2, "LR": 3e-5}
    assert set(read.resolve(MNLI).space) == {"LR", "BSZ", "EPOCH"}
    assert read.resolve(MNLI).fixed == {"dropout": 0.2}
    assert read.resolve(MNLI).hyperparameters({"EPOCH": 2}).dropout == 0.2
    assert [read.resolve(task).planned_trials for task in (RTE, MNLI)] == [16, 16]
    assert study.parse(raw(space={"LR": SPACE["LR"]})).resolve(RTE).planned_trials == 2


def test_a_set_value_is_fixed_wherever_it_was_searched_or_fixed():
    parts = raw(
        tasks=[RTE, MRPC],
        fixed={"EPOCH": 3},
        per_task={MRPC: {"space": {"LR": {"choice": [5e-5]}}, "fixed": {"EPOCH": 5}}},
    )
    read = study.parse(parts, set={"LR": "3e-5", "EPOCH": 1}, trials=2, tasks=[MRPC], model="x")
    assert (read.tasks, read.model, read.search.trials) == ((MRPC,), "x", 2)
    assert set(read.resolve(MRPC).space) == {"BSZ"}
    assert read.resolve(MRPC).fixed == {"LR": 3e-5, "EPOCH": 1}


@pytest.mark.parametrize(
    ("values", "place", "text"),
    [
        ({"LRR": 1}, "fixed.LRR", "did you mean 'LR'?"),
        ({"LR": "fast"}, "fixed.LR", "a number is needed, got 'fast'"),
        ({"LR": None}, "fixed.LR", "a number is needed, got None"),
    ],
)
def test_a_wrong_set_value_is_refused_like_one_in_the_file(values, place, text):
    assert text in problems(raw(), set=values)[place]


def test_overrides_do_not_hide_what_is_wrong_in_the_file():
    found = problems(raw(search=5, per_task=[1], space=3), set={"LR": 1}, trials=3)
    assert set(found) == {"search", "per_task", "space"}


def test_set_values_may_be_texts_of_which_all_that_is_wrong_is_told():
    read = study.parse(raw(), set=["LR=3e-5", "WARMUP={steps: 9}", "adam_betas=[0.9, 0.98]"])
    assert read.fixed == {"LR": 3e-5, "WARMUP": {"steps": 9}, "adam_betas": (0.9, 0.98)}
    wrong = ["LR", "BSZ=[1", "clip=2020-13-45", "EPOCH=3", "EPOCH=4", "LRR=1"]
    found = problems(raw(fixed={"dropout": 2}), set=wrong)
    assert found["--set LR"] == "write it as NAME=VALUE"
    assert found["--set BSZ=[1"].startswith("the value is not YAML")
    assert found["--set clip=2020-13-45"].startswith("the value is not YAML")
    assert found["--set EPOCH=4"] == "is given twice: keep one of the two"
    assert list(found)[-2:] == ["fixed.LRR", "fixed.dropout"]


def test_a_study_trains_in_the_languages_that_it_names():
    study = parse({"tasks": ["xtreme/panx", "glue/rte"], "model": "scratch", "train": ["en", "sw"]})
    assert [split.name for split in study.resolve("xtreme/panx").training_splits] == [
        "train",
        "train-sw",
    ]
    assert [split.name for split in study.resolve("glue/rte").training_splits] == ["train"]
    assert study.resolve("xtreme/panx").selection_metric == "dev.entity_f1"
    mean = parse({"tasks": ["xtreme/panx"], "model": "scratch", "search": {"select_on": "mean"}})
    assert mean.resolve("xtreme/panx").selection_metric == "dev.mean.entity_f1"


def test_a_language_without_a_training_set_is_named():
    with pytest.raises(InputError, match="no training language named 'xx'"):
        parse({"tasks": ["xtreme/panx"], "model": "scratch", "train": ["en", "xx"]})


@pytest.mark.parametrize(
    ("task", "fixed", "field"),
    [("squad/v2.0", {"max_length": 64, "query_length": 64}, "query_length"),
     ("race/high", {"max_length": 128}, "qa_length")],
)  # fmt: skip
def test_lengths_that_leave_no_room_for_the_text_are_refused(task, fixed, field):
    with pytest.raises(InputError, match=f"{field} .* leaves no room in max_length"):
        parse({"tasks": [task], "model": "scratch", "fixed": fixed})


@pytest.mark.parametrize("model", ["scratch:0x64", "scratch:2x", "scratch:abc", "scratch:2x129"])
def test_a_shape_from_scratch_that_cannot_be_is_a_problem(model):
    assert [problem.location for problem in model_problems(model)] == ["model"]
    assert model_problems("scratch:2x64") == []


def test_a_file_and_a_name_that_no_hub_takes_are_no_models(tmp_path):
    path = write(tmp_path, "a,b", "model.csv")
    assert f"'{path}' is a file"[:50] in model_problems(str(path))[0].text
    assert "no folder 'mmm" in model_problems("m" * 5000)[0].text
    assert model_problems("~/m")[0].text.endswith("write the path in full")
    assert len(model_problems("m" * 5000)[0].text) < 140


def test_a_language_stands_once():
    found = problems({"tasks": ["xtreme/panx"], "model": "scratch", "train": ["en", "de", "en"]})
    assert found == {"train[2]": "each language may appear only once, got 'en' again"}


# What no task reads ----------------------------------------------------------------------------

PANX = "xtreme/panx"


def of_head(head):
    """Some task of a head that fine-tuning trains."""
    return next(name for name, task in TASKS.items() if task.head == head and task.train)


FOREIGN = [
    (name, head)
    for name, readers in Hyperparameters.read_by_heads().items()
    for head in ("classify", "span", "tag")
    if head not in readers and name in Hyperparameters.model_fields
]


@pytest.mark.parametrize(("name", "head"), FOREIGN)
def test_a_hyperparameter_that_no_task_reads_is_named_with_those_that_do(name, head):
    task, default = of_head(head), Hyperparameters.model_fields[name].default
    fixed = {"tasks": [task], "model": "scratch", "fixed": {name: default, "max_length": 384}}
    readers = ", ".join(Hyperparameters.read_by_heads()[name])
    text = f"only {readers} tasks read it, these are {head} tasks: leave it out"
    assert problems(fixed) == {f"fixed.{name}": text}
    reader = next(
        head for head in Hyperparameters.read_by_heads()[name] if head in RECIPES["finetune"].heads
    )
    study.parse({**fixed, "tasks": [task, of_head(reader)]})


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"space": {"beam": {"int": [1, 5]}}}, "space.beam"),
        ({"per_task": {RTE: {"fixed": {"beam": 5}}}}, "per_task.glue/rte.fixed.beam"),
        ({"per_task": {RTE: {"space": {"beam": {"int": [1, 5]}}}}}, "per_task.glue/rte.space.beam"),
        ({"search": {"start_from": [{"LR": 1e-5, "BSZ": 8, "beam": 5}]}},
         "search.start_from[0].beam"),
    ],
)  # fmt: skip
def test_a_hyperparameter_of_other_heads_is_found_wherever_it_stands(parts, place):
    assert list(problems(raw(**parts))) == [place]


def test_a_name_that_is_not_known_to_be_a_task_accuses_nothing_else():
    found = problems(raw(tasks=[RTE, "squad/v1"], fixed={"beam": 5}, per_task={MRPC: {}}))
    assert list(found) == ["tasks[1]"]


MIXED = {
    "tasks": [RTE, PANX],
    "model": "scratch",
    "train": ["en", "sw"],
    "space": {"LR": {"choice": [1e-5, 2e-5]}},
    "fixed": {"pooling": "sum", "dropout": 0.1},
    "per_task": {PANX: {"space": {"LR": {"choice": [5e-5]}}, "fixed": {"EPOCH": 10}}},
    "search": {"select_on": "mean", "start_from": [{"LR": 1e-5}, {"LR": 5e-5, "pooling": "sum"}]},
}


def test_a_study_of_several_heads_may_be_cut_to_one_of_its_tasks_and_read_again(tmp_path):
    whole = study.parse(MIXED)
    assert (whole.fixed["pooling"], whole.search.select_on) == ("sum", "mean")
    for task in MIXED["tasks"]:
        one = study.parse(MIXED, tasks=[task])
        again = study.load(write(tmp_path, study.dump(one)))
        assert again == one
        assert again.resolve(task).shared == one.resolve(task).shared
        assert again.resolve(task).initial_points == whole.resolve(task).initial_points
        assert again.resolve(task).selection_metric == whole.resolve(task).selection_metric
        assert again.resolve(task).training_splits == whole.resolve(task).training_splits
    alone = study.parse(MIXED, tasks=[RTE])
    assert (alone.train, alone.fixed, alone.per_task) == ((), {"dropout": 0.1}, {})
    assert alone.search.start_from == ({"LR": 1e-5},)


def test_what_is_dumped_for_one_task_of_several_can_be_read(tmp_path):
    winner = study.parse(MIXED).model_copy(update={"tasks": (RTE,)})
    assert study.load(write(tmp_path, study.dump(winner))).fixed == {"dropout": 0.1}


def test_a_study_may_be_run_on_tasks_that_its_file_does_not_name():
    other = study.parse(MIXED, tasks=["squad/v1.1"])
    assert "pooling" not in other.fixed
    assert list(problems(MIXED, tasks=["squad/v1.1"], set={"segments": "qa_first"})) == [
        "fixed.segments"
    ]


# What is told besides ---------------------------------------------------------------------------


def seen(path, **overrides):
    """What is asked for further problems, and all the problems then."""
    asked = []

    def further(sketch):
        asked.append(sketch)
        return [Problem(location="data", text="gone")]

    with pytest.raises(InputError) as caught:
        study.load(path, further_checks=further, **overrides)
    (sketch,) = asked
    return sketch, [problem.location for problem in caught.value.problems]


def test_what_can_be_told_of_a_study_with_problems_is_looked_at_as_well(tmp_path):
    text = "tasks: [glue/rte, glue/x, xtreme/panx]\nmodel: m\ntrain: [en, sw]\nleave_out: '3'\n"
    wrong = "space: {LR: 3}\nper_task: {glue/rte: {model: n, fixed: 3}}\n"
    sketch, places = seen(write(tmp_path, text + wrong))
    assert places == ["tasks[1]", "space.LR", "per_task.glue/rte.fixed", "data"]
    assert sketch.tasks == (RTE, PANX)
    assert (sketch.resolve(RTE).model, sketch.resolve(PANX).model, sketch.leave_out) == (
        "n",
        "m",
        3,
    )
    assert [split.name for split in sketch.resolve(PANX).training_splits] == ["train", "train-sw"]


@pytest.mark.parametrize(
    ("text", "overrides", "tasks", "model"),
    [
        ("tasks: 3\nmodel: [x]\ntrain: 5\nleave_out: many\n", {}, (), "scratch"),
        ("", {}, (), "scratch"),
        ("tasks: [glue/rte", {"tasks": [RTE, "glue/x"], "model": "m"}, (RTE,), "m"),
    ],
)
def test_what_cannot_be_told_is_left_out_of_the_look(tmp_path, text, overrides, tasks, model):
    sketch, places = seen(write(tmp_path, text), **overrides)
    assert (sketch.tasks, sketch.model, sketch.train, sketch.leave_out) == (tasks, model, (), 0)
    assert places[-1] == "data"


def test_a_study_without_problems_asks_for_no_further_ones():
    study.parse(raw(), further_checks=lambda _: pytest.fail("asked"))


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
BEGUN = "tasks: [toy/grammar]\nmodel: scratch\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        (BOMB + "tasks: *a8\nmodel: scratch\n", "line 4", "with those of aliases"),
        (BEGUN + BOMB + "fixed: {<<: [*a8, *a8]}\n", "line 6", "with those of aliases"),
        (BEGUN + "space: &s {LR: *s}\n", "line 3", "'*s' stands for a value that holds it"),
        (BEGUN + "fixed: {BSZ: !!binary Mw==}\n", "line 3", "cannot use the tag !!binary"),
        (BEGUN + "fixed: !!set {a, b}\n", "line 3", "cannot use the tag !!set"),
        (BEGUN + "name: !own x\n", "line 3", "cannot use the tag !own"),
        (BEGUN + "name: 2020-01-01\n", "line 3", "'2020-01-01' is a date in YAML"),
        (BEGUN + "fixed: {BSZ: 1:30}\n", "line 3", "'1:30' is another number in YAML"),
        (BEGUN + "fixed: {BSZ: 010}\n", "line 3", "'010' is another number in YAML"),
        (BEGUN + "fixed: {BSZ: !!int ''}\n", "line 3", "'' is no int"),
        (BEGUN + "fixed: {compile: !!bool maybe}\n", "line 3", "'maybe' is no bool"),
        (BEGUN + f"fixed: {{BSZ: 0x1{'0' * 5000}}}\n", "fixed.BSZ", "20,001 bits"),
        (BEGUN + f"fixed: {{LR: 1{'0' * 400}}}\n", "fixed.LR", "1,329 bits; at most 63"),
        (BEGUN + "fixed: {LR: 1.0e+400}\n", "fixed.LR", "a finite number is needed, got inf"),
        (BEGUN + 'name: "a\\0b"\n', "name", "holds the character \\x00"),
        (BEGUN + 'name: "a\\e[31mb"\n', "name", "holds the character \\x1b"),
        (BEGUN + 'name: "a\\ud800"\n', "name", "holds the character \\ud800"),
        (BEGUN + 'name: "a\\u202eb"\n', "name", "holds the character \\u202e"),
        (BEGUN + f"name: {'x' * 300}\n", "name", "at most 255 characters"),
        (BEGUN + "recipe: " + "y" * 20_000 + "\n", "recipe", "has 20,000 characters"),
        (BEGUN + "cluster_name: x\n", "cluster_name", "no field named"),
        ("cluster_name: x\nprovider: {}\nfoo: 1\n", "file", "a cluster file of Ray: `ray up`"),
        (BEGUN + f"train: [{','.join(['2'] * 100_000)}]\n", "line 3", "more than 10,000"),
        (BEGUN + "#" + "x" * 10_000_000, "file", "larger than 256 KiB"),
    ],
)  # fmt: skip
def test_what_yaml_can_and_a_study_need_not_is_refused_within_seconds(tmp_path, text, place, cause):
    began = time.monotonic()
    assert refusal(write(tmp_path, text))[0] == place
    assert cause in refusal(tmp_path / "mine.yaml")[1]
    assert time.monotonic() - began < 20  # twice; on a quiet machine each is below 2


def test_many_unknown_names_are_counted_and_the_first_told():
    fixed = {f"LRR{n}": 1 for n in range(9000)}
    with pytest.raises(InputError) as caught:
        study.parse(raw(fixed=fixed))
    shown, (rest,) = caught.value.problems[:-1], caught.value.problems[-1:]
    assert sum(problem.count for problem in caught.value.problems) == 9000
    assert len(shown) == 12
    assert "did you mean 'LR'?" in shown[0].text
    assert (rest.location, rest.text) == ("fixed", "8,988 more names of no hyperparameter")


@pytest.mark.parametrize("part", ["tasks", "train", "per_task", "top", "published"])
def test_many_names_of_any_kind_are_told_in_time(part):
    names = [f"glue/rt{n}" for n in range(3000)]
    values = {
        "tasks": raw(tasks=names),
        "train": raw(tasks=["xtreme/xnli"], train=names),
        "per_task": raw(per_task={name: {} for name in names}),
        "top": {**raw(), **dict.fromkeys(names, 1)},
        "published": raw(published=[{"row": "", "source": "", "results": {n: {} for n in names}}]),
    }  # fmt: skip
    began = time.monotonic()
    with pytest.raises(InputError) as caught:
        study.parse(values[part])
    assert sum(problem.count for problem in caught.value.problems) == 3000
    assert len(caught.value.problems) <= 13
    assert time.monotonic() - began < 20


def test_a_mapping_of_a_caller_has_the_same_limits_as_a_file():
    bomb = ["x"] * 10
    for _ in range(8):
        bomb = [bomb] * 10
    own: list = []
    own.append(own)
    assert "more than 10,000 names and values" in problems(raw(tasks=bomb))["file"]
    assert "nested too deeply" in problems(raw(space=own))["file"]
    assert "at most 63 would do" in problems(raw(search={"trials": 10**400}))["search.trials"]
    assert "got a set" in problems(raw(tasks={"glue/rte"}))["tasks"]
    assert "got a bytes" in problems(raw(fixed={"BSZ": b"3"}))["fixed.BSZ"]
    assert "a smaller number" not in str(problems(raw(), set={"LR": 10**400}))
    assert "fixed.LR" in problems(raw(), set={"LR": 10**400})


def test_a_value_that_was_refused_hides_no_other_problem_and_makes_none():
    found = problems(raw(model="a\x1b", fixed={"LR": 10**400, "BZS": 3}, confirm={"tpo": 1}))
    assert set(found) == {"model", "fixed.LR", "fixed.BZS", "confirm.tpo"}


@pytest.mark.parametrize(
    ("fixed", "cause"),
    [
        ({"LR": 0}, "greater than 0"),
        ({"LR": 11}, "less than or equal to 10"),
        ({"BSZ": 10**12}, "less than or equal to 2147483648"),
        ({"EPOCH": {"steps": 0}}, "at least one step"),
        ({"EPOCH": 1e308}, "less than or equal to"),
        ({"evaluations": 10**11}, "at most 100,000 evaluations"),
        ({"LR": "1_0"}, "a number is needed"),
        ({"LR": "\u0663"}, "a number is needed"),
    ],
)
def test_values_that_make_no_sense_are_refused(fixed, cause):
    (text,) = problems(raw(space={}, fixed=fixed)).values()
    assert cause in text


def test_a_teacher_trains_at_least_one_step():
    fixed = {"teacher_EPOCH": {"steps": 0}}
    found = problems({"tasks": ["xtreme/panx"], "model": "scratch", "recipe": "stabletune",
                      "fixed": fixed})  # fmt: skip
    assert "at least one step" in found["fixed.teacher_EPOCH"]


@pytest.mark.slow
def test_values_that_are_seldom_meant_are_told_once():
    read = study.parse(
        raw(tasks=[RTE, MRPC], space={"LR": {"log": [1e-5, 5]}}, fixed={"dropout": 0.9})
    )
    assert [line.partition(":")[0] for line in unusual_value_notes(read)] == [
        "LR 5 is unusual", "dropout 0.9 is unusual",
    ]  # fmt: skip
    assert unusual_value_notes(study.parse(raw())) == []
    assert [
        name
        for name, path in study.shipped_studies().items()
        if unusual_value_notes(study.load(path))
    ] == []


def test_a_range_of_many_whole_numbers_is_not_listed():
    wide = IntRange(int=(1, 2**53))
    assert 3 in wide
    assert 3.5 not in wide
    assert 2**53 + 2 not in wide
    assert count_points({"BSZ": wide, "LR": wide}) == math.inf
    with pytest.raises(ValueError, match=r"within 2\*\*53"):
        IntRange(int=(1, 10**18))
    with pytest.raises(ValueError, match="a narrower range"):
        Uniform(uniform=(-1.7e308, 1.7e308))


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_study_that_is_no_regular_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "x.yaml"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    assert refusal(path) == (
        "file",
        f"cannot be read: it is a {kind}, and only regular files are read",
    )


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        ("scratch:99999999999999x64", "is no shape"),
        ("scratch:" + "9" * 5000 + "x64", "is no shape"),
        ("scratch:1000000x64", "is larger than any encoder"),
        ("scratch:2x640000", "is larger than any encoder"),
        ("scratch:2x64:999999999", "is larger than any encoder"),
        ("scratch:\u0662x\u0666\u0664", "is no shape"),
    ],
)
def test_a_model_from_scratch_has_a_size_that_there_may_be(model, cause):
    (problem,) = model_problems(model)
    assert cause in problem.text
    assert model_problems("scratch:12x768:30000") == []


def test_deviations_are_texts_and_change_no_trial(tmp_path):
    from raysearch.run_folder.trial_identity import TrialOrigin, trial_id

    raw = {"tasks": ["glue/rte"], "model": "scratch", "fixed": {"LR": 1e-5}}
    texts = ["Dev examples are cut.", "Line one\nand two: # no comment"]
    plain, told = parse(raw), parse({**raw, "deviations": texts})
    assert told.deviations == tuple(texts)
    origin = TrialOrigin(content={"glue/rte": "x"})
    ids = [trial_id(searched, "glue/rte", "search", {}, 1, origin) for searched in (plain, told)]
    assert ids[0] == ids[1]
    path = tmp_path / "again.yaml"
    path.write_text(study.dump(told))
    assert study.load(path).deviations == told.deviations
    assert "deviations" not in study.dump(plain)


def test_a_deviation_that_says_nothing_is_refused():
    raw = {"tasks": ["glue/rte"], "model": "scratch", "deviations": [" ", 3]}
    with pytest.raises(InputError) as caught:
        parse(raw)
    assert [problem.location for problem in caught.value.problems] == [
        "deviations[0]",
        "deviations[1]",
    ]
