"""Budgets: the search begins no trial that would pass them, and overruns them by less than one."""

import pytest
from support.queues import begin_attempt, drive_queue, report, spend
from test_trial_queue import RANGES, RTE, opened, parsed

from raysearch.results.leaderboard import is_complete
from raysearch.results.paper_table import paper_table
from raysearch.search.trial_queue import QueueState

METRIC = "dev.accuracy"
EPOCHS = {"LR": {"log": [1e-5, 1e-3]}, "EPOCH": {"choice": [2, 4, 10]}}
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch):
    monkeypatch.setattr("os.fsync", lambda file: None)


def budgeted(folder, hours, space=RANGES, **parts):
    search = {"trials": 40, "sampler": "random", "device_hours": hours}
    return opened(parsed(space=space, search=search, **parts), folder)


def hours_of(record):
    """What a toy trial costs: in proportion to its epochs, where these differ."""
    return record.configuration.get("EPOCH", 3) / 3


def costly_trial(queue, record, outcome):
    """A trial of ten equal parts; each is spent before the next begins."""
    epochs = record.configuration.get("EPOCH", 3)
    begin_attempt(queue, record, steps=50 * int(epochs), per_epoch=50, evaluations=(), rungs={})
    yield
    steps = record.plan.steps
    for part in range(1, 11):
        record.step = steps * part // 10
        spend(queue, record, hours_of(record) * HOUR * part / 10)
        yield
    report(queue, record, steps, {METRIC: 0.5 + record.number / 1000}, outcome, steps=steps)
    queue.end(record, outcome)


def drive(queue, lanes):
    """Run trials in turns; a trial is the last one that begins if the budget is over after it."""
    running, begun = [], []
    while True:
        while len(running) < lanes and not isinstance(record := queue.next(), QueueState):
            begun.append(record)
            running.append(costly_trial(queue, record, "finished"))
        if not running:
            return begun
        first = running.pop(0)
        if next(first, "over") != "over":
            running.append(first)


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("hours", [0.3, 1.0, 3.5, 7.01])
@pytest.mark.parametrize("space", [RANGES, EPOCHS])
def test_a_budget_is_overrun_by_less_than_one_trial(lanes, hours, space, tmp_path):
    queue = budgeted(tmp_path, hours, space)
    begun = drive(queue, lanes)
    spent = queue.journal.device_hours
    assert hours <= spent < hours + max(map(hours_of, begun))
    assert is_complete(queue.study.resolve(RTE), queue.journal)


def test_until_the_cost_of_the_first_trial_shows_no_other_begins(tmp_path):
    queue = budgeted(tmp_path, 2.5)
    first = queue.next()
    assert queue.next() is QueueState.WAITING
    events = costly_trial(queue, first, "finished")
    next(events)
    assert queue.next() is QueueState.WAITING  # it has begun, and done nothing yet
    next(events)
    second = queue.next()
    assert second is not first
    third = queue.next()  # the second costs as much as the first, and there is a half hour left
    assert queue.next() is QueueState.WAITING
    assert {r.id for r in (first, second, third)} == queue.live


def test_costs_of_earlier_sessions_count(tmp_path):
    queue = budgeted(tmp_path, 3.5)
    drive_queue(queue, costly_trial, 1, most=2)
    queue.journal.close()
    again = budgeted(tmp_path, 3.5)
    assert len(drive(again, 1)) == 2
    assert 3.5 <= again.journal.device_hours < 4.5
    again.journal.close()
    raised = budgeted(tmp_path, 5.5)
    assert len(drive(raised, 1)) == 2


def test_the_confirmation_comes_in_addition_and_does_not_use_the_budget_up(tmp_path):
    queue = budgeted(tmp_path, 2.5, confirm={"top": 1, "seeds": [11, 12, 13, 14]})
    begun = drive(queue, 2)
    phases = [record.phase for record in begun]
    assert (phases.count("search"), phases.count("confirm")) == (3, 4)
    assert queue.journal.device_hours_of(1) == pytest.approx(3)
    notes = "\n".join(paper_table(queue.study, queue.journal).notes)
    text = ": the search ended after 3 of 40 trials, as its budget of 2.5 device hours (3.00 h)"
    assert f"{text} was spent." in notes


def test_both_budgets_hold_together(tmp_path, monkeypatch):
    search = {"trials": 40, "sampler": "random", "device_hours": 50, "hours": 1e-6}
    queue = opened(parsed(space=RANGES, search=search), tmp_path)
    monkeypatch.setattr(type(queue.clock), "elapsed", property(lambda clock: 7.0))
    assert len(drive(queue, 1)) == 1


def test_a_failed_attempt_counts_and_a_trial_from_a_checkpoint_is_judged_by_its_own_pace(tmp_path):
    queue = budgeted(tmp_path, 5)
    record = queue.next()
    begin_attempt(queue, record)
    record.step = 50
    spend(queue, record, 2 * HOUR)
    assert queue.proposals.budget.hours_left(record) == pytest.approx(2)
    queue.requeue(record)
    begin_attempt(queue, record)
    assert queue.proposals.budget.hours_left(record) is None  # nothing tells it again
    record.step = 25
    spend(queue, record, HOUR / 2)
    assert queue.proposals.budget.hours_left(record) == pytest.approx(1.5)
    assert queue.journal.device_hours == pytest.approx(2.5)
