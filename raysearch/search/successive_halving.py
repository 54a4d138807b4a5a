"""Successive halving at the same fractions of each trial's own schedule (after Li et al., 2018).

It is apart as every stopping rule is: a file of its own, which `stopping_rules` lists.
"""

import math
from collections.abc import Sequence

from ..run_folder import Record
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

    def continues(self, record: Record, rivals: Sequence[Record], rung: str, metric: str) -> bool:
        """Return whether a trial continues, see `stopping_rules.StoppingRule`."""
        score = record.reports[-1].scores[metric]
        others = [other for rival in rivals for other in _scores_at(rival, rung, metric)]
        better = sum(other > score for other in others)
        share = self.settings.keep * (len(others) + 1)
        return better < math.ceil(share - 1e-9)  # 0.07 of 100 are 7


def _scores_at(record: Record, rung: str, metric: str) -> list[float]:
    """Return the scores that a trial has reached at a rung: one, or none."""
    step = record.plan.rungs.get(rung) if record.plan else None
    return [r.scores[metric] for r in record.reports if r.step == step and r.scores]
