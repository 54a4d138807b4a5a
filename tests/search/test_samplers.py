"""Optuna's side: distributions, samplers by name, and what is told."""

import math
import os
import pickle

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import CmaEsSampler
from optuna.trial import TrialState
from support.run_folders import Script

from raysearch.run_folder import read_journal
from raysearch.run_folder.sampler_state import STATE, is_state
from raysearch.search import optuna_file
from raysearch.search.cmaes_sampler import restored, state_of
from raysearch.search.samplers import SAMPLERS, OptunaStudy, distribution
from raysearch.search_space import Choice, IntRange, LogUniform, Uniform

RTE = "glue/rte"
SPACE = {
    "LR": LogUniform(log=(1e-5, 1e-3)),
    "WARMUP": Choice(choice=(16, {"steps": 50})),
    "EPOCH": IntRange(int=(2, 5)),
}
POINT = {"LR": 1e-4, "WARMUP": {"steps": 50}, "EPOCH": 3}


def asker(name="random", seed=1):
    return OptunaStudy(SPACE, name, seed, "dev.accuracy")


@pytest.mark.parametrize(
    ("dimension", "optunas"),
    [
        (Choice(choice=(1, "a", None, True)), CategoricalDistribution([1, "a", None, True])),
        (Choice(choice=({"steps": 5}, 1)), CategoricalDistribution(['{"steps": 5}', 1])),
        (Uniform(uniform=(0, 1)), FloatDistribution(0, 1)),
        (LogUniform(log=("1e-5", 1e-3)), FloatDistribution(1e-5, 1e-3, log=True)),
        (IntRange(int=(2, 5)), IntDistribution(2, 5)),
    ],
)  # fmt: skip
def test_every_form_of_a_dimension_is_one_of_optunas(dimension, optunas):
    assert distribution(dimension) == optunas


@pytest.mark.parametrize("name", ["tpe", "random", "grid", "cmaes", "qmc", "gp", "nsga2"])
def test_every_sampler_asks_for_points_of_the_space(name, recwarn):
    one, two = asker(name), asker(name)
    for _ in range(12):
        point, trial = one.ask()
        assert all(point[key] in dimension for key, dimension in SPACE.items())
        assert isinstance(point["EPOCH"], int)
        assert point == two.ask()[0]
        one.study.tell(trial, point["LR"])
        two.study.tell(trial.number, point["LR"])
    # What other tests have left open may be collected just now.
    told = [w.message for w in recwarn.list if not issubclass(w.category, ResourceWarning)]
    assert not told


@pytest.mark.parametrize("name", ["tpe", "random", "cmaes"])
def test_what_samplers_share_from_trial_to_trial_does_not_change_their_proposals(name):
    space = {n: d for n, d in SPACE.items() if n != "WARMUP" or name != "cmaes"}
    known = OptunaStudy(space, name, 4, "dev.accuracy")
    own = optuna.create_study(direction="maximize")
    distributions = {n: distribution(d) for n, d in space.items()}
    running = []
    for number in range(60):
        own.sampler = SAMPLERS[name](int(np.random.SeedSequence([4, number]).generate_state(1)[0]))
        pair = known.ask()[1], own.ask(distributions)
        assert pair[0].params == pair[1].params
        running.append(pair)
        if number % 4 == 3:  # others run on
            score = pair[0].params["LR"] * 100
            for study, trial in zip((known.study, own), running.pop(number % 3), strict=True):
                state = (TrialState.PRUNED, TrialState.COMPLETE)[number % 8 == 3]
                trial.report(score, 50)
                study.tell(trial, score if state == TrialState.COMPLETE else None, state)


def test_names_stand_for_optunas_samplers():
    names = {name: type(SAMPLERS[name](1)).__name__ for name in ("tpe", "random", "grid")}
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
        if record.is_over:
            now.tell(record)
        later.replay(record)
    for known in (now, later):
        trials = known.study.trials
        assert [(t.state, t.value, t.intermediate_values) for t in trials] == EXPECTED
        assert trials[0].params == {"LR": 1e-4, "WARMUP": '{"steps": 50}', "EPOCH": 3}


