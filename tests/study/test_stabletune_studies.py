"""stabletune's studies against its scripts, copied from them a second time: what each task is
trained with in both settings and sizes, how many steps, and which trials share a teacher."""

import math
from functools import cache
from itertools import product

import pytest
from support.paths import ROOT

from raysearch import study
from raysearch.cli import describe
from raysearch.recipes import Steps
from raysearch.recipes.schedule import make_schedule
from raysearch.recipes.stabletune_hyperparameters import (
    StabletuneHyperparameters,
    teacher_configuration,
)
from raysearch.search_space import grid

FOLDER = ROOT
SETTINGS, SIZES = ("transfer", "translate"), ("base", "large")

# Both settings: first view, view, ratio of the latter; LR of base and large; EPOCH of stage 1 of
# both; stage 2's EPOCH or steps of both; tokens of a text.
TASKS = {
    "xnli": ("switch", "switch", 0.3, (7e-6, 5e-6), (10, 10), (10, 10), 256),
    "pawsx": ("switch", "switch", 0.5, (1e-5, 1e-5), (10, 10), (10, 10), 256),
    "panx": ("subwords", "subwords", 0.3, (1e-5, 7e-6), (10, 10), (10, 10), 128),
    "udpos": ("subwords", "subwords", 0.5, (2e-5, 5e-6), (10, 10), (10, 10), 128),
    "mlqa": ("switch", "subwords", 0.3, (3e-5, 1.5e-5), (4, 4), ("24000 steps",) * 2, 384),
    "xquad": ("switch", "subwords", 0.3, (3e-5, 1.5e-5), (4, 4), ("24000 steps",) * 2, 384),
    "tydiqa": ("subwords", "subwords", 0.3, (3e-5, 1.5e-5), (20, 10),
               ("5000 steps", "2500 steps"), 384),
}  # fmt: skip
LAMBDA2 = {
    "transfer": {"xnli": 5, "pawsx": 2, "panx": 5, "udpos": 0.3, "mlqa": 5, "xquad": 5,
                 "tydiqa": 5},
    "translate": {"xnli": 1, "pawsx": 1, "panx": 1, "udpos": 0.3, "mlqa": 0.5, "xquad": 0.1,
                  "tydiqa": 0.3},
}  # fmt: skip
RATIOS = {"subwords": "subword_ratio", "switch": "switch_ratio"}
PAIRS, TAGS, QUESTIONS = ("xnli", "pawsx"), ("panx", "udpos"), ("mlqa", "xquad", "tydiqa")
# Training examples, steps of stage 1 and of stage 2, evaluations of stage 2 (every 5000, 1000, 1000
# and 500 steps, of pairs at the end of each epoch as well).
COUNTED = {
    "xnli": (392_702, 122_720, 245_440, 59),
    "pawsx": (49_401, 15_440, 30_880, 40),
    "panx": (20_000, 6_250, 12_500, 12),
    "udpos": (21_253, 6_650, 13_290, 26),
}
EVERYTHING = [(*where, task) for where in product(SETTINGS, SIZES) for task in TASKS]


@cache
def load(setting, size="base"):
    name = f"stabletune-{setting}" + "-large" * (size == "large")
    return study.load(FOLDER / "search_spaces" / f"{name}.yaml")


def published(setting, size, task):
    """The configuration that is tried first, whole."""
    (point,) = load(setting, size).initial_points(f"xtreme/{task}")
    return load(setting, size).hyperparameters(f"xtreme/{task}", point)


def teacher(hyper):
    return StabletuneHyperparameters.model_validate(teacher_configuration(hyper))


def steps(hyper, examples):
    """Of a training set of so many examples, with the copies that the stage adds."""
    return make_schedule(hyper, hyper.examples_per_epoch(examples)).steps


@pytest.mark.parametrize(("setting", "size"), product(SETTINGS, SIZES))
def test_every_study_trains_the_seven_tasks_in_two_stages(setting, size):
    loaded = load(setting, size)
    assert loaded.tasks == tuple(f"xtreme/{task}" for task in TASKS)
    assert (loaded.model, loaded.recipe) == (f"xlm-roberta-{size}", "stabletune")
    assert not loaded.train  # in English, whatever the copies are
    assert (loaded.search.select, loaded.search.select_on) == ("best", "mean")
    assert len(loaded.confirm.seeds) == 3


