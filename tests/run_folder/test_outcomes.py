"""The ends of a trial: one table, and everything that has an entry for each of them."""

import typing

import pytest
from support.run_folders import Script

from raysearch.cli import progress
from raysearch.results import optuna_trials
from raysearch.run_folder.outcomes import (
    OUTCOMES,
    Outcome,
    ReportStatus,
    TrialStatus,
    counts,
    gets_worst_score,
    has_model,
)

RTE, METRIC = "glue/rte", "dev.accuracy"


def test_every_end_is_in_the_table_and_a_trial_runs_or_has_ended():
    assert typing.get_args(Outcome) == tuple(OUTCOMES)
    assert typing.get_args(TrialStatus) == ("running", *OUTCOMES)
    assert set(typing.get_args(ReportStatus)) < set(typing.get_args(TrialStatus))


def test_every_end_has_a_state_of_optuna_and_a_style_on_the_terminal():
    assert set(optuna_trials._STATES) == set(OUTCOMES)
    assert set(progress._STYLES) == {"running", *OUTCOMES}


def test_a_running_trial_has_none_of_the_meanings_of_an_end():
    assert not any(meaning("running") for meaning in (counts, has_model, gets_worst_score))


def test_a_trial_with_a_model_counts():
    assert all(meaning.counts for meaning in OUTCOMES.values() if meaning.has_model)


@pytest.mark.parametrize(("select", "step"), [("best", 50), ("last", 100)])
def test_of_equal_evaluations_the_first_is_the_best_and_one_without_scores_is_none(
    tmp_path, select, step
):
    script = Script(tmp_path)
    name = script.begin(RTE, {"LR": 1e-5})
    script.attempt(name)
    record = script.journal.trials[name]
    assert record.evaluation(select, METRIC) is None
    for number, accuracy in ((25, 0.3), (50, 0.8), (75, 0.8), (100, 0.5)):
        script.report(name, number, {"accuracy": accuracy})
    script.report(name, 110, {}, status="diverged")
    assert record.evaluation(select, METRIC).step == step