def test_repeats_are_told_as_often_as_they_were_proposed(records):
    known = asker()
    for record in [*records[:2], records[0], *records[2:], records[4], records[0]]:
        known.replay(record)
    states = [trial.state for trial in known.study.trials]
    assert states[2] == TrialState.COMPLETE  # in its place, as samplers look at the order
    assert states.count(TrialState.COMPLETE) == 2 + 2
    assert states.count(TrialState.RUNNING) == 1 + 1
    records[4].status, records[4].score = "finished", 0.7
    known.tell(records[4])
    assert [trial.value for trial in known.study.trials][-3:] == [0.7, 0.7, 0.8]


def test_a_stopped_trial_counts_with_what_it_had_reached_not_with_its_best(tmp_path):
    script = Script(tmp_path)
    name = script.begin(RTE, POINT)
    script.attempt(name)
    script.report(name, 25, {"accuracy": 0.6})
    script.report(name, 50, {"accuracy": 0.4})
    script.end(name, "stopped", 0.6, {"accuracy": 0.6})
    known = asker()
    known.replay(script.journal.trials[name])
    assert known.study.trials[0].value == 0.4


def test_what_cmaes_keeps_is_known_before_the_trial_ends(records):
    known = OptunaStudy(
        {n: d for n, d in SPACE.items() if n != "WARMUP"}, "cmaes", 1, "dev.accuracy"
    )
    known.begin(records[0])
    assert known.sampler_state(records[0]) == {}  # the first is random
    known.tell(records[0])
    known.begin(records[4], known.ask()[1])
    assert known.sampler_state(records[4]) == {"cma:generation": 0}


def without_times(trial):
    names = "number state values params distributions intermediate_values user_attrs system_attrs"
    return {name: getattr(trial, name) for name in names.split()}


@pytest.mark.slow
def test_the_export_is_an_optuna_study_and_replaces_an_older_one(records, tmp_path):
    path = tmp_path / "study.db"
    records[0].sampler = {"cma:generation": 3}
    for _ in range(2):
        optuna_file.export(path, "toy", asker(), records)
    study = optuna.load_study(study_name="toy", storage=f"sqlite:///{path}")
    assert [t.state for t in study.trials] == [state for state, *_ in EXPECTED[:4]]
    assert study.best_value == 0.8
    own = optuna.create_study(direction="maximize")  # as Optuna's own method adds them
    own.add_trials([asker().frozen(record) for record in records if record.is_over])
    assert list(map(without_times, study.trials)) == list(map(without_times, own.trials))
    assert all(t.datetime_start and t.datetime_complete for t in study.trials)
    facts = [trial.user_attrs for trial in study.trials]
    assert facts[1] == {"trial": "t1", "status": "stopped", "phase": "search"}


RANGES = {"LR": LogUniform(log=(1e-5, 1e-3)), "weight_decay": Uniform(uniform=(0, 0.1))}


def proposals(study, distributions, count):
    """What a study proposes, each told how far it is from LR 2e-5."""
    points = []
    for _ in range(count):
        trial = study.ask(distributions)
        points.append(tuple(trial.params.values()))
        study.tell(
            trial, -abs(math.log10(trial.params["LR"] / 2e-5)) - trial.params["weight_decay"]
        )
    return points


def test_cmaes_proposes_what_optunas_own_does(monkeypatch):
    distributions = {name: distribution(d) for name, d in RANGES.items()}
    ours = optuna.create_study(direction="maximize", sampler=SAMPLERS["cmaes"](7))
    own = CmaEsSampler(seed=7, warn_independent_sampling=False)
    theirs = optuna.create_study(direction="maximize", sampler=own)
    expected = proposals(theirs, distributions, 40)
    monkeypatch.setattr("pickle.loads", lambda *_: pytest.fail("unpickled"))
    found = proposals(ours, distributions, 40)
    assert len(set(found)) == 40
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-9)
    kept = [t.system_attrs for t in ours.trials if STATE in t.system_attrs]
    assert len(kept) == (40 - 1) // 6  # a generation of two parameters has six points
    assert not any("optimizer" in name for attributes in kept for name in attributes)


