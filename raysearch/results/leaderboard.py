"""Who leads: the order of a task's configurations after the search and after confirmation, and
how much of a task is done."""

import math
import statistics
from dataclasses import dataclass
from typing import Any

from .. import metrics
from ..run_folder import Phase, Record, Records
from ..study import Study

_REPORT = {"median": statistics.median, "mean": statistics.fmean, "max": max}


@dataclass(frozen=True, kw_only=True)
class RankedConfiguration:
    """One configuration and what it scored.

    Attributes:
        configuration: the point of the space.
        trials: its whole trials: those of the confirmation, else that of the search.
        score: the select metric over those trials, a fraction.
        spread: their sample standard deviation; 0 for one trial.
        scores: every metric over those trials, at the evaluation that counts; the worst value
            for a trial that diverged.
        spreads: the same of every metric as `spread`.
        missing: trials of its confirmation that count for nothing: they failed, or still run.
    """

    configuration: dict[str, Any]
    trials: tuple[Record, ...]
    score: float
    standard_deviation: float
    scores: dict[str, float]
    standard_deviations: dict[str, float]
    missing: tuple[Record, ...] = ()

    @property
    def seeds(self) -> int:
        """How many trials there are of it, with those that count for nothing."""
        return len(self.trials) + len(self.missing)

    @property
    def best_trial(self) -> Record:
        """The trial whose weights stand for the configuration: the best on dev."""
        return max(self.trials, key=lambda record: (record.score, -record.number))


def rank_trials(records: Records, task: str) -> list[Record]:
    """Trials of the search that ended with a score of their own, the best first."""
    found = [r for r in records.of(task, "search") if r.status in ("finished", "degenerate")]
    found = [record for record in found if record.score is not None]
    return sorted(found, key=lambda record: (-record.score, record.number))


def counted_score(study: Study, record: Record) -> float | None:
    """Return the score with which a trial counts, a fraction.

    Of one that diverged it is the worst; of one that learned nothing what was measured; None of one
    that failed, or has not been scored. A teacher's is its own: it may be selected otherwise.
    """
    if record.phase == "teach":
        return record.score
    return _value(study, record, study.selection_metric(record.task))


def leaderboard(study: Study, records: Records, task: str) -> list[RankedConfiguration]:
    """The configurations that compete for a task, the best first.

    Once a trial of the confirmation is whole these are the confirmed ones; before that the finished
    ones of the search. Those that learned nothing with any seed stand behind the others, as in the
    search, and behind the rest those with less than half of their seeds whole. There is none where
    no trial of a confirmation could be run: a score of the search is no stand-in.
    """
    groups = _grouped(confirmation_trials(study, records, task))
    found = [_standing(study, trials) for trials in groups if any(map(_whole, trials))]
    if not found and not (groups and is_complete(study, records, task)):
        found = [_standing(study, trials) for trials in _grouped(rank_trials(records, task))]
    return sorted(found, key=_rank)


def _rank(standing: RankedConfiguration) -> tuple[bool, bool, float]:
    """Return what configurations are ordered by, the best first."""
    idle = all(record.status == "degenerate" for record in standing.trials)
    return idle, 2 * len(standing.trials) < standing.seeds, -standing.score


def configurations_without_result(study: Study, records: Records, task: str) -> list[list[Record]]:
    """Return the trials of each configuration of which no seed of the confirmation was whole."""
    groups = _grouped(confirmation_trials(study, records, task))
    return [group for group in groups if all(record.status == "failed" for record in group)]


def confirmation_trials(study: Study, records: Records, task: str) -> list[Record]:
    """Return the trials of a confirmation over the study's seeds: it may have had others before."""
    seeds = set(study.confirm.seeds)
    return [record for record in records.of(task, "confirm") if record.seed in seeds]


def configurations_to_confirm(study: Study, records: Records, task: str) -> list[dict[str, Any]]:
    """Return the configurations that a study confirms, as far as its search can tell by now."""
    if not study.space_of(task):
        return [{}]
    return [record.configuration for record in rank_trials(records, task)[: study.confirm.top]]


