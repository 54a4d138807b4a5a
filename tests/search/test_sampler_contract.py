"""What every sampler of the schema keeps: the same points again, also after a restart."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.queues import begin_attempt, drive_queue, report

from raysearch import study
from raysearch.run_folder import Journal
from raysearch.search.samplers import SAMPLERS
from raysearch.search.trial_queue import TrialQueue
from raysearch.study.samplers import SAMPLERS as SAMPLER_FACTS

pytestmark = pytest.mark.slow  # real runs, a browser, or many draws

RTE = "glue/rte"
NAMES = list(SAMPLER_FACTS)
FINITE = {
    "BSZ": {"choice": [16, 32]},
    "EPOCH": {"int": [2, 4]},
    "WARMUP": {"choice": [16, {"steps": 50}]},
}
FINITE_RANGES = {"EPOCH": {"int": [2, 4]}, "epoch_examples": {"int": [101, 104]}}
RANGES = {"LR": {"log": [1e-5, 1e-3]}, "weight_decay": {"uniform": [0, 0.1]}}
# Samplers of ranges; a grid has none.
SAMPLING = [name for name in NAMES if name != "grid"]


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)


def parsed(sampler, space, trials, seed=1):
    search = {"sampler": sampler, "trials": trials, "seed": seed}
    return study.parse({"tasks": [RTE], "model": "scratch", "space": space, "search": search})


def opened(folder, searched):
    folder.mkdir(exist_ok=True)
    return TrialQueue(searched, Journal(folder), {RTE: "data"})


def toy_score(record):
    """The same for the same point, and different for almost all others."""
    point = record.configuration
    number = 1e3 * point.get("LR", 0) + 3 * point.get("weight_decay", 0)
    number += point.get("BSZ", 0) / 100 + point.get("EPOCH", 0) / 10
    return round(abs(number % 1), 6)


def toy_outcome(record):
    """The third trial fails and the fifth diverges."""
    return {2: "failed", 4: "diverged"}.get(record.number, "finished")


def toy_trial(queue, record, outcome):
    begin_attempt(queue, record)
    yield
    if outcome == "failed":
        queue.end(record, "failed", "RuntimeError: a toy broke")
        return
    scores = {"dev.accuracy": toy_score(record)} if outcome == "finished" else {}
    report(queue, record, 100, scores, outcome)
    queue.end(record, outcome)


def points(folder, searched, sessions=(1000,)):
    """Run a study in so many sessions of at most so many trials; return its points in order."""
    for most in sessions:
        queue = opened(folder, searched)
        drive_queue(queue, toy_trial, lanes=1, outcome=toy_outcome, most=most)
        queue.journal.close()
    return [json.dumps(record.configuration) for record in queue.journal.of(RTE)]


def finite_points(name, folder, trials=9, seed=1, **options):
    space = FINITE_RANGES if name == "cmaes" else FINITE
    return points(folder, parsed(name, space, trials, seed), **options)


def range_points(name, folder, trials=24, seed=1, **options):
    return points(folder, parsed(name, RANGES, trials, seed), **options)


def sequence(name, folder, **options):
    """The points of a sampler: of ranges where it can search them."""
    return (range_points if name in SAMPLING else finite_points)(name, folder, **options)


def test_every_sampler_of_the_schema_is_in_the_registry_and_no_other():
    assert {*SAMPLERS, "qmc"} == set(NAMES)  # qmc needs more than a seed


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_points_and_another_seed_others(name, tmp_path):
    first = sequence(name, tmp_path / "first")
    assert sequence(name, tmp_path / "second") == first
    assert sequence(name, tmp_path / "third", seed=2) != first


def test_the_points_are_the_same_in_another_process(tmp_path):
    code = (
        "import json, sys; from pathlib import Path; import test_sampler_contract as contract\n"
        "print(json.dumps({name: contract.sequence(name, Path(sys.argv[1]) / name, trials=9)\n"
        "                  for name in contract.NAMES}))\n"
    )
    (tmp_path / "other").mkdir()
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": "12345", "PYTHONPATH": paths}
    command = [sys.executable, "-c", code, str(tmp_path / "other")]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    here = {name: sequence(name, tmp_path / name, trials=9) for name in NAMES}
    assert json.loads(output.stdout.splitlines()[-1]) == here


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_proposes_what_an_uninterrupted_one_does(name, tmp_path):
    whole = sequence(name, tmp_path / "whole")
    assert sequence(name, tmp_path / "resumed", sessions=(3, 1, 7, 1000)) == whole


# CMA-ES is no such sampler: Optuna counts a point that is enqueued again to no generation.
@pytest.mark.parametrize("name", [name for name in NAMES if name != "cmaes"])
def test_a_trial_that_was_running_at_a_crash_does_not_change_what_comes_after(name, tmp_path):
    whole = sequence(name, tmp_path / "whole", trials=9)
    space, folder = RANGES if name in SAMPLING else FINITE, tmp_path / "crashed"
    searched = parsed(name, space, 9)
    queue = opened(folder, searched)
    drive_queue(queue, toy_trial, lanes=1, outcome=toy_outcome, most=4)
    begin_attempt(queue, queue.next())
    queue.journal.close()
    assert points(folder, searched) == whole


@pytest.mark.parametrize("name", NAMES)
def test_a_finite_space_is_searched_whole_without_a_repetition(name, tmp_path):
    proposed = finite_points(name, tmp_path / "run", trials=100)
    assert len(proposed) == len(set(proposed)) == 12


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_in_the_space_after_a_failure_and_a_divergence(name, tmp_path):
    finite = FINITE_RANGES if name == "cmaes" else FINITE
    for space in [finite, RANGES] if name in SAMPLING else [finite]:
        searched = parsed(name, space, 12)
        proposed = points(tmp_path / next(iter(space)), searched)
        assert len(proposed) > 5
        for text in proposed:
            point = json.loads(text)
            dimensions = searched.resolve(RTE).space
            assert set(point) == set(dimensions)
            assert all(value in dimensions[key] for key, value in point.items())
