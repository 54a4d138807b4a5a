"""Stopping rules: which trials of a search end before their schedule does.

They are apart from Tune's schedulers because a rule decides from records alone: a resumed run
decides as the first session would have.
"""

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

    def continues(self, record: Record, rivals: Sequence[Record], rung: str, metric: str) -> bool:
        """Return whether a trial continues after its latest report.

        Args:
            record: the trial; its latest report is at the rung and has scores.
            rivals: the other trials of its search that have not failed.
            rung: the fraction of the schedule, a key of every plan's `rungs`.
            metric: the score that selects, for example "dev.accuracy".
        """


# The settings of a rule, a section of the study's schema -> the rule.
RULES: dict[type[StoppingSettings], Callable[[Any], StoppingRule]] = {
    Halving: SuccessiveHalving,
}


def stopping_rule(settings: StoppingSettings) -> StoppingRule:
    """Return the rule of a study's `search.stop_early`."""
    return RULES[type(settings)](settings)


def should_continue(
    rule: StoppingRule, record: Record, records: Iterable[Record], metric: str
) -> bool:
    """Return whether a trial continues after its latest report.

    Only trials of the search are stopped, while they run, at one of their rungs. They compete with
    the other trials of the search that have not failed.

    Args:
        rule: the stopping rule.
        record: the trial.
        records: the trials of its task, of any phase; the trial itself may be among them.
        metric: the score that selects.
    """
    if record.phase != "search" or not record.reports or record.plan is None:
        return True
    latest = record.reports[-1]
    rungs = [rung for rung, step in record.plan.rungs.items() if step == latest.step]
    if not rungs or latest.status != "running" or not latest.scores:
        return True
    rivals = [
        other
        for other in records
        if other.id != record.id and other.phase == "search" and other.status != "failed"
    ]
    return rule.continues(record, rivals, rungs[0], metric)
