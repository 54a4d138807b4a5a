"""The rule by which a race of configurations drops one before all of its seeds are trained.

It is apart because the search decides by it, and the simulation in benchmarks/ justifies it.
"""

import math
from collections.abc import Sequence

STANDARD_ERRORS = 1.0  # benchmarks/confirmation.py compares it with other rules
MIN_SCORES = 2  # of a configuration, before their spread is known


def fallen_behind(
    scores: Sequence[Sequence[float]], leader: int, standard_errors: float = STANDARD_ERRORS
) -> list[int]:
    """Return the configurations whose mean is too far below the leader's to catch up.

    The spread of the seeds is pooled over all configurations, as few seeds tell little about one.

    Args:
        scores: of each configuration, one for each of its seeds.
        leader: the index of the configuration with which the others are compared.
        standard_errors: of the difference of two means, by which one lies behind.

    Returns:
        Indices; none as long as no configuration has MIN_SCORES scores.
    """
    import numpy as np  # only the search needs it, not the check of a study

    groups = [np.asarray(group, np.float64) for group in scores if len(group) >= MIN_SCORES]
    if not groups:
        return []
    freedom = sum(len(group) - 1 for group in groups)
    variance = sum(float(np.sum((group - group.mean()) ** 2)) for group in groups) / freedom
    best = scores[leader]
    behind = []
    for index, group in enumerate(scores):
        if index == leader or not group:
            continue
        error = math.sqrt(variance * (1 / len(best) + 1 / len(group)))
        if float(np.mean(best) - np.mean(group)) > standard_errors * error:
            behind.append(index)
    return behind