@pytest.mark.parametrize(("setting", "size", "task"), EVERYTHING)
def test_the_point_that_is_tried_first_is_the_scripts(setting, size, task):
    hyper, at = published(setting, size, task), SIZES.index(size)
    first, view, ratio, rates, _, epochs, length = TASKS[task]
    translated = setting == "translate"
    if translated and task in PAIRS:
        first = view = "translation"
    assert (hyper.stages, hyper.view, hyper.teacher_view or hyper.view) == (2, view, first)
    assert hyper.corpus == ("translation" if translated else view)
    if view != "translation":
        assert getattr(hyper, RATIOS[view]) == ratio
    assert (hyper.subword_alpha, hyper.corpus_size) == (0.3, 1)
    assert (hyper.lambda1, hyper.lambda2) == (5, LAMBDA2[setting][task])
    assert (hyper.BSZ, hyper.LR, hyper.max_length) == (32, rates[at], length)
    assert (str(hyper.EPOCH) if isinstance(hyper.EPOCH, Steps) else hyper.EPOCH) == epochs[at]
    warmup = 0 if task in PAIRS else 0.1
    assert (hyper.WARMUP, hyper.schedule_offset) == (warmup, task in TAGS)
    assert hyper.hard_labels == (task == "panx")
    assert hyper.pooling == ("sum" if task == "udpos" else "first")


@pytest.mark.parametrize(("setting", "size", "task"), EVERYTHING)
def test_the_optimizer_and_the_windows_are_those_of_all_scripts(setting, size, task):
    for hyper in (published(setting, size, task), teacher(published(setting, size, task))):
        assert (hyper.weight_decay, hyper.adam_betas, hyper.adam_eps) == (0, (0.9, 0.999), 1e-8)
        assert (hyper.clip, hyper.schedule, hyper.bias_correction) == (1, "linear", True)
        assert (hyper.precision, hyper.dropout, hyper.label_smoothing) == ("fp16", None, 0)
        if task in QUESTIONS:
            assert (hyper.doc_stride, hyper.stride_as, hyper.query_length) == (128, "step", 64)
            assert (hyper.n_best, hyper.answer_length, hyper.span_over) == (20, 30, "all")


@pytest.mark.parametrize(("setting", "size", "task"), EVERYTHING)
def test_stage_1_is_the_scripts(setting, size, task):
    hyper, at = published(setting, size, task), SIZES.index(size)
    first, _, ratio, rates, epochs, _, _ = TASKS[task]
    if setting == "translate" and task in PAIRS:
        first = "translation"
    one = teacher(hyper)
    assert (one.stages, one.view, one.examples_per_epoch(100)) == (1, first, 100)
    warmup = 0 if task in PAIRS else 0.1
    assert (one.lambda1, one.LR, one.EPOCH, one.WARMUP) == (5, rates[at], epochs[at], warmup)
    if first != "translation":
        assert getattr(one, RATIOS[first]) == ratio
    assert one.view_kinds() == {first}
    assert one.pooling == hyper.pooling
    assert one.teacher_select == ("last" if task in QUESTIONS else "best")


@pytest.mark.parametrize(("size", "task"), product(SIZES, TASKS))
def test_one_stage_1_serves_both_settings_except_of_pairs(size, task):
    transfer, translate = (
        teacher_configuration(published(setting, size, task)) for setting in SETTINGS
    )
    assert (transfer == translate) == (task not in PAIRS)


@pytest.mark.parametrize("size", SIZES)
def test_mlqa_and_xquad_have_the_same_stage_1(size):
    mlqa, xquad, tydiqa = (
        teacher_configuration(published("transfer", size, task)) for task in QUESTIONS
    )
    assert mlqa == xquad != tydiqa


