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

    def continues(self, score: float, others: Sequence[float]) -> bool:
        """Return whether a trial continues, see `stopping_rules.StoppingRule`."""
        better = len(others) - bisect_right(others, score)
        share = self.settings.keep * (len(others) + 1)
        return better < math.ceil(share - 1e-9)  # 0.07 of 100 are 7
