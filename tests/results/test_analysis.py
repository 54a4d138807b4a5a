"""What a search says about itself: statistics of its scores, expected performance, importance."""

import statistics
from itertools import combinations

import numpy as np
import optuna
import pytest
from support.run_folders import Script, write_study

from raysearch import study
from raysearch.results import analysis
from raysearch.run_folder import read_journal
from raysearch.search.optuna_file import export
from raysearch.search.samplers import OptunaStudy

TASK = "glue/rte"
SPACE = {"LR": {"log": [1e-5, 1e-3]}, "BSZ": {"choice": [16, 32]}, "EPOCH": {"int": [2, 6]}}


def read(folder):
    return study.load(folder / "study.yaml").resolve(TASK), read_journal(folder)


def write(folder, sampler="random", space=SPACE, **more):
    raw = {"name": "searched", "tasks": [TASK], "model": "scratch", "space": space}
    write_study(folder, **raw, search={"sampler": sampler, "trials": 40}, **more)
    return Script(folder)


@pytest.fixture
def mixed(tmp_path):
    """A search with trials that ended in every way; a whole one takes 36 s, a stopped one 18."""
    script = write(tmp_path)
    points = ({"LR": 1e-5 * n, "BSZ": 16, "EPOCH": 3} for n in range(1, 20))
    for score in (0.55, 0.7, 0.6, 0.65):
        script.trial(TASK, next(points), {"accuracy": score})
    script.stopped(TASK, next(points), {"accuracy": 0.5})
    script.diverged(TASK, next(points), before={"accuracy": 0.9})
    failed = script.begin(TASK, next(points))
    script.attempt(failed)
    script.spent(failed, 27.0)
    script.end(failed, "failed", None, error="no memory")
    script.begin(TASK, next(points))  # still runs
    script.close()
    return tmp_path


REACHED = [0.55, 0.7, 0.6, 0.65, 0.5, 0.0]  # the diverged one counts as the worst


def test_the_summary_counts_how_trials_ended_and_describes_their_scores(mixed):
    found = analysis.summary(*read(mixed))
    assert found.ended == {"finished": 4, "stopped": 1, "diverged": 1, "failed": 1}
    assert list(found.scores) == REACHED
    assert found.mean == pytest.approx(statistics.fmean(REACHED))
    assert found.standard_deviation == pytest.approx(statistics.stdev(REACHED))
    quartiles = statistics.quantiles(REACHED, method="inclusive")
    assert found.quartiles == pytest.approx(quartiles)
    assert found.best == 0.7


def test_the_expected_best_is_the_mean_maximum_of_all_subsets_of_trials(mixed):
    found = analysis.expected_performance(*read(mixed))
    for count, score in enumerate(found.scores, 1):
        subsets = [max(chosen) for chosen in combinations(REACHED, count)]
        assert score == pytest.approx(statistics.fmean(subsets))
    # 4 whole, a stopped, a diverged and a failed one, spread over the six with scores.
    hours = (4 * 36 + 18 + 9 + 27) / 3600
    assert found.hours == pytest.approx([hours * count / 6 for count in range(1, 7)])


def test_the_notes_of_the_expected_best_say_what_does_not_fit_its_assumption(mixed):
    text = " ".join(analysis.expected_performance(*read(mixed)).notes)
    assert "1 stopped trial counts with what they had reached" in text
    assert "1 diverged" in text
    assert "1 trial without a score" in text
    assert "independently" not in text


@pytest.mark.parametrize(
    ("sampler", "adaptive"), [("tpe", True), ("cmaes", True), ("random", False)]
)
def test_an_adaptive_sampler_breaks_the_assumption(tmp_path, sampler, adaptive):
    space = {"LR": SPACE["LR"], "EPOCH": SPACE["EPOCH"]}
    with_start = write(tmp_path, sampler, space)
    with_start.trial(TASK, {"LR": 1e-4, "EPOCH": 3}, {"accuracy": 0.6})
    with_start.close()
    notes = analysis.expected_performance(*read(tmp_path)).notes
    assert any("independently" in note and sampler in note for note in notes) == adaptive


