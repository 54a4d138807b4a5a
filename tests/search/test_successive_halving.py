"""Successive halving, by hand."""

from itertools import count

import pytest

from raysearch.run_folder import Record
from raysearch.run_folder.events import Plan, ReportEvent
from raysearch.search.stopping_rules import RungScores, should_continue, stopping_rule
from raysearch.study import Halving

METRIC = "dev.accuracy"


NUMBERS = count()


def toy_report(step, scores, steps=100, status="running"):
    return ReportEvent(trial="toy", at=0.0, step=step, steps=steps, scores=scores, status=status)


def toy_record(*scores, steps=100, rungs=(0.25, 0.5), **more):
    """A trial that reported these scores at the rungs of its own schedule, in order."""
    points = {str(at): int(steps * at) for at in rungs}
    reports = [
        toy_report(step, {METRIC: score}, steps)
        for step, score in zip([*points.values(), steps], scores, strict=False)
    ]
    values = {"task": "glue/rte", "phase": "search", "configuration": {}, "seed": 1, **more}
    number, plan = next(NUMBERS), Plan(steps=steps, rungs=points)
    return Record(id=f"toy-{number}", number=number, plan=plan, reports=reports, **values)


def decided(mine, *others, keep=0.5):
    rivals = [record if isinstance(record, Record) else toy_record(record) for record in others]
    rule = stopping_rule(Halving(keep=keep))
    return should_continue(mine, RungScores(rule, METRIC, [mine, *rivals]))


def test_the_first_at_a_rung_always_goes_on():
    assert decided(toy_record(0.0), keep=0.01)


@pytest.mark.parametrize(
    ("others", "goes"),
    [
        ([0.4], True),  # better of two
        ([0.6], False),  # worse of two: one of two goes on
        ([0.6, 0.4], True),  # second of three: two go on, rounded up
        ([0.6, 0.7], False),
        ([0.6, 0.7, 0.3, 0.1], True),  # third of five
        ([0.6, 0.7, 0.8, 0.1], False),  # fourth of five
    ],
)
def test_the_better_half_goes_on(others, goes):
    assert decided(toy_record(0.5), *others) is goes


def test_equals_go_on():
    assert decided(toy_record(0.5), 0.5, 0.5, 0.5)


@pytest.mark.parametrize("better", range(8))
def test_the_kept_share_is_rounded_up_but_not_by_the_machine(better):
    # 7 % of a hundred trials are seven, though 0.07 * 100 is above seven in floating point.
    others = [0.9] * better + [0.1] * (99 - better)
    assert decided(toy_record(0.5), *others, keep=0.07) is (better < 7)


def test_between_rungs_nothing_is_decided():
    mine = toy_record(0.9, 0.9)
    mine.reports.append(toy_report(60, {METRIC: 0.0}))
    assert decided(mine, toy_record(0.9, 0.9, 0.9))


def test_trials_compete_at_fractions_of_their_own_schedule_never_at_equal_steps():
    long = toy_record(0.5, steps=400)  # its first rung is step 100
    assert decided(long, toy_record(0.4, 0.6, 0.9))  # whose step 100 is the end
    assert not decided(long, toy_record(0.6, 0.1, 0.1))


def test_a_rung_knows_only_those_that_have_reached_it():
    second = toy_record(0.1, 0.5)
    assert decided(second, 0.9, 0.9, 0.9)  # they are at the first rung still
    assert not decided(second, toy_record(0.1, 0.6))


def test_those_that_were_stopped_or_have_ended_still_count():
    mine = toy_record(0.5)
    assert decided(mine, toy_record(0.1, status="stopped"), toy_record(0.6, status="finished"))
    assert not decided(mine, toy_record(0.6, 0.9, status="finished"))


def test_a_rival_without_a_score_or_a_plan_does_not_count():
    diverged = toy_record()
    diverged.reports.append(toy_report(25, {}, status="diverged"))
    begun = toy_record()
    begun.plan = None
    assert decided(toy_record(0.1), diverged, begun)


def test_rungs_are_known_again_after_a_journal_was_read():
    from_json = toy_record(0.5)
    assert set(from_json.plan.rungs) == {"0.25", "0.5"}
    assert not decided(from_json, 0.6)
