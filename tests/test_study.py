"""Reading a study: what is read, and what is refused, all of it at once and each with its place."""

import pytest
import yaml

from raysearch import parse, study
from raysearch.errors import InputError
from raysearch.study.names import model_problems

RTE, MRPC, MNLI = "glue/rte", "glue/mrpc", "glue/mnli"
SPACE = {"LR": {"choice": [1e-5, 2e-5]}, "BSZ": {"int": [8, 32]}}


def raw(**parts):
    return {"tasks": [RTE], "model": "scratch", "space": SPACE, **parts}


def problems(given, **overrides):
    """Place -> text of everything that is wrong."""
    with pytest.raises(InputError) as caught:
        study.parse(given, **overrides)
    return {problem.place: problem.text for problem in caught.value.problems}


def write(folder, text, name="mine.yaml"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def refusal(path):
    with pytest.raises(InputError) as caught:
        study.load(path)
    assert caught.value.source == str(path)
    (problem,) = caught.value.problems
    return problem.place, problem.text


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
    found = {problem.place: problem.text for problem in caught.value.problems}
    assert found["tasks[0]"] == "no task named 'glue/rtee'; did you mean 'glue/rte'?"
    assert found["modle"] == "no field named 'modle'; did you mean 'model'?"
    assert found["space.LR"] == "low must be below high, got [5e-05, 5e-06]"
    assert found["space.BSZ"].startswith("takes no fractions: write {int: [low, high]}")
    assert found["space.alhpa"].startswith("no hyperparameter named 'alhpa'; there are: BSZ")
    assert found["fixed.dropout"] == "input should be less than 1, got 1.5"
    assert "did you mean 'EPOCH'?" in found["per_task.glue/mrpc.fixed.EPOHC"]
    assert "'tpe', 'random', 'grid' or 'cmaes', got 'tpee'" in found["search.sampler"]
    assert found["search.start_from[0].LR"] == "a number is needed, got 'fast'"
    assert "each seed stands once, got [1, 2, 2]" in text
    assert "seed 1 chose the configurations; confirm with fresh ones" in text


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
    assert read.space["weight_decay"].range == (1e-4, 0.1)
    assert read.fixed == {"adam_eps": 1e-6, "adam_betas": (0.9, 0.999)}
    assert read.per_task[RTE].space["EPOCH"].choice == (10.0, 3)
    assert (read.search.hours, read.search.stop_early.keep) == (0.5, 0.3)
    assert read.search.stop_early.at == (0.5,)
    assert read.start(RTE) == [{"LR": 1e-5, "weight_decay": 0.01, "EPOCH": 10}]
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
    assert found[f"space.{name}"] == f"each choice stands once, got {choice}"


WRONG = [
    ({"space": {"LR": 3}}, "space.LR", "write exactly one of {choice: [...]}"),
    ({"space": {"LR": {"lgo": [1, 2]}}}, "space.LR.lgo", "did you mean 'log'?"),
    ({"space": {"LR": {"log": [1e-5]}}}, "space.LR.log[1]", "one value more is needed"),
    ({"space": {"LR": {"log": [1e-5, 100]}}}, "space.LR", "less than or equal to 10, got 100"),
    ({"space": {"seed": {"choice": [1]}}}, "space.seed", "seeds are not searched: see search.seed"),
    ({"space": {"max_length": {"choice": [64, 128]}}}, "space.max_length", "put it under fixed"),
    ({"fixed": {"LR": 1e-5}}, "fixed.LR", "searched under space as well: keep one of the two"),
    ({"fixed": [1]}, "fixed", "a mapping is needed, got [1]"),
    ({"fixed": {"adam_betas": [0.9, 1.5]}}, "fixed.adam_betas", "[0, 1), got [0.9, 1.5]"),
    ({"fixed": {"weight_decay": float("inf")}}, "fixed.weight_decay", "a finite number"),
    ({"fixed": {"max_length": 16.5}}, "fixed.max_length", "a whole number is needed, got 16.5"),
    ({"fixed": {"EPOCH": {"stpes": 3}}}, "fixed.EPOCH", "or {steps: N}"),
    ({"fixed": {"evaluations": {"per_epoc": 2}}}, "fixed.evaluations", "or {per_epoch: N}"),
    ({"tasks": []}, "tasks", "at least one task name, got []"),
    ({"tasks": ["glue/ax"]}, "tasks[0]", "no training data: it is predicted, not searched"),
    ({"model": 5}, "model", "text is needed, got 5"),
    ({"recipe": "finetun"}, "recipe", "did you mean 'finetune'?"),
    ({"name": "../up"}, "name", "a name without slashes"),
    ({"search": 5}, "search", "a mapping is needed, got 5"),
    ({"search": {"trials": 0}}, "search.trials", "greater than or equal to 1, got 0"),
    ({"search": {"trials": True}}, "search.trials", "a whole number is needed, got True"),
    ({"search": {"hours": 0}}, "search.hours", "greater than 0, got 0"),
    ({"search": {"seed": 2**31}}, "search.seed", "less than 2147483648"),
    ({"search": {"stop_early": "maybe"}}, "search.stop_early", "true, false or {at: [fractions]"),
    ({"search": {"stop_early": {"at": [0.5, 1]}}}, "search.stop_early.at[1]", "less than 1, got 1"),
    ({"search": {"stop_early": {"at": []}}}, "search.stop_early.at", "at least 1 item"),
    ({"search": {"start_from": "publishd"}}, "search.start_from", "'published' or a list of"),
    ({"search": {"start_from": [3]}}, "search.start_from", "list of configurations, got [3]"),
    ({"search": {"start_from": "published"}}, "search.start_from", "needs a published section"),
    ({"search": {"start_from": [{"LR": 1e-5}]}}, "search.start_from[0]", "it lacks BSZ"),
    (
        {"search": {"start_from": [{"LR": 3e-5, "BSZ": 99}]}},
        "search.start_from[0]",
        "not in the space: LR: 3e-05, BSZ: 99",
    ),
    ({"confirm": {"seeds": [11, 11]}}, "confirm.seeds", "each seed stands once, got [11, 11]"),
    ({"confirm": {"seeds": [1, 2]}}, "confirm.seeds", "confirm with fresh ones"),
    ({"confirm": {"seeds": [-1]}}, "confirm.seeds[0]", "greater than or equal to 0, got -1"),
    ({"per_task": {"glue/rtt": {}}}, "per_task.glue/rtt", "did you mean 'glue/rte'?"),
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
        ("glue/rt", {}, "", "did you mean 'glue/rte'?"),
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
    assert (read.start(RTE), read.start(MRPC)) == ([start[0]], [start[1]])
    study.parse(parts, tasks=[RTE])  # the other one is not wrong for that


@pytest.mark.parametrize(
    ("text", "place", "cause"),
    [
        ("", "file", "got an empty file"),
        ("# nothing\n", "file", "got an empty file"),
        ("- tasks\n- model\n", "file", "a mapping of names to values, got a list"),
        ("glue/rte", "file", "got a str"),
        ("tasks: [glue/rte\nmodel: {", "line 2", "not YAML"),
        ("tasks: [glue/rte]\n\tmodel: x\n", "line 2", "not YAML: found character '\\t'"),
        ("model: a\ntasks: [glue/rte]\nmodel: b\n", "line 3", "'model' stands twice"),
        ("model: !!python/object:os.system {}\n", "line 1", "not YAML: could not determine"),
        (b"\x89PNG\r\n\x1a\n\x00", "file", "not a text in UTF-8"),
        (b"a: \x00\x01", "file", "not a text in UTF-8"),
        (b"tasks: [glue/rte] # caf\xe9", "file", "not a text in UTF-8"),
        ("tasks: " + 1000 * "[", "file", "nested too deeply"),
        ("# " + 2**20 * "x", "file", "1 MiB are no study"),
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


def test_long_input_is_not_repeated_whole():
    text = problems(raw(model=list(range(10_000)), fixed={"LR": "x" * 10_000}))
    assert all(len(said) < 120 for said in text.values())


def test_names_that_are_numbers_are_no_names():
    assert problems({**raw(), 1: 2})
    assert problems(raw(space={3: {"choice": [1]}}))
    assert problems(raw(per_task={3: {}}))


def test_an_alias_may_be_used_again_and_overridden(tmp_path):
    path = write(tmp_path, """\
tasks: [glue/rte, glue/mrpc]
model: scratch
space: &all {LR: {choice: [1e-5]}, BSZ: {choice: [8]}}
per_task: {glue/mrpc: {space: {<<: *all, BSZ: {choice: [16]}}}}
""")  # fmt: skip
    read = study.load(path)
    assert read.space_of(MRPC)["BSZ"].choice == (16,)
    assert read.space_of(RTE)["BSZ"].choice == (8,)


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
    assert study.same(again, read)
    assert again.name == "whole"
    assert again.start(RTE) == [{"LR": 1e-4, "WARMUP": {"steps": 50}, "clip": None}]
    assert not study.same(again, study.parse(WHOLE, trials=5))


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
    assert set(read.space_of(RTE)) == {"LR", "BSZ"}
    assert set(read.space_of(MRPC)) == {"BSZ"}
    assert read.fixed_of(MRPC) == {"EPOCH": 5, "dropout": 0.2, "LR": 3e-5}
    assert set(read.space_of(MNLI)) == {"LR", "BSZ", "EPOCH"}
    assert read.fixed_of(MNLI) == {"dropout": 0.2}
    assert read.hyper(MNLI, {"EPOCH": 2}).dropout == 0.2
    assert [read.planned(task) for task in (RTE, MNLI)] == [16, 16]
    assert study.parse(raw(space={"LR": SPACE["LR"]})).planned(RTE) == 2


def test_a_set_value_is_fixed_wherever_it_was_searched_or_fixed():
    parts = raw(
        tasks=[RTE, MRPC],
        fixed={"EPOCH": 3},
        per_task={MRPC: {"space": {"LR": {"choice": [5e-5]}}, "fixed": {"EPOCH": 5}}},
    )
    read = study.parse(parts, set={"LR": "3e-5", "EPOCH": 1}, trials=2, tasks=[MRPC], model="x")
    assert (read.tasks, read.model, read.search.trials) == ((MRPC,), "x", 2)
    assert set(read.space_of(MRPC)) == {"BSZ"}
    assert read.fixed_of(MRPC) == {"LR": 3e-5, "EPOCH": 1}


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
    assert {"search", "per_task"} <= set(found)


def test_a_study_trains_in_the_languages_that_it_names():
    study = parse({"tasks": ["xtreme/panx", "glue/rte"], "model": "scratch", "train": ["en", "sw"]})
    assert [split.name for split in study.trainings("xtreme/panx")] == ["train", "train-sw"]
    assert [split.name for split in study.trainings("glue/rte")] == ["train"]
    assert study.selector("xtreme/panx") == "dev.entity_f1"
    mean = parse({"tasks": ["xtreme/panx"], "model": "scratch", "search": {"select_on": "mean"}})
    assert mean.selector("xtreme/panx") == "dev.mean.entity_f1"


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
    assert [problem.place for problem in model_problems(model)] == ["model"]
    assert model_problems("scratch:2x64") == []
