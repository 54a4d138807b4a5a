"""What differences a plan of seeds and examples will be able to see, before anything is trained.

It is apart from the intervals because those rest on predictions, and this on assumptions.
"""

import math

import numpy as np

from .intervals import LEVEL, SIGHT, Aggregate, ends, student_scale

# The assumed standard deviation of scores over seeds: that of BERT-large on MRPC as NVIDIA prints
# it, which falls with the square root of the number of training examples.
SPREAD, SPREAD_AT = 0.012, 3668
EACH_WAY = 1.96  # standard errors from a score to the end of its 95 % interval
_DRAWS = 20_000
_CORRELATIONS = ("pearson", "spearman", "pearson_spearman")
POWER_RULE = (
    "sees: the smallest difference to a published number that is seen with 80 % power at"
    f" {100 * (1 - LEVEL):.0f} % (Card et al., 2020): {SIGHT} standard errors of the dev examples'"
    f" binomial noise and an assumed spread over seeds, {100 * SPREAD:g} points at {SPREAD_AT:,}"
    " training examples and less by the root of their number with more; few seeds see less, as"
    " their spread has to be measured (Student's t)"
)


def example_error(metric: str, score: float, examples: int) -> float:
    """Return the standard error of one model's score on so many dev examples.

    It is binomial, as if each example were right or wrong; of Matthews's correlation that of two
    balanced classes, of other correlations that of normal values.

    Args:
        metric: the name of the metric.
        score: the expected score, a fraction.
        examples: the number of examples.
    """
    if metric in _CORRELATIONS:
        return (1 - score**2) / math.sqrt(examples)
    variance = 1 - score**2 if metric == "mcc" else score * (1 - score)
    return math.sqrt(max(0.0, variance) / examples)


def seed_spread(training_examples: int) -> float:
    """Return the assumed standard deviation of scores over seeds, a fraction."""
    return SPREAD * math.sqrt(SPREAD_AT / training_examples)


def visible_difference(example: float, spread: float, seeds: int, aggregate: Aggregate) -> float:
    """Return the smallest difference from a fixed number that is seen with 80 % power.

    Args:
        example: the standard error of the examples, which all seeds share.
        spread: the standard deviation of the seeds' scores.
        seeds: the number of seeds.
        aggregate: what is printed of their scores.
    """
    return SIGHT * math.hypot(example, spread * _measured_error(aggregate, seeds))


def _measured_error(aggregate: Aggregate, seeds: int) -> float:
    """Return the error of what is printed of so many seeds whose spread, 1, is not known.

    It is that of a normal score with an interval as wide as theirs, see `intervals`.
    """
    if seeds == 1:  # its interval covers the examples alone
        return aggregate_error(aggregate, seeds)
    random = np.random.default_rng(0)
    aggregated = aggregate(random.standard_normal((seeds, _DRAWS)))
    scale = student_scale(seeds, _DRAWS, random)
    _, _, error = ends((aggregated - aggregated.mean()) * scale, LEVEL)
    return error


def aggregate_error(aggregate: Aggregate, seeds: int) -> float:
    """Return the standard error of what is printed of so many seeds with a spread of 1."""
    normal = np.random.default_rng(0).standard_normal((seeds, _DRAWS))
    return float(aggregate(normal).std())
