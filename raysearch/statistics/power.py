"""What differences a plan of seeds and examples will be able to see, before anything is trained.

It is apart from the intervals because those rest on predictions, and this on assumptions.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .levels import LEVEL, SIGHT

if TYPE_CHECKING:
    from .intervals import Aggregate

# The assumed standard deviation of scores over seeds: that of BERT-large on MRPC as NVIDIA prints
# it, which falls with the square root of the number of training examples.
SPREAD, SPREAD_AT = 0.012, 3668
EACH_WAY = 1.96  # standard errors from a score to the end of its 95 % interval
_DRAWS = 20_000
# What `measured_error` returns for 1 to 10 seeds, so that a plan is judged without numpy.
_MEASURED_ERRORS = {
    "median": (0.996039, 4.51379, 1.45931, 0.887706, 0.761223,
               0.616932, 0.570374, 0.502028, 0.483219, 0.431221),
    "mean": (0.996039, 4.51379, 1.27913, 0.808108, 0.640225,
             0.541715, 0.474253, 0.430030, 0.392555, 0.365875),
    "max": (0.996039, 5.07517, 1.61638, 1.14659, 0.950294,
            0.854167, 0.773838, 0.736368, 0.701465, 0.676506),
}  # fmt: skip
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


def visible_difference(example: float, spread: float, seeds: int, report: str) -> float:
    """Return the smallest difference from a fixed number that is seen with 80 % power.

    Args:
        example: the standard error of the examples, which all seeds share.
        spread: the standard deviation of the seeds' scores.
        seeds: the number of seeds.
        report: what is printed of their scores: "median", "mean" or "max".
    """
    errors = _MEASURED_ERRORS[report]
    error = errors[seeds - 1] if seeds <= len(errors) else measured_error(report, seeds)
    return SIGHT * math.hypot(example, spread * error)


def measured_error(report: str, seeds: int) -> float:
    """Return the error of what is printed of so many seeds whose spread, 1, is not known.

    It is that of a normal score with an interval as wide as theirs, see `intervals`.
    """
    import numpy as np

    from .intervals import AGGREGATES, ends, student_scale

    aggregate = AGGREGATES[report]
    if seeds == 1:  # its interval covers the examples alone
        return aggregate_error(aggregate, seeds)
    random = np.random.default_rng(0)
    aggregated = aggregate(random.standard_normal((seeds, _DRAWS)))
    scale = student_scale(seeds, _DRAWS, random)
    _, _, error = ends((aggregated - aggregated.mean()) * scale)
    return error


def aggregate_error(aggregate: Aggregate, seeds: int) -> float:
    """Return the standard error of what is printed of so many seeds with a spread of 1."""
    import numpy as np

    normal = np.random.default_rng(0).standard_normal((seeds, _DRAWS))
    return float(aggregate(normal).std())
