"""Who leads: the order of a task's configurations after the search and after confirmation."""

import statistics
from dataclasses import dataclass
from typing import Any

from .journal import Record, Records
from .study import Study

_REPORT = {"median": statistics.median, "mean": statistics.fmean, "max": max}


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One configuration and what it scored.

    Attributes:
        configuration: the point of the space.
        trials: its finished trials that count: those of the confirmation, else that of the search.
        score: the select metric over those trials, a fraction.
        spread: their sample standard deviation; 0 for one trial.
        scores: every metric over those trials, at the evaluation that counts.
    """

    configuration: dict[str, Any]
    trials: tuple[Record, ...]
    score: float
    spread: float
    scores: dict[str, float]

    @property
    def chosen(self) -> Record:
        """The trial whose weights stand for the configuration: the best on dev."""
        return max(self.trials, key=lambda record: (record.score, -record.number))


def ranked(records: Records, task: str) -> list[Record]:
    """Trials of the search that ended with a score of their own, the best first."""
    found = [r for r in records.of(task, "search") if r.status in ("finished", "degenerate")]
    return sorted(found, key=lambda record: (-record.score, record.number))


def standings(study: Study, records: Records, task: str) -> list[Standing]:
    """The configurations that compete for a task, the best first.

    After a confirmation these are the confirmed ones; before it the finished ones of the search.
    """
    groups: dict[str, list[Record]] = {}
    confirmed = [r for r in records.of(task, "confirm") if r.score is not None]
    for record in confirmed or ranked(records, task):
        groups.setdefault(repr(sorted(record.configuration.items())), []).append(record)
    found = [_standing(study, trials) for trials in groups.values()]
    return sorted(found, key=lambda standing: -standing.score)


def _standing(study: Study, trials: list[Record]) -> Standing:
    over = _REPORT[study.confirm.report]
    counted = [getattr(record, study.search.select) for record in trials]
    values = [record.score for record in trials]
    return Standing(
        configuration=trials[0].configuration,
        trials=tuple(trials),
        score=over(values),
        spread=statistics.stdev(values) if len(values) > 1 else 0.0,
        scores={
            n: over([s[n] for s in counted if n in s]) for n in (counted[0] if counted else ())
        },
    )
