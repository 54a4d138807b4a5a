"""Paired tests, verdicts and expected scores against scipy, enumeration and formulas."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from raysearch.statistics.expected_performance import expected_best, selection_optimism
from raysearch.statistics.intervals import Interval
from raysearch.statistics.paired_tests import holm, mcnemar, sign_flip
from raysearch.statistics.verdict import Verdict, verdict


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (5, 12), (40, 40), (3, 900)])
def test_mcnemar_is_the_exact_binomial_test(first, second):
    count = first + second
    expected = stats.binomtest(first, count, 0.5).pvalue if count else 1.0
    assert mcnemar(first, second) == pytest.approx(expected, rel=1e-9)


def test_the_sign_flip_test_of_few_examples_is_exact():
    values = np.array([0.5, 1.0, 0.25, -0.1, 0.0, 0.7])
    expected = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip(values) == pytest.approx(expected)


def test_the_sign_flip_test_of_signs_is_mcnemar():
    values = np.array([1.0] * 60 + [-1.0] * 35 + [0.0] * 500)
    assert sign_flip(values) == pytest.approx(mcnemar(35, 60), abs=0.01)


@pytest.mark.parametrize(
    ("low", "high", "published", "expected"),
    [
        (0.80, 0.82, 0.79, Verdict.ABOVE),
        (0.80, 0.82, 0.83, Verdict.BELOW),
        (0.80, 0.88, 0.85, Verdict.CANNOT_TELL),
        (0.807, 0.813, 0.809, Verdict.REPRODUCED),
    ],
)
def test_verdicts(low, high, published, expected):
    error = (high - low) / (2 * 1.96)
    ours = Interval(value=(low + high) / 2, low=low, high=high, error=error, seeds=5)
    assert verdict(ours, published) is expected


def test_the_expected_best_is_that_of_all_subsets():
    scores = [0.3, 0.9, 0.5, 0.5, 0.1]
    expected = [np.mean([max(c) for c in combinations(scores, n)]) for n in range(1, 6)]
    assert expected_best(scores) == pytest.approx(expected)


def test_the_expected_best_of_many_trials_is_finite_and_grows():
    best = expected_best([*np.random.default_rng(0).random(2000)])
    assert np.isfinite(best).all()
    assert (np.diff(best) >= -1e-12).all()


def test_the_optimism_of_pure_noise_is_the_mean_of_its_maximum():
    random = np.random.default_rng(1)
    noise, trials = 0.012, 24
    maximum = random.standard_normal((20_000, trials)).max(1).mean() * noise
    scores = noise * stats.norm.ppf((np.arange(trials) + 0.5) / trials)  # no more than the noise
    assert selection_optimism(scores, noise) == pytest.approx(maximum, rel=0.1)
    assert selection_optimism([*(10 * scores)], noise) < 0.4 * maximum


def test_holms_adjustment_is_that_of_his_example():
    """The values are those of R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []
