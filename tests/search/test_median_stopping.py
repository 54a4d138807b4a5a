"""Median stopping, by hand: the rule of Vizier."""

import pytest

from raysearch.search.median_stopping import MedianStopping
from raysearch.study.schema import Median


def decided(scores, *others, least=1):
    """Whether a trial with these scores goes on among others, given by theirs."""
    rule = MedianStopping(Median(rule="median", min_others=least))
    return rule.continues(scores, sorted(map(rule.rival_score, others)))


@pytest.mark.parametrize(
    ("others", "goes"),
    [
        ([[0.4], [0.5], [0.9]], True),  # equal to the median
        ([[0.4], [0.6], [0.9]], False),
        ([[0.4], [0.6]], True),  # of two the median is between them
        ([[0.4], [0.7]], False),
    ],
)
def test_a_trial_below_the_median_ends(others, goes):
    assert decided([0.5], *others) is goes


def test_the_best_score_so_far_is_compared_with_the_means_of_the_others():
    assert decided([0.7, 0.2], [0.4, 0.9])  # 0.7 against 0.65
    assert not decided([0.6, 0.2], [0.4, 0.9])


def test_equal_trials_go_on_although_their_means_are_rounded():
    scores = [0.1, 0.1, 0.1]
    assert sum(scores) / 3 > 0.1  # the sum is rounded up
    assert decided(scores, scores, scores)


def test_nothing_ends_before_so_many_others_have_come():
    assert decided([0.1], [0.9], [0.9], least=3)
    assert not decided([0.1], [0.9], [0.9], [0.9], least=3)
