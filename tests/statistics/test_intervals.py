"""Intervals against simulated systems whose true scores are known."""

import math

import numpy as np
import pytest

from raysearch.metrics.bootstrap_metrics import classification_measure
from raysearch.statistics.intervals import (
    Sample,
    ScoreSample,
    average,
    difference,
    interval,
    maximum,
    mean,
    median,
)

SEEDS, EXAMPLES = 5, 300
# Accuracy of a probit model: skill of the system, of the seed, of the example, and pure noise.
SKILL, SEED_SPREAD, NOISE = 0.9, 0.06, 0.5
TRUTH = 0.5 * (1 + math.erf(SKILL / math.sqrt(2 * (1 + SEED_SPREAD**2 + NOISE**2))))


def seeds_of(random, difficulty, skill=SKILL, count=SEEDS):
    """Simulate the models of one system's seeds on examples with these difficulties."""
    latent = skill + difficulty + SEED_SPREAD * random.standard_normal((count, 1))
    right = latent + NOISE * random.standard_normal((count, len(difficulty))) > 0
    gold = np.ones(len(difficulty), int)
    return [
        ScoreSample(measures=[("dev", classification_measure("accuracy", row.astype(int), gold))])
        for row in right
    ]


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.mark.slow
@pytest.mark.parametrize("aggregate", [median, mean, maximum])
def test_95_of_100_intervals_hold_the_true_score_and_equal_systems_are_rarely_told_apart(
    aggregate, random
):
    studies, apart, intervals = 250, 0, []
    samples = {"dev": Sample.of_size(EXAMPLES)}
    for study in range(studies):
        difficulty = random.standard_normal(EXAMPLES)
        first, second = seeds_of(random, difficulty), seeds_of(random, difficulty)
        options = {"aggregate": aggregate, "draws": 300, "seed": study}
        intervals.append(interval(first, samples, **options))
        apart += not (lambda d: d.low <= 0 <= d.high)(difference(first, second, samples, **options))
    truth = TRUTH if aggregate is not maximum else np.mean([ours.value for ours in intervals])
    held = sum(ours.low <= truth <= ours.high for ours in intervals)
    assert 0.925 <= held / studies <= 0.985
    assert apart / studies <= 0.06


def test_a_difference_that_is_large_enough_is_seen(random):
    samples, seen = {"dev": Sample.of_size(1000)}, 0
    for study in range(40):
        difficulty = random.standard_normal(1000)
        first, second = seeds_of(random, difficulty), seeds_of(random, difficulty, SKILL + 0.3)
        seen += difference(first, second, samples, draws=300, seed=study).low > 0
    assert seen >= 36


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_number_at_the_visible_distance_is_excluded_by_four_of_five_intervals(count, random):
    samples, found = {"dev": Sample.of_size(EXAMPLES)}, []
    for study in range(200):
        seeds = seeds_of(random, random.standard_normal(EXAMPLES), count=count)
        found.append(interval(seeds, samples, draws=300, seed=study))
    distance = np.median([ours.visible for ours in found])
    excluded = np.mean([ours.low > TRUTH - distance for ours in found])
    assert 0.7 <= excluded <= 0.93
    assert max(ours.visible for ours in found) < 6 * distance


def test_two_paired_seeds_with_the_same_difference_keep_the_noise_of_the_examples():
    """Each seed of the first system is wrong on three examples, and on others for each seed."""
    right = np.ones((2, 20), int)
    right[0, :3] = right[1, 3:6] = 0
    gold = np.ones(20, int)
    first, second = (
        [ScoreSample(measures=[("dev", classification_measure("accuracy", row, gold))])
         for row in rows]
        for rows in (right, np.ones((2, 20), int))
    )  # fmt: skip
    ours = difference(first, second, {"dev": Sample.of_size(20)}, paired=True)
    assert ours.value == pytest.approx(0.15)
    assert ours.low < 0.06
    assert ours.high > 0.24


def test_an_interval_is_the_same_for_the_same_seed(random):
    seeds, samples = seeds_of(random, np.zeros(50)), {"dev": Sample.of_size(50)}
    assert interval(seeds, samples, seed=1) == interval(seeds, samples, seed=1)
    assert interval(seeds, samples, seed=1) != interval(seeds, samples, seed=2)


