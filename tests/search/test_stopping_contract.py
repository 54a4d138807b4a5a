"""What every stopping rule keeps, whatever it compares: a run that is resumed decides the same."""

from typing import get_args

import pytest
from support.queues import begin_attempt, drive_queue, report
from support.run_folders import Script

from raysearch import study
from raysearch.run_folder import Journal, read_journal
from raysearch.search.stopping_rules import RULES, RungScores, should_continue, stopping_rule
from raysearch.search.trial_queue import TrialQueue

RTE, METRIC = "glue/rte", "dev.accuracy"
STEPS = 1000
SCORES = [0.3, 0.9, 0.2, 0.8, 0.1, 0.7, 0.6, 0.5]


@pytest.fixture(params=RULES, ids=lambda settings: settings.__name__)
def settings(request):
    """The settings of every rule of the registry, as they are by default."""
    names = get_args(request.param.model_fields["rule"].annotation)
    return request.param(rule=names[0])


@pytest.fixture
def rule(settings):
    return stopping_rule(settings)


@pytest.fixture
def script(tmp_path):
    return Script(tmp_path)


def rungs(rule):
    return {str(fraction): int(STEPS * fraction) for fraction in rule.fractions}


def train(script, rule, score, until=None, phase="search"):
    """Write a trial with a report at each rung, up to and with the step `until`."""
    name = script.begin(RTE, {"LR": script.count * 1e-5}, phase=phase)
    script.attempt(name, steps=STEPS, rungs=rungs(rule))
    for step in rungs(rule).values():
        if until is None or step <= until:
            script.report(name, step, {"accuracy": score}, steps=STEPS)
    return name


def continues(rule, records, name):
    return should_continue(records.trials[name], RungScores(rule, METRIC, records.of(RTE)))


def weak_trial(script, rule):
    """A trial that the rule stops: it stands at its first rung behind seven better ones.

    Of a rule that lets some trials be, as the last bracket of Hyperband, it is the first other one.
    """
    for _ in range(7):
        train(script, rule, 0.9)
    first = min(rungs(rule).values())
    for _ in range(8):
        name = train(script, rule, 0.1, until=first)
        if not continues(rule, script.journal, name):
            return name
    raise AssertionError("the rule stops none of eight weak trials")


def test_the_settings_are_read_back_as_those_of_the_same_rule(settings):
    """A resumed run reads the study that the run has written, without values at their defaults."""
    raw = {"name": "x", "tasks": [RTE], "model": "scratch", "space": {"LR": {"choice": [1e-5]}},
           "search": {"stop_early": settings.model_dump()}}  # fmt: skip
    written = study.parse(study.as_mapping(study.parse(raw)))
    assert type(written.search.stop_early) is type(settings)
    assert written.search.stop_early == settings


def test_a_rule_names_fractions_inside_a_schedule_in_order(rule):
    assert rule.fractions
    assert all(0 < fraction < 1 for fraction in rule.fractions)
    assert list(rule.fractions) == sorted(set(rule.fractions))


def test_the_first_trial_at_a_rung_is_never_stopped(rule, script):
    first = train(script, rule, 0.0, until=min(rungs(rule).values()))
    train(script, rule, 0.9, until=0)  # it has reached no rung yet
    assert continues(rule, script.journal, first)


def test_a_weak_trial_is_stopped_and_a_good_one_is_not(rule, script):
    name = weak_trial(script, rule)
    assert not continues(rule, script.journal, name)
    good = train(script, rule, 1.0)
    assert continues(rule, script.journal, good)


def test_the_decision_is_the_same_twice_and_from_the_journal_on_disk(
    rule, settings, script, tmp_path
):
    name = weak_trial(script, rule)
    answers = [continues(rule, script.journal, name) for _ in range(2)]
    script.close()
    again = stopping_rule(settings)
    with_disk = [continues(again, records, name) for records in (read_journal(tmp_path),) * 2]
    assert answers == with_disk == [False, False]


def test_no_trial_is_stopped_outside_the_evaluations_of_the_rule(rule, script):
    name = weak_trial(script, rule)
    between = max(rungs(rule).values()) + 1
    script.report(name, between, {"accuracy": 0.0}, steps=STEPS)
    assert continues(rule, script.journal, name)


@pytest.mark.parametrize("status", ["finished", "diverged", "degenerate"])
def test_a_trial_that_has_ended_by_itself_is_not_stopped(rule, script, status):
    weak_trial(script, rule)
    name = train(script, rule, 0.9, until=0)
    step, scores = min(rungs(rule).values()), {"accuracy": 0.0}
    script.report(name, step, scores if status != "diverged" else {}, steps=STEPS, status=status)
    assert continues(rule, script.journal, name)


@pytest.mark.parametrize("phase", ["confirm", "teach"])
def test_trials_of_other_phases_are_neither_stopped_nor_rivals(rule, script, phase):
    first = min(rungs(rule).values())
    for _ in range(7):
        train(script, rule, 0.9, phase=phase)
    weak = train(script, rule, 0.1, until=first)
    assert continues(rule, script.journal, weak)
    for _ in range(7):
        train(script, rule, 0.9)
    other = train(script, rule, 0.0, until=first, phase=phase)
    assert continues(rule, script.journal, other)


@pytest.mark.slow
def test_trials_that_failed_are_no_rivals(rule, script):
    for _ in range(7):
        script.end(train(script, rule, 0.9), "failed", None, error="RuntimeError: a toy broke")
    weak = train(script, rule, 0.1, until=min(rungs(rule).values()))
    assert continues(rule, script.journal, weak)


def toy_trial(queue, record, outcome):
    points = rungs(queue.rule)
    begin_attempt(queue, record, steps=STEPS, rungs=points, evaluations=tuple(points.values()))
    yield
    for step in points.values():
        if not report(queue, record, step, {METRIC: SCORES[record.number]}, steps=STEPS):
            queue.end(record, "stopped")
            return
        yield
    report(queue, record, STEPS, {METRIC: SCORES[record.number]}, "finished", steps=STEPS)
    queue.end(record, outcome)


def run(folder, searched, sessions):
    """Run a study in so many sessions of at most so many trials; return how its trials ended."""
    folder.mkdir()
    for most in sessions:
        queue = TrialQueue(searched, Journal(folder), {RTE: "data"})
        drive_queue(queue, toy_trial, lanes=1, most=most)
        queue.journal.close()
    return [(record.number, record.status) for record in read_journal(folder).of(RTE)]


def test_a_resumed_run_stops_the_trials_that_an_uninterrupted_one_stops(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr("os.fsync", lambda file: None)
    space = {"LR": {"choice": [i * 1e-5 for i in range(1, 9)]}}
    searched = study.parse({
        "tasks": [RTE], "model": "scratch", "space": space,
        "search": {"trials": 8, "sampler": "grid", "stop_early": settings.model_dump()},
    })  # fmt: skip
    whole = run(tmp_path / "whole", searched, [8])
    assert run(tmp_path / "resumed", searched, [3, 2, 3]) == whole
    assert {"stopped", "finished"} == {status for _, status in whole}
