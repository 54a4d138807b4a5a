"""Optuna's side: distributions, samplers by name, and what is told."""

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from run_folders import Script

from raysearch.search import samplers
from raysearch.search.samplers import Asker, distribution, sampler
from raysearch.space import Dimension

RTE = "glue/rte"
SPACE = {
    "LR": Dimension(log=(1e-5, 1e-3)),
    "WARMUP": Dimension(choice=(16, {"steps": 50})),
    "EPOCH": Dimension(int=(2, 5)),
}
POINT = {"LR": 1e-4, "WARMUP": {"steps": 50}, "EPOCH": 3}


def asker(name="random", seed=1):
    return Asker(SPACE, name, seed, "dev.accuracy")


@pytest.mark.parametrize(
    ("dimension", "optunas"),
    [
        (Dimension(choice=(1, "a", None, True)), CategoricalDistribution([1, "a", None, True])),
        (Dimension(choice=({"steps": 5}, 1)), CategoricalDistribution(['{"steps": 5}', 1])),
        (Dimension(uniform=(0, 1)), FloatDistribution(0, 1)),
        (Dimension(log=("1e-5", 1e-3)), FloatDistribution(1e-5, 1e-3, log=True)),
        (Dimension(int=(2, 5)), IntDistribution(2, 5)),
    ],
)  # fmt: skip
def test_every_form_of_a_dimension_is_one_of_optunas(dimension, optunas):
    assert distribution(dimension) == optunas


@pytest.mark.parametrize("name", ["tpe", "random", "grid", "cmaes"])
def test_every_sampler_asks_for_points_of_the_space(name, recwarn):
    one, two = asker(name), asker(name)
    for _ in range(12):
        point, trial = one.ask()
        assert all(point[key] in dimension for key, dimension in SPACE.items())
        assert isinstance(point["EPOCH"], int)
        assert point == two.ask()[0]
        one.study.tell(trial, point["LR"])
        two.study.tell(trial.number, point["LR"])
    assert not recwarn.list


def test_names_stand_for_optunas_samplers():
    names = {name: type(sampler(name, 1)).__name__ for name in ("tpe", "random", "grid")}
    assert names == {"tpe": "TPESampler", "random": "RandomSampler", "grid": "RandomSampler"}


@pytest.fixture
def records(tmp_path):
    """A finished, a stopped, a diverged, a failed and a running trial."""
    script = Script(tmp_path)
    script.trial(RTE, POINT, {"accuracy": 0.8})
    script.stopped(RTE, {**POINT, "EPOCH": 4}, {"accuracy": 0.3})
    script.diverged(RTE, {**POINT, "EPOCH": 5}, before={"accuracy": 0.5})
    failed = script.begin(RTE, {**POINT, "EPOCH": 2})
    script.end(failed, "failed", None, error="RuntimeError: a toy broke")
    script.begin(RTE, {**POINT, "LR": 1e-3})
    return script.journal.of(RTE)


EXPECTED = [
    (TrialState.COMPLETE, 0.8, {50: 0.4, 100: 0.8}),
    (TrialState.PRUNED, 0.3, {50: 0.3}),
    (TrialState.COMPLETE, 0.0, {50: 0.5}),
    (TrialState.FAIL, None, {}),
    (TrialState.RUNNING, None, {}),
]


def test_a_trial_told_now_or_recalled_later_is_the_same_to_the_sampler(records):
    now, later = asker(), asker()
    for record in records:
        now.begin(record)
        if record.over:
            now.tell(record)
        later.recall(record)
    for known in (now, later):
        trials = known.study.trials
        assert [(t.state, t.value, t.intermediate_values) for t in trials] == EXPECTED
        assert trials[0].params == {"LR": 1e-4, "WARMUP": '{"steps": 50}', "EPOCH": 3}


def test_repeats_are_told_as_often_as_they_were_proposed(records):
    known = asker()
    records[0].repeats, records[4].repeats = 2, 1
    for record in records:
        known.recall(record)
    states = [trial.state for trial in known.study.trials]
    assert states.count(TrialState.COMPLETE) == 2 + 2
    assert states.count(TrialState.RUNNING) == 1 + 1
    records[4].status, records[4].score = "finished", 0.7
    known.tell(records[4])
    assert [trial.value for trial in known.study.trials][-2:] == [0.7, 0.7]


def test_a_stopped_trial_counts_with_what_it_had_reached_not_with_its_best(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, POINT)
    script.attempt(name)
    script.report(name, 25, {"accuracy": 0.6})
    script.report(name, 50, {"accuracy": 0.4})
    script.end(name, "stopped", 0.6, {"accuracy": 0.6})
    known = asker()
    known.recall(script.journal.trials[name])
    assert known.study.trials[0].value == 0.4


def test_what_cmaes_keeps_is_known_before_the_trial_ends(records):
    known = Asker({n: d for n, d in SPACE.items() if n != "WARMUP"}, "cmaes", 1, "dev.accuracy")
    known.begin(records[0])
    assert known.kept(records[0]) == {}  # the first is random
    known.tell(records[0])
    known.begin(records[4], known.ask()[1])
    assert known.kept(records[4]) == {"cma:generation": 0}


def test_the_export_is_an_optuna_study_and_replaces_an_older_one(records, tmp_path):
    path = tmp_path / "study.db"
    for _ in range(2):
        samplers.export(path, "toy", asker(), records)
    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{path}")
    assert [t.state for t in study.trials] == [state for state, *_ in EXPECTED[:4]]
    assert study.best_value == 0.8
    facts = [trial.user_attrs for trial in study.trials]
    assert facts[1] == {"trial": "t1", "status": "stopped", "phase": "search"}