def test_one_seed_has_the_interval_of_its_examples(random):
    seeds = seeds_of(random, np.zeros(400), count=1)
    ours = interval(seeds, {"dev": Sample.of_size(400)}, draws=4000)
    error = math.sqrt(ours.value * (1 - ours.value) / 400)
    assert ours.seeds == 1
    assert ours.error == pytest.approx(error, rel=0.08)
    assert ours.high - ours.low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_examples_of_a_cluster_are_drawn_together(random):
    """Clusters of equal examples are worth no more than one example each."""
    seeds = seeds_of(random, np.zeros(50), count=1)
    copies = np.repeat(np.arange(50), 8)
    measure = seeds[0].measures[0][1]
    ones = np.eye(50)
    right = np.array([measure(row[None])[0] for row in ones]).astype(int)
    repeated = ScoreSample(
        measures=[("dev", classification_measure("accuracy", right[copies], np.ones(400, int)))]
    )
    single = interval(seeds, {"dev": Sample.of_size(50)}, draws=3000)
    grouped = interval([repeated], {"dev": Sample.of_groups([*map(str, copies)])}, draws=3000)
    ungrouped = interval([repeated], {"dev": Sample.of_size(400)}, draws=3000)
    assert grouped.error == pytest.approx(single.error, rel=0.08)
    assert ungrouped.error == pytest.approx(single.error / math.sqrt(8), rel=0.08)


def test_a_score_over_splits_is_their_mean_and_shares_no_draws_between_samples(random):
    one, other = seeds_of(random, np.zeros(300)), seeds_of(random, np.zeros(300))
    both = [
        ScoreSample(measures=[("en", a.measures[0][1]), ("de", b.measures[0][1])])
        for a, b in zip(one, other, strict=True)
    ]
    samples = {"en": Sample.of_size(300), "de": Sample.of_size(300)}
    parts = [interval(seeds, {"dev": samples["en"]}, aggregate=mean) for seeds in (one, other)]
    ours = interval(both, samples, aggregate=mean)
    assert ours.value == pytest.approx((parts[0].value + parts[1].value) / 2)
    assert ours.error < max(part.error for part in parts)


def paired_systems(random, count, skills=(SKILL, SKILL), shared=0.3, own=0.05):
    """Simulate two systems whose n-th seeds share a large part of what a seed changes."""
    difficulty, gold = random.standard_normal(EXAMPLES), np.ones(EXAMPLES, int)
    common = shared * random.standard_normal((count, 1))
    systems = []
    for skill in skills:
        latent = skill + difficulty + common + own * random.standard_normal((count, 1))
        right = (latent + NOISE * random.standard_normal((count, EXAMPLES)) > 0).astype(int)
        measures = [classification_measure("accuracy", row, gold) for row in right]
        systems.append([ScoreSample(measures=[("dev", measure)]) for measure in measures])
    return systems


@pytest.mark.slow
@pytest.mark.parametrize("count", [3, 5])
def test_paired_seeds_give_a_narrower_interval_and_equal_systems_are_still_rarely_told_apart(
    count, random
):
    samples, studies, apart, width = {"dev": Sample.of_size(EXAMPLES)}, 250, 0, np.zeros(2)
    for study in range(studies):
        first, second = paired_systems(random, count)
        for index, paired in enumerate((False, True)):
            found = difference(first, second, samples, draws=300, seed=study, paired=paired)
            width[index] += found.high - found.low
        assert found.paired
        apart += not found.low <= 0 <= found.high
    assert apart / studies <= 0.06
    assert width[1] < 0.8 * width[0]


def test_the_mean_of_differences_on_several_tasks_has_the_error_of_independent_ones(random):
    samples = {"dev": Sample.of_size(EXAMPLES)}
    found = []
    for seed in range(4):
        difficulty = random.standard_normal(EXAMPLES)
        pair = [seeds_of(random, difficulty, count=1) for _ in range(2)]
        found.append(difference(*pair, samples, draws=4000, seed=seed))
    together = average(found)
    assert together.value == pytest.approx(sum(one.value for one in found) / 4)
    expected = math.sqrt(sum(one.error**2 for one in found)) / 4
    assert together.error == pytest.approx(expected, rel=0.06)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("right", [1, 0])
def test_answers_that_are_all_right_or_all_wrong_are_no_proof_of_the_next_ones(count, right):
    """With 60 of 60 right, 95.1 % is the least share under which this happens in 1 of 20 tries."""
    answers, gold = np.full(60, right), np.ones(60, int)
    seed = ScoreSample(measures=[("dev", classification_measure("accuracy", answers, gold))])
    samples = {"dev": Sample.of_size(60)}
    ours = interval([seed] * count, samples, within=(0.0, 1.0), draws=20_000)
    reach = 1 - 0.05 ** (1 / 60)
    assert ours.value == right
    inner, outer = (ours.low, ours.high) if right else (ours.high, ours.low)
    assert abs(right - inner) == pytest.approx(reach, rel=0.05)
    assert outer == right
    assert ours.visible > reach  # a published 99.0 cannot be told from 100.0 of so few examples
