"""What every stopping rule is: which trials compare with which, and whether one continues.

It is apart from the registry, `stopping_rules`, which imports the rules.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any


class StoppingRule(ABC):
    """A rule that compares a trial with the others of its search.

    Where a rule says nothing else, all trials compare their latest scores with one another.

    Args:
        settings: of the rule, a section of the study's schema with the fractions `at`.
    """

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    @property
    def fractions(self) -> tuple[float, ...]:
        """The fractions of a schedule that need an evaluation: the rule decides there."""
        fractions: tuple[float, ...] = self.settings.at
        return fractions

    def group(self, number: int, fraction: float) -> int | None:
        """Return the group of trials among which a trial competes at a fraction.

        Args:
            number: of the trial in the search of its task.
            fraction: of its schedule.

        Returns:
            Any number; None if the trial does not compete there.
        """
        return 0

    def rival_score(self, scores: Sequence[float]) -> float:
        """Return the one number that a trial is for its rivals.

        Args:
            scores: of the trial at the fractions up to the one that is compared; at least one.
        """
        return scores[-1]

    @abstractmethod
    def continues(self, scores: Sequence[float], rivals: Sequence[float]) -> bool:
        """Return whether a trial continues after a report at a rung.

        Args:
            scores: of the trial at the fractions so far, by the metric that selects.
            rivals: `rival_score` of the other trials of its group that have not failed and have
                come to the same fraction, the lowest first.
        """
