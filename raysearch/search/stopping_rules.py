"""Stopping rules: which trials of a search end before their schedule does.

They are apart from Tune's schedulers because a rule decides from records alone: a resumed run
decides as the first session would have.
"""

from bisect import insort
from collections.abc import Iterable

from ..run_folder import Record
from ..study import Halving
from ..study.schema import Hyperband, Median, StoppingSettings
from .hyperband import HyperbandStopping
from .median_stopping import MedianStopping
from .stopping_rule import StoppingRule
from .successive_halving import SuccessiveHalving

# The settings of a rule, a section of the study's schema -> the rule.
RULES: dict[type[StoppingSettings], type[StoppingRule]] = {
    Halving: SuccessiveHalving,
    Median: MedianStopping,
    Hyperband: HyperbandStopping,
}


def stopping_rule(settings: StoppingSettings) -> StoppingRule:
    """Return the rule of a study's `search.stop_early`."""
    return RULES[type(settings)](settings)


class RungScores:
    """What the trials of a task's search are for their rivals at each rung.

    The numbers of ended trials are kept sorted, as they do not change any more.

    Args:
        rule: the stopping rule.
        metric: the score that selects, for example "dev.accuracy".
        records: trials of the task, of any phase.
    """

    def __init__(self, rule: StoppingRule, metric: str, records: Iterable[Record] = ()) -> None:
        self.rule, self.metric = rule, metric
        self._running: dict[str, Record] = {}
        # (rung, group) -> numbers of ended trials
        self._ended: dict[tuple[str, int], list[float]] = {}
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
                group = self.rule.group(record.index, float(rung))
                if group is not None and (scores := self.reached(record, rung)):
                    insort(self._ended.setdefault((rung, group), []), self.rule.rival_score(scores))

    def of_rivals(self, record: Record, rung: str, group: int) -> list[float]:
        """Return what the other trials of a group are at a rung, the lowest first."""
        others = [
            self.reached(other, rung)
            for other in self._running.values()
            if other.id != record.id and self.rule.group(other.index, float(rung)) == group
        ]
        numbers = [self.rule.rival_score(scores) for scores in others if scores]
        return sorted([*self._ended.get((rung, group), ()), *numbers])

    def reached(self, record: Record, rung: str) -> list[float]:
        """Return the scores of a trial at its rungs up to this one; none if it is not there yet."""
        rungs = record.plan.rungs if record.plan else {}
        if rung not in rungs:
            return []
        scores = {r.step: r.scores[self.metric] for r in record.reports if r.scores}
        steps = dict.fromkeys(step for step in rungs.values() if step <= rungs[rung])
        return [scores[step] for step in steps if step in scores] if rungs[rung] in scores else []


def should_continue(record: Record, scores: RungScores) -> bool:
    """Return whether a trial continues after its latest report.

    Only trials of the search are stopped, while they run, at one of their rungs. They compete with
    the other trials of the search that have not failed.

    Args:
        record: the trial.
        scores: of the trials of its task; the trial itself may be among them.
    """
    if record.phase != "search" or not record.reports or record.plan is None:
        return True
    latest, rule = record.reports[-1], scores.rule
    if latest.status != "running" or not latest.scores:
        return True
    for rung, step in record.plan.rungs.items():
        group = rule.group(record.index, float(rung)) if step == latest.step else None
        if group is not None:  # of rungs at the same step the first one decides
            rivals = scores.of_rivals(record, rung, group)
            return rule.continues(scores.reached(record, rung), rivals)
    return True
