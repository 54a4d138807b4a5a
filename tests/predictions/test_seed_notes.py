"""What a prediction says about the trial that a winner's weights are of."""

import pytest
from support.pairs import RTE
from support.written_runs import SEEDS, write_data, write_run

from raysearch import study, tasks
from raysearch.models.training_record import TrainingRecord
from raysearch.predictions.prediction_jobs import RunFacts
from raysearch.recipes import Hyperparameters
from raysearch.run_folder import read_journal


def record(trial):
    return TrainingRecord(
        version="0.2.0", task=RTE, model="m", hyper=Hyperparameters(), trial=trial
    )


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run", write_data(tmp_path / "data"))


def notes(run, trial):
    facts = RunFacts(run, study.load(run / "study.yaml"))
    return list(facts.notes(tasks.get(RTE), record(trial)))


def test_the_seed_of_the_weights_is_told(run):
    first = next(r for r in read_journal(run).trials.values() if r.seed == SEEDS[0])
    told = notes(run, {"id": first.id})
    assert told[0].startswith("the weights are those of seed 11, accuracy 75.00 on dev")
    assert "seed 12, accuracy 80.00" in notes(run, {})[0]  # which does not name its trial


def test_weights_of_another_trial_are_not_described_as_the_winners(run):
    told = notes(run, {"id": "another", "seed": 5, "status": "degenerate"})
    assert told[0] == "the weights are of trial another, not of the table's winner"
    assert not any("seed 12" in note or "seed 11" in note for note in told)
    assert any("degenerate" in note for note in told)