def test_trials_of_the_start_list_are_named(tmp_path):
    point = {"LR": 1e-4, "BSZ": 16, "EPOCH": 3}
    raw = {"name": "s", "tasks": [TASK], "model": "scratch", "space": SPACE}
    write_study(tmp_path, **raw, search={"sampler": "random", "start_from": [point]})
    script = Script(tmp_path)
    script.trial(TASK, point, {"accuracy": 0.6})
    script.trial(TASK, {**point, "BSZ": 32}, {"accuracy": 0.7})
    script.close()
    notes = analysis.expected_performance(*read(tmp_path)).notes
    assert any(note.startswith("1 of the trials came from the start list") for note in notes)


def test_a_run_without_scores_has_no_curve_and_no_shares(tmp_path):
    write(tmp_path).close()
    task, records = read(tmp_path)
    assert analysis.summary(task, records) == analysis.Summary(ended={}, scores=())
    curve = analysis.expected_performance(task, records)
    assert (curve.scores, curve.hours) == ((), ())
    assert "No trial" in curve.notes[0]
    assert not analysis.importance(task, records).shares


def search(folder, count, score, space=SPACE, **more):
    """Write a random search whose scores follow from its points."""
    script, random = write(folder, space=space, **more), np.random.default_rng(5)
    for _ in range(count):
        point = {
            "LR": float(10 ** random.uniform(-5, -3)),
            "BSZ": int(random.choice([16, 32])),
            "EPOCH": int(random.integers(2, 7)),
        }
        script.trial(TASK, {name: point[name] for name in space}, {"accuracy": score(point)})
    script.close()
    return read(folder)


def by_rate(point):
    """The score depends on LR alone."""
    return 0.9 - 0.1 * abs(np.log10(point["LR"]) + 4)


def test_the_one_hyperparameter_that_decides_is_the_most_important(tmp_path):
    found = analysis.importance(*search(tmp_path, 40, by_rate))
    (first, share), *_ = found.shares.items()
    assert (first, found.trials, found.notes) == ("LR", 40, ())
    assert share > 0.6
    assert sum(found.shares.values()) == pytest.approx(1)


@pytest.mark.slow
def test_importance_equals_optunas_of_the_exported_study(tmp_path):
    task, records = search(tmp_path, 40, by_rate)
    optuna_study = OptunaStudy(task.space, "random", 1, "dev.accuracy")
    export(tmp_path / "study.db", "searched", optuna_study, records.of(TASK))
    loaded = optuna.load_study(study_name="searched", storage=f"sqlite:///{tmp_path}/study.db")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    expected = optuna.importance.get_param_importances(loaded, evaluator=evaluator)
    assert dict(analysis.importance(task, records).shares) == pytest.approx(expected)


@pytest.mark.parametrize(("count", "said"), [(9, "are needed"), (12, "below about 30"), (30, "")])
def test_few_trials_give_a_warning_and_too_few_no_shares(tmp_path, count, said):
    found = analysis.importance(*search(tmp_path, count, by_rate))
    assert bool(found.shares) == (count >= 10)
    assert said in " ".join(found.notes)
    assert bool(found.notes) == bool(said)


def test_equal_scores_give_no_shares(tmp_path):
    found = analysis.importance(*search(tmp_path, 12, lambda point: 0.5))
    assert not found.shares
    assert "same score" in found.notes[0]


def test_what_was_not_varied_is_left_out_and_named(tmp_path):
    space = {**SPACE, "BSZ": {"choice": [16]}, "WARMUP": {"choice": [10, 16]}}
    script = write(tmp_path, space=space, per_task={TASK: {"fixed": {"WARMUP": 16}}})
    for number in range(12):
        point = {"LR": 1e-5 * (number + 1), "BSZ": 16, "EPOCH": 2 + number % 5}
        script.trial(TASK, point, {"accuracy": 0.5 + number / 100})
    script.close()
    found = analysis.importance(*read(tmp_path))
    assert found.left_out == {"WARMUP": "fixed at 16", "BSZ": "every trial has 16"}
    assert set(found.shares) == {"LR", "EPOCH"}


def test_stopped_trials_do_not_count_for_importance(tmp_path):
    search(tmp_path, 12, by_rate)
    script = Script(tmp_path)
    script.stopped(TASK, {"LR": 5e-4, "BSZ": 16, "EPOCH": 3}, {"accuracy": 0.99})
    script.close()
    assert analysis.importance(*read(tmp_path)).trials == 12
