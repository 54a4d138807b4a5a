"""The ranking of a task's configurations, and how much of a task is done.

It is apart from the tables because the search uses it too: it decides what is confirmed, whose
weights are kept, and which trial's weights the trials of another task start from.
"""

import math
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from .. import metrics
from ..run_folder import Phase, Record, Records
from ..run_folder.outcomes import counts, has_model
from ..run_folder.report import is_gap
from ..run_folder.trial_records import Session
from ..study import Configuration, Study, TaskStudy
from .confirmation import (
    Plan,
    configuration_key,
    expected_trials,
    plan_confirmation,
    trial_key,
)

_REPORTS: dict[str, Callable[[list[float]], float]] = {
    "median": statistics.median,
    "mean": statistics.fmean,
    "max": max,
}


@dataclass(frozen=True, kw_only=True)
class RankedConfiguration:
    """One configuration and its scores.

    Attributes:
        configuration: the point of the search space.
        trials: its trials that count: those of the confirmation that are printed, else that of the
            search.
        score: what is printed: the select metric over those trials, a fraction; with `hold_out` of
            the held-out part of the dev split.
        selection_score: what ranks: the same of the part on which trials are compared.
        standard_deviation: of the score, their sample standard deviation; 0 for one trial.
        scores: every metric over those trials, at the evaluation that counts. A diverged trial
            has the worst value.
        standard_deviations: the sample standard deviation of every metric.
        missing: trials of its confirmation that do not count: they failed, or still run.
    """

    configuration: dict[str, Any]
    trials: tuple[Record, ...]
    score: float
    selection_score: float
    standard_deviation: float
    scores: dict[str, float]
    standard_deviations: dict[str, float]
    missing: tuple[Record, ...] = ()

    @property
    def seeds(self) -> int:
        """Number of its trials, including those that do not count."""
        return len(self.trials) + len(self.missing)

    @property
    def learned_nothing(self) -> bool:
        """Whether every trial that counts is degenerate: its scores are no result."""
        return all(record.status == "degenerate" for record in self.trials)

    @property
    def best_trial(self) -> Record:
        """The trial whose weights represent the configuration: the best on dev."""
        return max(self.trials, key=weights_order)


def weights_order(record: Record) -> tuple[float, int]:
    """Return the key by which the trial whose weights stand for a configuration is the highest.

    A degenerate trial has the worst score. Of equal ones the first to begin wins, in any rerun.
    """
    assert record.score is not None, "weights of a trial without scores"
    return record.score, -record.number


def counted_score(task: TaskStudy, record: Record) -> float | None:
    """Return the score with which a trial counts, a fraction.

    A diverged trial has the worst score, and a degenerate one the score that was measured. A trial
    that failed or has no score yet has None. A teacher has its own score, as its selection may
    differ.
    """
    if record.phase == "teach":
        return record.score
    return _score(task, record, task.selection_metric)


def leaderboard(task: TaskStudy, records: Records) -> list[RankedConfiguration]:
    """Return the configurations that compete for a task, the best first.

    As soon as a trial of the confirmation counts, these are the confirmed configurations; before
    that they are the finished ones of the search. If the winner is chosen with seeds of its own, it
    is the only one that is confirmed. Configurations with less than half of their seeds counted
    come after the others, and those that have learned nothing last, as in the search. If a complete
    confirmation has no trial that counts, the list is empty: no score of the search replaces it.
    """
    groups = _group_by_configuration(confirmation_trials(task, records))
    ranked = [_combine(task, trials) for trials in groups if any(map(_counts, trials))]
    if not ranked and not (confirmation(task, records).trials and is_complete(task, records)):
        searched = _group_by_configuration(records.ranked(task.name))
        ranked = [_combine(task, trials) for trials in searched]
    return sorted(
        ranked, key=lambda r: (r.learned_nothing, 2 * len(r.trials) < r.seeds, -r.selection_score)
    )


def configurations_without_result(task: TaskStudy, records: Records) -> list[list[Record]]:
    """Return the trials of each configuration for which every seed of the confirmation failed."""
    groups = _group_by_configuration(confirmation_trials(task, records))
    return [group for group in groups if all(record.status == "failed" for record in group)]


def published_setting(task: TaskStudy, records: Records) -> RankedConfiguration | None:
    """Return the published setting with the scores of its trials; None if no trial of it counts."""
    if not task.study.confirm.published or task.published_setting is None:
        return None
    key = configuration_key(task.published_setting.configuration)
    group = [r for r in _printed_trials(task, records) if trial_key(r)[0] == key]
    return _combine(task, group) if any(map(_counts, group)) else None


def confirmation(task: TaskStudy, records: Records) -> Plan:
    """Return the plan of a task's confirmation, according to the search so far."""
    published = task.published_setting if task.study.confirm.published else None
    return plan_confirmation(
        task.study.confirm,
        configurations_to_confirm(task, records),
        published.configuration if published else None,
        records.of(task.name, "confirm"),
        partial(counted_score, task),
    )


