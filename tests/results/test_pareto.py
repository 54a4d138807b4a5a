"""The Pareto front of a search with two objectives."""

import itertools

import optuna
import pytest
from optuna.study import StudyDirection
from support.run_folders import Script, write_study

from raysearch import results
from raysearch import study as studies
from raysearch.errors import InputError
from raysearch.results.pareto import pareto_front
from raysearch.search import optuna_file
from raysearch.search.samplers import OptunaStudy

RTE = "glue/rte"
SPACE = {"EPOCH": {"choice": [1, 2, 3, 4, 5, 6]}}
RAW = {
    "name": "toy",
    "tasks": [RTE],
    "model": "scratch",
    "space": SPACE,
    "search": {"sampler": "nsga2", "minimize": "device_hours", "trials": 6},
}
# Score, and seconds of one device.
TRIALS = [(0.8, 7200), (0.7, 3600), (0.7, 1800), (0.9, 9000), (0.6, 3000), (0.9, 9100)]
FRONT = [3, 0, 2]


@pytest.fixture
def run(tmp_path):
    write_study(tmp_path, **RAW)
    script = Script(tmp_path)
    for epoch, (score, seconds) in enumerate(TRIALS, 1):
        script.trial(RTE, {"EPOCH": epoch}, {"accuracy": score}, seconds=seconds)
    return tmp_path, script


def test_the_front_is_what_no_other_trial_beats(run):
    _, script = run
    task, records = studies.parse(RAW).resolve(RTE), script.journal
    front = pareto_front(task, records)
    assert [record.number for record in front] == FRONT
    for one, other in itertools.product(records.of(RTE), front):
        better = one.score >= other.score and one.device_hours <= other.device_hours
        assert not better or (one.score, one.device_hours) == (other.score, other.device_hours)


def test_the_front_is_optunas(run, tmp_path):
    _, script = run
    known = OptunaStudy(
        studies.parse(RAW).resolve(RTE).space, "nsga2", 1, "dev.accuracy", minimizes_cost=True
    )
    for record in script.journal.of(RTE):
        known.replay(record)
    assert sorted(trial.number for trial in known.study.best_trials) == sorted(FRONT)
    optuna_file.export(tmp_path / "study.db", "toy", known, script.journal.of(RTE))
    stored = optuna.load_study(study_name="toy", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert stored.directions == [StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE]
    assert [t.values for t in stored.trials] == [t.values for t in known.study.trials]
    assert sorted(trial.number for trial in stored.best_trials) == sorted(FRONT)


def test_the_table_and_the_report_have_it(run):
    folder, _ = run
    table = results.write_exports(folder, report=True)
    (front,) = table.fronts
    assert [row.name for row in front.rows] == [f"trial {number}" for number in FRONT]
    assert [cell.text for cell in front.rows[0].cells] == ["90.00", "2.5", "4"]
    text = (folder / "table.md").read_text()
    assert "no trial of the search has a higher score in fewer device hours" in text
    assert "| trial 2 | 70.00 | 0.5 | 3 |" in text
    assert "Score against device hours" in (folder / "report.html").read_text()


def test_a_trial_that_diverged_counts_with_its_whole_schedule(tmp_path):
    script = Script(tmp_path)
    script.diverged(RTE, {"EPOCH": 2}, before={"accuracy": 0.5})
    (record,) = script.journal.of(RTE)
    known = OptunaStudy(
        studies.parse(RAW).resolve(RTE).space, "nsga2", 1, "dev.accuracy", minimizes_cost=True
    )
    known.replay(record)
    done = max(report.step / report.steps for report in record.reports)
    assert 0 < done < 1
    assert known.study.trials[0].values == [0.0, pytest.approx(record.device_hours / done)]


@pytest.mark.parametrize(
    ("search", "text"),
    [
        ({"sampler": "cmaes"}, "cmaes takes one objective"),
        ({"stop_early": True}, "neither its score nor its cost"),
    ],
)
def test_what_two_objectives_cannot_be_used_with_is_refused(search, text):
    space = {"LR": {"log": [1e-5, 1e-3]}, "weight_decay": {"uniform": [0, 0.1]}}
    raw = {**RAW, "space": space, "search": {"minimize": "device_hours", **search}}
    with pytest.raises(InputError) as caught:
        studies.parse(raw)
    assert [p.location for p in caught.value.problems] == ["search.minimize"]
    assert text in str(caught.value)
