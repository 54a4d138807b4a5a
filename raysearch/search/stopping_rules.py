"""Stopping rules: which trials of a search end before their schedule does.

They are apart from Tune's schedulers because a rule decides from records alone: a resumed run
decides as the first session would have.
"""

from bisect import insort
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from ..run_folder import Record
from ..study import Halving
from ..study.schema import StoppingSettings
from .successive_halving import SuccessiveHalving


class StoppingRule(Protocol):
    """A rule that compares a trial with the others of its search."""

    @property
    def fractions(self) -> tuple[float, ...]:
        """The fractions of a schedule that need an evaluation: the rule decides there."""

    def continues(self, score: float, others: Sequence[float]) -> bool:
        """Return whether a trial continues after a report at a rung.

        Args:
            score: of the report, by the metric that selects.
            others: what the other trials of its search that have not failed reached at the same
                fraction of their schedules, the lowest first.
        """


# The settings of a rule, a section of the study's schema -> the rule.
RULES: dict[type[StoppingSettings], Callable[[Any], StoppingRule]] = {
    Halving: SuccessiveHalving,
}


def stopping_rule(settings: StoppingSettings) -> StoppingRule:
    """Return the rule of a study's `search.stop_early`."""
    return RULES[type(settings)](settings)


class RungScores:
    """The scores that the trials of a task's search have reached at each rung.

    Those of ended trials are kept sorted, as they do not change any more.

    Args:
        metric: the score that selects, for example "dev.accuracy".
        records: trials of the task, of any phase.
    """

    def __init__(self, metric: str, records: Iterable[Record] = ()) -> None:
        self.metric = metric
        self._running: dict[str, Record] = {}
        self._ended: dict[str, list[float]] = {}  # rung -> scores of ended trials
        for record in records:
            self.add(record)

    def add(self, record: Record) -> None:
        """Add a trial that runs, or that has just ended."""
        if record.phase != "search":
            return
        if not record.is_over:
            self._running[record.id] = record
            return
        self._running.pop(record.id, None)
        if record.status != "failed":
            for rung in record.plan.rungs if record.plan else ():
                for score in self._scores_at(record, rung):
                    insort(self._ended.setdefault(rung, []), score)

    def of_others(self, record: Record, rung: str) -> list[float]:
        """Return the scores of the other trials at a rung, the lowest first."""
        running = [other for other in self._running.values() if other.id != record.id]
        scores = [score for other in running for score in self._scores_at(other, rung)]
        return sorted([*self._ended.get(rung, ()), *scores])

    def _scores_at(self, record: Record, rung: str) -> list[float]:
        """Return the scores that a trial has reached at a rung: one, or none."""
        step = record.plan.rungs.get(rung) if record.plan else None
        return [r.scores[self.metric] for r in record.reports if r.step == step and r.scores]


def should_continue(rule: StoppingRule, record: Record, scores: RungScores) -> bool:
    """Return whether a trial continues after its latest report.

    Only trials of the search are stopped, while they run, at one of their rungs. They compete with
    the other trials of the search that have not failed.

    Args:
        rule: the stopping rule.
        record: the trial.
        scores: of the trials of its task; the trial itself may be among them.
    """
    if record.phase != "search" or not record.reports or record.plan is None:
        return True
    latest = record.reports[-1]
    rungs = [rung for rung, step in record.plan.rungs.items() if step == latest.step]
    if not rungs or latest.status != "running" or not latest.scores:
        return True
    return rule.continues(latest.scores[scores.metric], scores.of_others(record, rungs[0]))