def confirmation_trials(task: TaskStudy, records: Records) -> list[Record]:
    """Return the trials of the confirmation that are printed and compete for the winner.

    They have the study's seeds: the run may also hold trials with seeds that an earlier version of
    the study had. A winner that was chosen with other seeds is alone.
    """
    plan = confirmation(task, records)
    competing = _keys(plan.competing)
    apart = _keys_apart(task) - competing
    return [
        record
        for record in _printed_trials(task, records)
        if (key := trial_key(record)[0]) in competing or (plan.choice is None and key not in apart)
    ]


def trial_rank(task: TaskStudy, record: Record) -> tuple[bool, float, int]:
    """Return the key that sorts trials of the search as `leaderboard` does, the best first."""
    return record.status == "degenerate", -(counted_score(task, record) or 0.0), record.number


def best_of_search(task: TaskStudy, records: Records) -> Record | None:
    """Return the best trial of a task's search by `trial_rank`; None if none has left a model."""
    ranked = records.ranked(task.name)
    learned = (record for record in ranked if record.status != "degenerate")
    return next(learned, None) or min(ranked, key=partial(trial_rank, task), default=None)


def start_of(task: TaskStudy, records: Records, seed: int) -> Record | None:
    """Return the trial from whose weights a task's trials with a seed start.

    It is the winner of the task that `from` names, as soon as that is known; with `seed: same` and
    a seed of the confirmation, the winner's trial with this seed, which may have no weights. Once a
    trial has begun, all others start from the same configuration, and those without a seed of their
    own from the same trial, whatever wins later.

    Args:
        task: the task.
        records: the trials of all tasks.
        seed: of the trials that start.

    Returns:
        None if it is not known yet, if there is none, or if the task starts from a model.
    """
    if task.start is None or task.source is None:
        return None
    own_seeds = set(task.study.confirm.seeds) if task.start.seed == "same" else set()
    begun = [r for r in records.of(task.name) if r.seed not in own_seeds]
    if seed not in own_seeds and begun:
        return records.trials[begun[0].start or ""]
    trials = _starts(task, task.source, records)
    if seed in own_seeds:
        return next((r for r in trials or () if r.seed == seed and r.is_over), None)
    return _trial_with_weights(trials or ())


def starts_of(task: TaskStudy, records: Records) -> list[Record]:
    """Return the trials from which a task's trials start, as far as they are known, each once."""
    confirm = task.study.confirm
    seeds = (task.study.search.seed, *confirm.choose, *confirm.seeds)
    starts = (start_of(task, records, seed) for seed in seeds)
    return list({start.id: start for start in starts if start is not None}.values())


def lacks_start(task: TaskStudy, records: Records) -> bool:
    """Return whether a task cannot be trained, as no winner's weights are there to start from."""
    if task.source is None or records.begun(task.name):
        return False
    trials = _starts(task, task.source, records)
    return trials is not None and _trial_with_weights(trials) is None


def _starts(task: TaskStudy, source: TaskStudy, records: Records) -> list[Record] | None:
    """Return the trials of the configuration that a task starts from; None if not yet known."""
    if begun := records.of(task.name):
        first = records.trials[begun[0].start or ""]
        key = configuration_key(first.configuration)
        group = [r for r in records.of(source.name, first.phase) if trial_key(r)[0] == key]
        printed = set(task.study.confirm.seeds)
        return [r for r in group if r.phase == "search" or r.seed in printed]
    if not is_complete(source, records):
        return None
    leader = next(iter(leaderboard(source, records)), None)
    return [*leader.trials, *leader.missing] if leader else []


def _trial_with_weights(trials: Iterable[Record]) -> Record | None:
    """Return the trial whose weights stand for a configuration; None if none has a model."""
    learned = [record for record in trials if has_model(record.status)]
    return max(learned, key=weights_order, default=None)


def contenders(
    task: TaskStudy, records: Records, keys: set[str], *, settled: bool = True
) -> set[str]:
    """Return the confirmed configurations that lead or may come to lead, judged by ended trials.

    Args:
        task: the task.
        records: its trials.
        keys: the configurations to choose from, see `configuration_key`.
        settled: of those that only an earlier session planned, return the best one alone; else
            every one that competes.

    Returns:
        Their keys: of a task that is complete the winner, else at most as many as are confirmed,
        and one of an earlier session.
    """
    if is_complete(task, records):
        return keys & _keys(ranked.configuration for ranked in leaderboard(task, records)[:1])
    plan = confirmation(task, records)
    if (choice := plan.choice) is not None:
        return keys & _keys(plan.competing if choice.is_over else choice.candidates)
    planned = keys & _keys(plan.competing)
    others = keys - planned - _keys_apart(task)
    if others and settled:
        order = [configuration_key(r.configuration) for r in leaderboard(task, records)]
        others = set([key for key in order if key in others][:1])
    return planned | others


def _keys(configurations: Iterable[Configuration]) -> set[str]:
    return {configuration_key(configuration) for configuration in configurations}


def _keys_apart(task: TaskStudy) -> set[str]:
    """Return the key of the published setting, which competes only if the search finds it too."""
    published = task.published_setting
    return set() if published is None else {configuration_key(published.configuration)}