def test_a_resumed_cmaes_has_the_numbers_that_it_had(tmp_path):
    first = OptunaStudy(RANGES, "cmaes", 3, "dev.accuracy")
    script = Script(tmp_path)
    for number in range(20):
        point, trial = first.ask()
        name = script.begin(RTE, point)
        record = script.journal.trials[name]
        first.begin(record, trial)
        kept, score = first.sampler_state(record), 1 - point["weight_decay"] - number / 1000
        script.end(name, "finished", score, {"accuracy": score}, sampler=kept)
        first.tell(script.journal.trials[name])
    script.close()
    again = OptunaStudy(RANGES, "cmaes", 3, "dev.accuracy")
    for record in read_journal(tmp_path).of(RTE):
        again.replay(record)
    one, two = (
        asker.study.sampler._restore_optimizer(asker.study.trials) for asker in (first, again)
    )
    assert one.generation == two.generation > 1
    assert state_of(one) == state_of(two)
    for optimizer in (one, two):
        optimizer.reseed_rng(5)
    for _ in range(5):
        assert one.ask().tolist() == two.ask().tolist()


class Armed:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.slow
def test_a_pickled_state_in_a_journal_is_not_run_and_told(tmp_path):
    script = Script(tmp_path)
    attack = pickle.dumps(Armed(tmp_path / "PWNED")).hex()
    for number in range(8):
        name = script.begin(RTE, {"LR": 1e-4 + number * 1e-5, "weight_decay": 0.01})
        kept = {"cma:optimizer:0": attack, "cma:generation": 0}
        score = 0.5 + number / 100
        script.end(name, "finished", score, {"accuracy": score}, sampler=kept)
    script.close()
    records = read_journal(tmp_path)
    assert any("could run code" in note for note in records.notes)
    again = OptunaStudy(RANGES, "cmaes", 1, "dev.accuracy")
    for record in records.of(RTE):
        assert record.sampler == {"cma:generation": 0}
        again.replay(record)
    point, trial = again.ask()
    assert all(point[name] in dimension for name, dimension in RANGES.items())
    assert again.study.trials[trial.number].system_attrs["cma:generation"] == 1  # told anew
    optuna_file.export(tmp_path / "study.db", "toy", again, records.of(RTE))
    assert not (tmp_path / "PWNED").exists()
    assert attack.encode() not in (tmp_path / "study.db").read_bytes()


GOOD = {"generation": 1, "sigma": 0.2, "mean": [0.5, 0.5], "p_sigma": [0, 0.1], "pc": [0, 0.1],
        "C": [[1, 0.1], [0.1, 1]]}  # fmt: skip
BAD = [{"sigma": 0}, {"sigma": "x"}, {"sigma": 1e40}, {"mean": [0.5]}, {"mean": []}, {"pc": None},
       {"C": [[1, 0.1]]}, {"C": [[1, 2], [3, 1]]}, {"C": [[1, None], [None, 1]]},
       {"generation": -1}, {"generation": True}, {"more": 1}]  # fmt: skip


def test_a_state_is_plain_numbers_of_one_size():
    assert is_state(GOOD)
    assert not [change for change in BAD if is_state({**GOOD, **change})]
    assert not is_state({name: value for name, value in GOOD.items() if name != "pc"})
    assert state_of(restored(GOOD)) == GOOD


@pytest.mark.slow
def test_the_export_takes_any_folder_name_and_keeps_the_old_file_without_room(
    records, tmp_path, monkeypatch
):
    folder = tmp_path / "50 %20?a=b#c"
    folder.mkdir()
    path = folder / "study.db"
    optuna_file.export(path, "toy", asker(), records)
    assert [p.name for p in folder.iterdir()] == ["study.db"]
    content = path.read_bytes()
    assert content.startswith(b"SQLite format 3")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        optuna_file.export(path, "toy", asker(), records)
    assert path.read_bytes() == content
    assert [p.name for p in folder.iterdir()] == ["study.db"]