@pytest.mark.parametrize(("setting", "size", "task"), EVERYTHING)
def test_both_stages_have_as_many_steps_as_the_scripts(setting, size, task):
    hyper = published(setting, size, task)
    if task in QUESTIONS:
        wanted = 24_000 if task != "tydiqa" else {"base": 5_000, "large": 2_500}[size]
        assert {steps(hyper, examples) for examples in (100, 90_000)} == {wanted}
        assert make_schedule(hyper, 90_000).warmup == wanted // 10
        return
    examples, first, second, evaluations = COUNTED[task]
    assert hyper.examples_per_epoch(examples) == 2 * examples
    assert (steps(teacher(hyper), examples), steps(hyper, examples)) == (first, second)
    one = make_schedule(teacher(hyper), examples)
    assert one.warmup == (0 if task in PAIRS else first // 10)
    assert len(make_schedule(hyper, 2 * examples).evaluations) == evaluations


def test_where_the_scripts_round_otherwise_it_is_by_a_step_an_epoch():
    """They count batches before they double them for the copies, or drop a step of accumulated
    batches that is not complete; here an epoch is every example once, in steps of 32."""
    pair, tag = (published("transfer", "base", task) for task in ("pawsx", "panx"))
    question = teacher(published("transfer", "large", "mlqa"))
    differ = {"copies": set(), "accumulated": set(), "quarters": set()}
    for examples in range(1000, 1064):
        of_pairs = 2 * math.ceil(examples / 32) * 10
        accumulated = math.ceil(examples / 16) // 2 * 10  # large, 2 x 16, stage 1
        quarters = math.ceil(examples / 4) // 8 * 4  # large, 8 x 4, stage 1
        gaps = {
            "copies": of_pairs - steps(pair, examples),
            "accumulated": steps(teacher(pair), examples) - accumulated,
            "quarters": steps(question, examples) - quarters,
        }
        assert steps(tag, examples) == math.ceil(2 * examples / 32) * 10
        for name, gap in gaps.items():
            assert gap in (0, 4 if name == "quarters" else 10)
            differ[name] |= {examples % 32} if gap else set()
    assert differ["copies"] == differ["accumulated"] == set(range(1, 17))
    assert differ["quarters"] == set(range(1, 29))
    # Of the published sets none: XNLI has 30 examples in its last step, PAWS-X 25.
    assert not {COUNTED[task][0] % 32 for task in PAIRS} & differ["copies"]


@pytest.mark.parametrize("setting", SETTINGS)
def test_questions_are_scored_at_the_end_alone_so_that_their_last_weights_count(setting):
    for task in QUESTIONS:
        hyper = published(setting, "base", task)
        for one in (hyper, teacher(hyper)):
            made = make_schedule(one, 90_000)
            assert made.evaluations == (made.steps,)


@pytest.mark.slow
@pytest.mark.parametrize(("setting", "size", "task"), EVERYTHING)
def test_a_whole_space_takes_few_teachers(setting, size, task):
    name, loaded = f"xtreme/{task}", load(setting, size)
    space = loaded.space_of(name)
    assert loaded.planned_trials(name) == 12
    found = [teacher_configuration(loaded.hyperparameters(name, point)) for point in grid(space)]
    teachers = [one for at, one in enumerate(found) if one not in found[:at]]
    many = task in (*TAGS, "tydiqa") or (setting == "transfer" and task in PAIRS)
    assert len(teachers) == 1 + many
    assert teacher_configuration(published(setting, size, task)) in teachers
    kinds = {frozenset(loaded.hyperparameters(name, point).view_kinds()) for point in grid(space)}
    assert len(kinds) == 1  # whatever is chosen, the same files are read


def test_the_space_holds_every_value_that_some_script_has():
    rates = {rate for _, _, _, both, *_ in TASKS.values() for rate in both}
    weights = {weight for tasks in LAMBDA2.values() for weight in tasks.values()}
    for setting, size in product(SETTINGS, SIZES):
        space = load(setting, size).space
        assert set(space["LR"].choice) == rates
        assert set(space["lambda2"].choice) == weights
        assert 5 in space["lambda1"].choice


@pytest.mark.parametrize(("setting", "size"), product(SETTINGS, SIZES))
def test_no_score_is_printed_that_nobody_could_read(setting, size):
    (row,) = load(setting, size).published
    assert set(row.results) == set(load(setting, size).tasks)
    assert not any(result.scores for result in row.results.values())


def test_check_tells_how_many_teachers_there_will_be(capsys):
    """What a stage 1 is repeated for: a value that it reads, and a seed."""
    loaded = load("transfer")
    describe.show_plan(loaded, {})
    said = capsys.readouterr().out.splitlines()
    assert "xtreme/mlqa teachers: 1 in the search, 3 in the confirmation" in said
    two = "at most 2 in the search, 3 in the confirmation"
    assert f"xtreme/udpos teachers: {two}" in said
    space = {"lambda1": {"choice": [1, 5]}, "LR": {"log": [1e-6, 1e-4]}}
    raw = {"tasks": ["xtreme/panx"], "model": "scratch", "recipe": "stabletune"}
    for values, told in (
        ({"space": space}, ["xtreme/panx teachers: at most 7 in the search"]),
        ({"space": space, "fixed": {"teacher_LR": 1e-5, "teacher_lambda1": 5}},
         ["xtreme/panx teachers: 1 in the search"]),
        ({"space": space, "fixed": {"stages": 1}}, []),
        ({"space": {"lambda2": {"choice": [0, 1]}, "teacher_LR": {"choice": [1e-5, 2e-5, 3e-5]}}},
         ["xtreme/panx teachers: at most 3 in the search"]),
        ({"space": {"LR": {"choice": [1e-5, 2e-5, 3e-5]},
                    "teacher_LR": {"choice": [1e-4, "none"]}}},
         ["xtreme/panx teachers: at most 4 in the search"]),
        ({"space": {"LR": {"log": [1e-5, 2e-5]}}, "confirm": {"top": 9, "seeds": [5]}},
         ["xtreme/panx teachers: at most 7 in the search, at most 7 in the confirmation"]),
        ({"space": {}, "confirm": {"seeds": [1, 2]}},
         ["xtreme/panx teachers: 2 in the confirmation"]),
    ):  # fmt: skip
        describe.show_plan(study.parse({**raw, "search": {"trials": 7}, **values}), {})
        said = capsys.readouterr().out.splitlines()
        assert [line for line in said if "teachers: " in line] == told
