"""What a plan of seeds and examples can see, against the spec's figures and simulated scores."""

import numpy as np
import pytest

from raysearch.metrics.bootstrap_metrics import classification_measure
from raysearch.statistics import power
from raysearch.statistics.intervals import (
    AGGREGATES,
    Sample,
    ScoreSample,
    interval,
    maximum,
    mean,
    median,
)
from raysearch.statistics.power import (
    aggregate_error,
    example_error,
    seed_spread,
    visible_difference,
)


@pytest.mark.parametrize(
    ("accuracy", "examples", "points"),
    [
        (0.866, 277, 4.0),  # RTE
        (0.90, 408, 2.9),  # MRPC
        (0.85, 1043, 2.2),  # CoLA
        (0.955, 872, 1.4),  # SST-2
        (0.90, 9815, 0.6),  # MNLI
        (0.93, 10570, 0.5),  # SQuAD 1.1
    ],
)
def test_one_models_interval_has_the_known_width_on_known_dev_sets(accuracy, examples, points):
    assert round(100 * 1.96 * example_error("accuracy", accuracy, examples), 1) == points


@pytest.mark.parametrize("metric", ["accuracy", "mcc", "pearson"])
def test_the_noise_of_the_examples_is_that_of_a_bootstrap(metric):
    random = np.random.default_rng(2)
    gold = random.integers(0, 2, 2000)
    predicted = np.where(random.random(2000) < 0.8, gold, 1 - gold)
    if metric == "pearson":
        gold = random.standard_normal(2000)
        predicted = gold + 0.5 * random.standard_normal(2000)
    seed = ScoreSample(measures=[("dev", classification_measure(metric, predicted, gold))])
    ours = interval([seed], {"dev": Sample.of_size(2000)}, draws=4000)
    assert example_error(metric, ours.value, 2000) == pytest.approx(ours.error, rel=0.08)


def test_the_spread_over_seeds_falls_with_the_root_of_the_training_examples():
    assert seed_spread(3668) == 0.012
    assert seed_spread(4 * 3668) == pytest.approx(0.006)


@pytest.mark.parametrize(
    ("aggregate", "seeds", "expected"),
    # Medians of three and five normal numbers, the maximum of two: tables of order statistics.
    [
        (mean, 4, 0.5),
        (median, 1, 1.0),
        (median, 3, 0.6698),
        (median, 5, 0.5356),
        (maximum, 2, 0.8256),
    ],
)
def test_the_error_of_an_aggregate_of_seeds(aggregate, seeds, expected):
    assert aggregate_error(aggregate, seeds) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("report", AGGREGATES)
def test_the_listed_errors_are_those_that_are_measured(report, monkeypatch):
    listed = [visible_difference(0.0, 0.01, seeds, report) for seeds in range(1, 11)]
    monkeypatch.setattr(power, "_MEASURED_ERRORS", dict.fromkeys(AGGREGATES, ()))
    measured = [visible_difference(0.0, 0.01, seeds, report) for seeds in range(1, 12)]
    assert listed == pytest.approx(measured[:10], rel=1e-5)
    assert measured[10] < measured[9]


def scored(right):
    """The models of seeds that are right on these examples, [seeds, examples]."""
    gold = np.ones(right.shape[1], int)
    measures = [classification_measure("accuracy", row.astype(int), gold) for row in right]
    return [ScoreSample(measures=[("dev", measure)]) for measure in measures]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_visible_difference_is_seen_in_four_of_five_studies(seeds):
    """The verdicts are those of the table: a number is seen if the interval excludes it."""
    spread, examples, studies, truth = 0.02, 1000, 200, 0.7
    error = example_error("accuracy", truth, examples)
    visible = visible_difference(error, spread, seeds, "mean")
    random, seen = np.random.default_rng(0), 0
    for study in range(studies):
        shared = random.random(examples)  # how hard each example is, for all seeds
        share = truth + spread * random.standard_normal((seeds, 1))
        ours = interval(scored(shared < share), {"dev": Sample.of_size(examples)},
                        aggregate=mean, draws=400, seed=study)  # fmt: skip
        seen += not ours.low <= truth - visible <= ours.high
    assert 0.74 <= seen / studies <= 0.92
