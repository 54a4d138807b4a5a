"""Who leads: the order of a task's configurations after the search and after confirmation, and
how much of a task is done."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

from . import metrics
from .journal import Phase, Record, Records
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
        scores: every metric over those trials, at the evaluation that counts; the worst value
            for a trial that diverged.
        spreads: the same of every metric as `spread`.
    """

    configuration: dict[str, Any]
    trials: tuple[Record, ...]
    score: float
    spread: float
    scores: dict[str, float]
    spreads: dict[str, float]

    @property
    def chosen(self) -> Record:
        """The trial whose weights stand for the configuration: the best on dev."""
        return max(self.trials, key=lambda record: (record.score, -record.number))


def ranked(records: Records, task: str) -> list[Record]:
    """Trials of the search that ended with a score of their own, the best first."""
    found = [r for r in records.of(task, "search") if r.status in ("finished", "degenerate")]
    found = [record for record in found if record.score is not None]
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


def planned(study: Study, records: Records, task: str) -> dict[Phase, int]:
    """Trials of each phase, as far as can be told now; teachers once they are begun."""
    seeds, space = len(study.confirm.seeds), study.space_of(task)
    search = study.planned(task)
    begun = records.of(task, "search")
    if searched_hours(records) > (study.search.hours or math.inf):
        search = min(search, len(begun))
    top = min(study.confirm.top, search) if space else 1
    if search and sum(record.over for record in begun) >= search:
        top = min(top, len(ranked(records, task)))
    taught = records.of(task, "teach")
    return {"search": search, "confirm": top * seeds} | ({"teach": len(taught)} if taught else {})


def complete(study: Study, records: Records, task: str) -> bool:
    """Whether a task's trials are all over."""
    wanted = planned(study, records, task)
    return all(sum(r.over for r in records.of(task, p)) >= n for p, n in wanted.items())


def searched_hours(records: Records) -> float:
    """Hours between each session's start and its last event, the pauses between them left out."""
    return math.fsum(s.get("until", s["at"]) - s["at"] for s in records.sessions) / 3600


def _standing(study: Study, trials: list[Record]) -> Standing:
    over, select = _REPORT[study.confirm.report], study.selector(trials[0].task)
    names = {select: None}
    for record in trials:
        names |= dict.fromkeys(getattr(record, study.search.select))
    columns = {name: _column(study, trials, name, select) for name in names}
    scores = {name: over(values) for name, values in columns.items()}
    spreads = {n: statistics.stdev(v) if len(v) > 1 else 0.0 for n, v in columns.items()}
    return Standing(
        configuration=trials[0].configuration,
        trials=tuple(trials),
        score=scores[select],
        spread=spreads[select],
        scores=scores,
        spreads=spreads,
    )


def _column(study: Study, trials: list[Record], name: str, select: str) -> list[float]:
    """One score of every trial: the worst where it diverged, whatever it scored before."""
    found = []
    for record in trials:
        value = getattr(record, study.search.select).get(name)
        if record.status == "diverged":
            value = metrics.worst(name.rpartition(".")[2])
        elif value is None and name == select:
            value = record.score
        if value is not None:
            found.append(value)
    return found
