"""Median stopping, the rule of Vizier (Golovin et al., 2017, section 3.2.2).

It is apart as every stopping rule is: a file of its own, which `stopping_rules` lists.
"""

import statistics
from collections.abc import Sequence

from .stopping_rule import StoppingRule


class MedianStopping(StoppingRule):
    """A stopping rule: what is worse than the median of the others' means does not continue.

    A trial is stopped if its best score so far is strictly below the median of what the others had
    on average up to the same fraction. Scores at the rule's fractions alone count, so that
    `evaluations` changes no decision. Vizier compares with completed trials; here all that have
    come to the fraction count, as Ray Tune's MedianStoppingRule does: those that complete under
    early stopping are the better ones.

    Args:
        settings: the fractions at which trials are compared, and how many others are needed.
    """

    def rival_score(self, scores: Sequence[float]) -> float:
        """Return the mean of the scores so far."""
        return statistics.fmean(scores)

    def continues(self, scores: Sequence[float], rivals: Sequence[float]) -> bool:
        """Return whether a trial continues, see `StoppingRule`."""
        if len(rivals) < self.settings.min_others:
            return True
        # Equal scores may differ in the last bit of their mean.
        return max(scores) >= statistics.median(rivals) - 1e-12
