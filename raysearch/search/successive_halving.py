"""Successive halving at the same fractions of each trial's own schedule (after Li et al., 2018).

It is apart as every stopping rule is: a file of its own, which `stopping_rules` lists.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

from ..study import Halving


class SuccessiveHalving:
    """A stopping rule: at every rung the best share of the trials continues.

    A trial continues if it is among the best `keep` of all trials that have reached the rung, that
    number rounded up; the first one always does.

    Args:
        settings: the fractions at which trials compete, and the share that continues.
    """

    def __init__(self, settings: Halving) -> None:
        self.settings = settings

    @property
    def fractions(self) -> tuple[float, ...]:
        """The fractions of a schedule at which trials compete."""
        return self.settings.at

    def group(self, number: int, fraction: float) -> int | None:
        """Return the same group for all trials, see `stopping_rules.StoppingRule`."""
        return 0

    def rival_score(self, scores: Sequence[float]) -> float:
        """Return the latest score."""
        return scores[-1]

    def continues(self, scores: Sequence[float], rivals: Sequence[float]) -> bool:
        """Return whether a trial continues, see `stopping_rules.StoppingRule`."""
        return is_among_best(scores[-1], rivals, self.settings.keep)


def is_among_best(score: float, rivals: Sequence[float], keep: float) -> bool:
    """Return whether a score is among the best share of all, equal ones included.

    Args:
        score: of a trial.
        rivals: the scores of the others, the lowest first.
        keep: the share; the number of trials that it makes is rounded up.
    """
    better = len(rivals) - bisect_right(rivals, score)
    share = keep * (len(rivals) + 1)
    return better < math.ceil(share - 1e-9)  # 0.07 of 100 are 7
