"""Hyperband: several brackets of successive halving (Li et al., 2018, JMLR 18, algorithm 1).

It is apart as every stopping rule is: a file of its own, which `stopping_rules` lists.
"""

from bisect import bisect_right
from itertools import accumulate

from ..study.schema import Hyperband
from .successive_halving import SuccessiveHalving

GOLDEN = (5**0.5 - 1) / 2


class HyperbandStopping(SuccessiveHalving):
    """A stopping rule: each trial belongs to a bracket, and halving runs within each.

    Halving that begins early may stop what is good but slow. So bracket 0 competes at all
    fractions, bracket 1 at all but the first, and so on; trials of the last bracket are never
    stopped. With eta = 1 / `keep`, the paper begins bracket s with n (eta^s) / (s + 1) trials,
    where s is the number of its rungs. The brackets run at the same time, as in asynchronous
    Hyperband (Li et al., 2020, "A System for Massively Parallel Hyperparameter Tuning").

    Args:
        settings: the fractions, and the share of a bracket that continues at each.
    """

    def __init__(self, settings: Hyperband) -> None:
        super().__init__(settings)
        rungs = range(len(settings.at), -1, -1)  # of each bracket, the one with the most first
        shares = list(accumulate(settings.keep**-count / (count + 1) for count in rungs))
        self._bounds = [share / shares[-1] for share in shares[:-1]]

    def bracket(self, number: int) -> int:
        """Return the bracket of a trial.

        The multiples of the golden ratio are spread evenly over the unit interval, in any run of
        numbers.

        Args:
            number: of the trial in the search of its task.
        """
        return bisect_right(self._bounds, number * GOLDEN % 1)

    def group(self, number: int, fraction: float) -> int | None:
        """Return the bracket of a trial, see `StoppingRule`."""
        bracket = self.bracket(number)
        competes = fraction in self.settings.at[bracket:]
        return bracket if competes else None
