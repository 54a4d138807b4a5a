"""The table of every metric and of the score that a diverged trial gets.

It is apart because it needs all the modules of metrics, and they do not need each other.
"""

from ..errors import InputError
from . import masked_lm, squad, token_classification
from .classification import METRICS, unknown_metric

WORST: dict[str, float] = {
    **dict.fromkeys((*squad.SCORES, *token_classification.SCORES, *masked_lm.SCORES), 0.0),
    **{name: metric.worst for name, metric in METRICS.items()},
}


def worst(metric: str) -> float:
    """Return the metric's lowest value.

    Raises:
        InputError: the metric is unknown.
    """
    if metric not in WORST:
        raise InputError("metrics", [unknown_metric(metric, WORST)])
    return WORST[metric]
