"""Hyperband, by hand: the brackets of its paper."""

from collections import Counter

import pytest

from raysearch.run_folder import Record
from raysearch.run_folder.events import Plan, ReportEvent
from raysearch.search.hyperband import HyperbandStopping
from raysearch.search.stopping_rules import RungScores, should_continue
from raysearch.study.schema import Hyperband

METRIC = "dev.accuracy"


def rule_of(**settings):
    return HyperbandStopping(Hyperband(rule="hyperband", **settings))


def toy_record(number, *scores, steps=(1, 2, 4)):
    """A trial of eight steps, or of fewer, that reported these scores at its rungs."""
    plan = Plan(steps=8, rungs=dict(zip(("0.125", "0.25", "0.5"), steps, strict=True)))
    reports = [
        ReportEvent(
            trial="toy", at=0.0, step=step, steps=8, scores={METRIC: score}, status="running"
        )
        for step, score in zip(dict.fromkeys(steps), scores, strict=False)
    ]
    values = {"task": "glue/rte", "phase": "search", "configuration": {}, "seed": 1}
    return Record(
        id=f"toy-{number}", number=number, index=number, plan=plan, reports=reports, **values
    )


def numbers_of(rule, bracket):
    return [number for number in range(40) if rule.bracket(number) == bracket]


def goes_on(rule, record, *others):
    return should_continue(record, RungScores(rule, METRIC, [record, *others]))


@pytest.mark.parametrize("numbers", [range(320), range(100, 740, 2), range(1, 961, 3)])
def test_brackets_have_the_shares_of_the_paper(numbers):
    """With R = 8 and eta = 2 they begin with n = 8, 16/3, 4 and 4 trials (algorithm 1, n = 4)."""
    rule = rule_of(at=[0.125, 0.25, 0.5], keep=0.5)
    counts = Counter(map(rule.bracket, numbers))
    expected = [len(numbers) * n / (8 + 16 / 3 + 4 + 4) for n in (8, 16 / 3, 4, 4)]
    assert [counts[b] for b in range(4)] == pytest.approx(expected, abs=4)


def test_a_few_trials_in_a_row_are_spread_over_the_brackets():
    rule = rule_of()
    for first in range(50):
        assert {rule.bracket(number) for number in range(first, first + 8)} == {0, 1, 2, 3}


def test_each_bracket_begins_one_fraction_later_and_the_last_one_never():
    rule = rule_of(at=[0.125, 0.25, 0.5])
    numbers = {rule.bracket(number): number for number in range(20)}
    groups = [[rule.group(numbers[b], at) for at in rule.fractions] for b in range(4)]
    assert groups == [[0, 0, 0], [None, 1, 1], [None, None, 2], [None, None, None]]


def test_within_a_bracket_the_best_share_goes_on():
    rule = rule_of(keep=0.34)
    assert rule.continues([0.5], [0.1, 0.2])
    assert rule.continues([0.9, 0.5], [0.4, 0.6])  # two of three, rounded up
    assert not rule.continues([0.9, 0.3], [0.4, 0.6])
    assert rule.rival_score([0.9, 0.3]) == 0.3


def test_trials_of_other_brackets_are_no_rivals():
    rule = rule_of()
    (first, second, *_), (other, *_) = numbers_of(rule, 0), numbers_of(rule, 3)
    weak, strong = toy_record(first, 0.1), toy_record(other, 0.9)
    assert goes_on(rule, weak, strong)
    assert goes_on(rule, toy_record(other, 0.1), toy_record(first, 0.9), toy_record(second, 0.9))
    assert not goes_on(rule, weak, strong, toy_record(second, 0.9))


def test_where_two_fractions_are_the_same_step_each_bracket_competes_there():
    rule, steps = rule_of(), (1, 1, 2)  # of a trial of four steps
    for bracket in (0, 1):
        first, second, *_ = numbers_of(rule, bracket)
        rivals = [toy_record(second, 0.9, steps=steps)]
        assert not goes_on(rule, toy_record(first, 0.1, steps=steps), *rivals)