def configurations_to_confirm(task: TaskStudy, records: Records) -> list[dict[str, Any]]:
    """Return the configurations that a study confirms, according to the search so far."""
    if not task.space:
        return [{}]
    return [record.configuration for record in records.ranked(task.name)[: task.study.confirm.top]]


def planned_trials(task: TaskStudy, records: Records) -> dict[Phase, int]:
    """Return the number of trials of each phase, as far as it is known.

    Teachers count once they have begun. Trials of an earlier confirmation that the current one
    would not run count too.
    """
    confirm, space = task.study.confirm, task.space
    if lacks_start(task, records):
        return {"search": 0, "confirm": 0}
    search = task.planned_trials
    if is_budget_spent(task.study, records):
        search = min(search, records.begun(task.name, "search"))
    top = min(confirm.top, search) if space else 1
    confirmed = expected_trials(confirm, top, published=confirm.published and bool(space))
    if records.ended(task.name, "search") >= search:
        plan = confirmation(task, records)
        unplanned = [r for r in records.of(task.name, "confirm") if trial_key(r) not in plan.keys]
        confirmed = len(plan.trials) + plan.to_come + len(unplanned)
    teachers = records.begun(task.name, "teach")
    planned_counts: dict[Phase, int] = {"search": search, "confirm": confirmed}
    return planned_counts | ({"teach": teachers} if teachers else {})


def is_budget_spent(study: Study, records: Records) -> bool:
    """Return whether the search may begin no trial any more: its hours or device hours are over."""
    search = study.search
    if searched_hours(records) > (search.hours or math.inf):
        return True
    limit = search.device_hours
    return limit is not None and records.device_hours_of(search.seed) >= limit


def is_complete(task: TaskStudy, records: Records) -> bool:
    """Return whether all trials of a task are over, each seed to confirm included.

    A task that lacks its start has none, see `lacks_start`.
    """
    if lacks_start(task, records):
        return True
    planned = planned_trials(task, records)
    if any(records.ended(task.name, phase) < count for phase, count in planned.items()):
        return False
    plan = confirmation(task, records)
    over = {trial_key(r) for r in records.of(task.name, "confirm") if r.is_over}
    return not plan.to_come and plan.keys <= over


def searched_hours(records: Records) -> float:
    """Return the hours from each session's start to its last event, without the pauses in between.

    They are measured by the session's own clock. Runs of version 0.1.1 have only the times of their
    events.
    """
    return math.fsum(map(_session_seconds, records.sessions)) / 3600


def _session_seconds(session: Session) -> float:
    if session.elapsed is not None:
        return session.elapsed
    return max(0.0, (session.until or session.at) - session.at)


def _printed_trials(task: TaskStudy, records: Records) -> list[Record]:
    """Return the trials of the confirmation with seeds that are printed."""
    seeds = set(task.study.confirm.seeds)
    return [record for record in records.of(task.name, "confirm") if record.seed in seeds]


def _group_by_configuration(trials: list[Record]) -> list[list[Record]]:
    """Return the trials of each configuration, in the order of its first trial."""
    groups: dict[str, list[Record]] = {}
    for record in trials:
        groups.setdefault(configuration_key(record.configuration), []).append(record)
    return list(groups.values())


def _counts(record: Record) -> bool:
    """Return whether a trial counts: it was trained to its end, or it diverged."""
    return counts(record.status) and record.score is not None


def _combine(task: TaskStudy, group: list[Record]) -> RankedConfiguration:
    """Return one configuration with the scores over its trials."""
    trials = [record for record in group if _counts(record)]
    report, printed = _REPORTS[task.study.confirm.report], task.printed_metric
    names = dict.fromkeys((printed, task.selection_metric))
    for record in trials:
        names |= dict.fromkeys(record.scores_at(task.study.search.select))
    values = {name: measured for name in names if (measured := _scores(task, trials, name))}
    scores = {name: report(column) for name, column in values.items()}
    deviations = {n: statistics.stdev(v) if len(v) > 1 else 0.0 for n, v in values.items()}
    return RankedConfiguration(
        configuration=trials[0].configuration,
        trials=tuple(trials),
        score=scores[printed],
        selection_score=scores[task.selection_metric],
        standard_deviation=deviations[printed],
        scores=scores,
        standard_deviations=deviations,
        missing=tuple(record for record in group if not _counts(record)),
    )


def _scores(task: TaskStudy, trials: list[Record], name: str) -> list[float]:
    """Return one score of every trial that has it; every trial has the one that selects."""
    scores = (_score(task, record, name) for record in trials)
    return [score for score in scores if score is not None]


def _score(task: TaskStudy, record: Record, name: str) -> float | None:
    """Return one score of a trial; a diverged trial has the worst, whatever it scored before.

    A gap between languages has no worst value, so a diverged trial has None.
    """
    if record.status == "diverged":
        return None if is_gap(name) else metrics.worst(name.rpartition(".")[2])
    score = record.scores_at(task.study.search.select).get(name)
    return record.score if score is None and name == task.selection_metric else score
