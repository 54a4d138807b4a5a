"""Successive halving at the same fractions of each trial's own schedule (after Li et al., 2018).

It is apart as every stopping rule is: a file of its own, which `stopping_rules` lists.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

from .stopping_rule import StoppingRule


class SuccessiveHalving(StoppingRule):
    """A stopping rule: at every rung the best share of the trials continues.

    A trial continues if it is among the best `keep` of all trials that have reached the rung, that
    number rounded up, equal ones included; the first one always does.

    Args:
        settings: the fractions at which trials compete, and the share that continues.
    """

    def continues(self, scores: Sequence[float], rivals: Sequence[float]) -> bool:
        """Return whether a trial continues, see `StoppingRule`."""
        better = len(rivals) - bisect_right(rivals, scores[-1])
        share: float = self.settings.keep * (len(rivals) + 1)
        return better < math.ceil(share - 1e-9)  # 0.07 of 100 are 7
