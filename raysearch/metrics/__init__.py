"""Scores of predictions against gold labels, as fractions. Larger is better, nothing is NaN.

`plain` measures class ids and numbers, `squad` answers to questions, `official` the same as the
scripts do, `tagging` tags of words, `masked` guesses of tokens. All but that one have a `score`
that gives the metrics that are named; `worst` knows all of them.
"""

from ..errors import InputError
from . import masked, official, squad, tagging
from .plain import (
    METRICS,
    Metric,
    acc_f1,
    accuracy,
    average,
    combined,
    f1,
    majority,
    mcc,
    over_languages,
    pearson,
    pearson_spearman,
    score,
    spearman,
    unknown_metric,
)

# Every name that a task may select by or report -> what a diverged trial gets.
WORST: dict[str, float] = {
    **dict.fromkeys((*squad.SCORES, *tagging.SCORES, *masked.SCORES), 0.0),
    **{name: metric.worst for name, metric in METRICS.items()},
}

__all__ = [
    "METRICS",
    "WORST",
    "Metric",
    "acc_f1",
    "accuracy",
    "average",
    "combined",
    "f1",
    "majority",
    "masked",
    "mcc",
    "official",
    "over_languages",
    "pearson",
    "pearson_spearman",
    "score",
    "spearman",
    "squad",
    "tagging",
    "worst",
]


def worst(metric: str) -> float:
    """The metric's lowest value. Raises InputError for an unknown metric."""
    if metric not in WORST:
        raise InputError("metrics", [unknown_metric(metric, WORST)])
    return WORST[metric]
