"""Every metric that a task may select by or report, with the score that a diverged trial gets."""

from ..errors import InputError
from . import masked_lm, squad, token_classification
from .classification import METRICS, unknown_metric

WORST: dict[str, float] = {
    **dict.fromkeys((*squad.SCORES, *token_classification.SCORES, *masked_lm.SCORES), 0.0),
    **{name: metric.worst for name, metric in METRICS.items()},
}


def worst(metric: str) -> float:
    """The metric's lowest value. Raises InputError for an unknown metric."""
    if metric not in WORST:
        raise InputError("metrics", [unknown_metric(metric, WORST)])
    return WORST[metric]