def planned_trials(study: Study, records: Records, task: str) -> dict[Phase, int]:
    """Trials of each phase, as far as can be told now; teachers once they are begun, and what an
    earlier confirmation tried that this one would not."""
    seeds, space = len(study.confirm.seeds), study.space_of(task)
    search = study.planned_trials(task)
    begun = records.of(task, "search")
    if searched_hours(records) > (study.search.hours or math.inf):
        search = min(search, len(begun))
    top, spare = min(study.confirm.top, search) if space else 1, 0
    if sum(record.is_over for record in begun) >= search:
        wanted = _to_confirm(study, records, task)
        top = min(top, len(rank_trials(records, task))) if search else top
        trials = ((_key(r.configuration), r.seed) for r in records.of(task, "confirm"))
        spare = sum(trial not in wanted for trial in trials)
    taught = records.of(task, "teach")
    counts: dict[Phase, int] = {"search": search, "confirm": top * seeds + spare}
    return counts | ({"teach": len(taught)} if taught else {})


def is_complete(study: Study, records: Records, task: str) -> bool:
    """Whether a task's trials are all over, each seed of each configuration to confirm included."""
    wanted = planned_trials(study, records, task)
    if any(sum(r.is_over for r in records.of(task, p)) < n for p, n in wanted.items()):
        return False
    over = {(_key(r.configuration), r.seed) for r in records.of(task, "confirm") if r.is_over}
    return _to_confirm(study, records, task) <= over


def searched_hours(records: Records) -> float:
    """Hours from each session's start to its last event, the pauses between them left out.

    They are those of the session's own clock; a run of 0.1.1 has only the times of its events.
    """
    return math.fsum(map(_seconds, records.sessions)) / 3600


def _seconds(session: dict[str, Any]) -> float:
    elapsed = session.get("elapsed")
    if isinstance(elapsed, int | float) and math.isfinite(elapsed):
        return max(0.0, elapsed)
    return max(0.0, session.get("until", session["at"]) - session["at"])


def _key(configuration: dict[str, Any]) -> str:
    return repr(sorted(configuration.items()))


def _to_confirm(study: Study, records: Records, task: str) -> set[tuple[str, int]]:
    """Keys and seeds of all trials that a study's confirmation has."""
    points = configurations_to_confirm(study, records, task) if study.confirm.seeds else []
    return {(_key(point), seed) for point in points for seed in study.confirm.seeds}


def _grouped(trials: list[Record]) -> list[list[Record]]:
    """Return the trials of each configuration, in the order in which these come first."""
    groups: dict[str, list[Record]] = {}
    for record in trials:
        groups.setdefault(_key(record.configuration), []).append(record)
    return list(groups.values())


def _whole(record: Record) -> bool:
    """Whether a trial was trained to its end, or diverged on the way: whether it counts."""
    return record.status in ("finished", "diverged", "degenerate") and record.score is not None


def _standing(study: Study, group: list[Record]) -> RankedConfiguration:
    trials = [record for record in group if _whole(record)]
    over, select = _REPORT[study.confirm.report], study.selection_metric(trials[0].task)
    names = {select: None}
    for record in trials:
        names |= dict.fromkeys(getattr(record, study.search.select))
    columns = {name: _column(study, trials, name) for name in names}
    scores = {name: over(values) for name, values in columns.items()}
    spreads = {n: statistics.stdev(v) if len(v) > 1 else 0.0 for n, v in columns.items()}
    return RankedConfiguration(
        configuration=trials[0].configuration,
        trials=tuple(trials),
        score=scores[select],
        standard_deviation=spreads[select],
        scores=scores,
        standard_deviations=spreads,
        missing=tuple(record for record in group if not _whole(record)),
    )


def _column(study: Study, trials: list[Record], name: str) -> list[float]:
    """One score of every trial that has it, the one that selects of all."""
    values = (_value(study, record, name) for record in trials)
    return [value for value in values if value is not None]


def _value(study: Study, record: Record, name: str) -> float | None:
    """One score of a trial: the worst where it diverged, whatever it scored before.

    A gap between languages has no worst value: of a trial that diverged there is none.
    """
    if record.status == "diverged":
        return None if "gap" in name.split(".") else metrics.worst(name.rpartition(".")[2])
    value = getattr(record, study.search.select).get(name)
    return record.score if value is None and name == study.selection_metric(record.task) else value
