"""What a search says about itself: its scores, what fewer trials would reach, what mattered.

It is apart from the tables because it speaks of all trials of the search, not of the winners.
"""

import statistics
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..run_folder import Record, Records
from ..search_space import difference, format_condition
from ..statistics.expected_performance import expected_best
from ..study import TaskStudy, samplers
from . import formatting
from .leaderboard import counted_score
from .optuna_trials import distribution, simple

TENTH = 10  # trials that importance needs: it compares the best tenth with all
RELIABLE = 30  # trials below which importance depends on chance


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The scores of a task's search.

    Attributes:
        ended: status -> the number of trials of the search that ended so.
        scores: the score of each trial that has one, in order, fractions. A diverged trial has the
            metric's worst value, a stopped one what it reached.
        mean: of the scores; None without any, like the following.
        standard_deviation: their sample standard deviation; None of a single one.
        quartiles: the 25 %, 50 % and 75 % quantiles.
        best: the highest score.
    """

    ended: Mapping[str, int]
    scores: tuple[float, ...]
    mean: float | None = None
    standard_deviation: float | None = None
    quartiles: tuple[float, float, float] | None = None
    best: float | None = None


@dataclass(frozen=True, kw_only=True)
class ExpectedPerformance:
    """The expected best score of a search with fewer trials.

    Attributes:
        scores: of the best of 1, 2, ... trials, fractions; empty without scored trials.
        hours: the device hours that so many trials take on average; the last is what the search
            took, those of other runs included.
        notes: what a reader must know of them, sentences.
    """

    scores: tuple[float, ...]
    hours: tuple[float, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Importance:
    """How much each searched hyperparameter decides whether a trial is among the best.

    Attributes:
        shares: hyperparameter -> its share of the importance, the largest first; the sum is 1.
            Empty where it cannot be told.
        left_out: hyperparameter -> why it has no share.
        trials: the number of trials that it rests on.
        notes: why there are no shares, or how far they can be trusted, sentences.
    """

    shares: Mapping[str, float]
    left_out: Mapping[str, str]
    trials: int
    notes: tuple[str, ...]


def summary(task: TaskStudy, records: Records) -> Summary:
    """Return the statistics of the scores of a task's search."""
    ended = [record for record in records.of(task.name, "search") if record.is_over]
    ends: Counter[str] = Counter(record.status for record in ended)
    scores = tuple(score for _, score in scored_trials(task, records))
    if not scores:
        return Summary(ended=ends, scores=())
    low, middle, high = (float(value) for value in np.quantile(scores, [0.25, 0.5, 0.75]))
    return Summary(
        ended=ends,
        scores=scores,
        mean=statistics.fmean(scores),
        standard_deviation=statistics.stdev(scores) if len(scores) > 1 else None,
        quartiles=(low, middle, high),
        best=max(scores),
    )


def expected_performance(task: TaskStudy, records: Records) -> ExpectedPerformance:
    """Return expected validation performance against trials and device hours."""
    ended = [record for record in records.of(task.name, "search") if record.is_over]
    scored = scored_trials(task, records)
    if not scored:
        return ExpectedPerformance(
            scores=(), hours=(), notes=("No trial of the search has a score yet.",)
        )
    # Failed trials cost time as well: their hours are spread over those that have scores.
    total = sum(record.training_hours for record in ended)
    curve = expected_best([score for _, score in scored])
    return ExpectedPerformance(
        scores=tuple(map(float, curve)),
        hours=tuple(total * count / len(scored) for count in range(1, len(scored) + 1)),
        notes=tuple(_expectation_notes(task, ended, scored)),
    )


def importance(task: TaskStudy, records: Records) -> Importance:
    """Return the importance of the searched hyperparameters, by PED-ANOVA as Optuna has it.

    It rests on whole trials; as for the sampler, diverged and degenerate ones have the worst score.
    """
    trials = [
        record
        for record, _ in scored_trials(task, records)
        if record.status != "stopped" and not difference(task.space, record.configuration)
    ]
    left_out = _fixed_settings(task)
    for name, dimension in task.space.items():
        if dimension.when:
            left_out[name] = f"searched only with {format_condition(dimension.when)}"
            continue
        values = {repr(record.configuration[name]) for record in trials}
        if len(values) == 1 < len(trials):
            shown = formatting.format_setting(trials[0].configuration[name])
            left_out[name] = f"every trial has {shown}"
    names = [name for name in task.space if name not in left_out]
    notes = _importance_notes(trials, names)
    shares = {} if notes else _shares(task, trials, names)
    if not shares and not notes:
        notes = ["No hyperparameter sets the best tenth of the trials apart."]
    elif shares and len(trials) < RELIABLE:
        notes = [
            f"Importance rests on {len(trials)} trials; below about {RELIABLE} it depends on"
            " chance, and another search may order the hyperparameters differently."
        ]
    return Importance(shares=shares, left_out=left_out, trials=len(trials), notes=tuple(notes))


def scored_trials(task: TaskStudy, records: Records) -> list[tuple[Record, float]]:
    """Return the ended trials of a task's search that have a score, and that score."""
    ended = [record for record in records.of(task.name, "search") if record.is_over]
    scores = ((record, counted_score(task, record)) for record in ended)
    return [(record, score) for record, score in scores if score is not None]


def _expectation_notes(
    task: TaskStudy, ended: Sequence[Record], scored: Sequence[tuple[Record, float]]
) -> list[str]:
    search, notes = task.study.search, []
    if samplers.facts(search.sampler).learns:
        notes.append(
            f"The curve assumes trials that were drawn independently of each other; those of"
            f" {search.sampler} were not, as it learns from earlier trials: for it the curve is"
            " a description of these trials, and no forecast."
        )
    first = sum(record.configuration in task.initial_points for record, _ in scored)
    if first and search.sampler != "grid":
        notes.append(f"{first} of the trials came from the start list and were not drawn.")
    if stopped := sum(record.status == "stopped" for record, _ in scored):
        notes.append(f"{_count(stopped, 'stopped trial')} with what they had reached.")
    if diverged := sum(record.status == "diverged" for record, _ in scored):
        notes.append(f"{_count(diverged, 'diverged trial')} with the worst score.")
    if missing := len(ended) - len(scored):
        without = f"{formatting.counted(missing, 'trial')} without a score"
        notes.append(f"The hours of {without} are spread over the others.")
    return notes


def _count(count: int, noun: str) -> str:
    return f"{formatting.counted(count, noun)} count{'s' * (count == 1)}"


def _fixed_settings(task: TaskStudy) -> dict[str, str]:
    """Return the dimensions of the study that are not searched for this task, and why."""
    names = {**task.study.space, **task.per_task.space}
    left_out = {}
    for name in (name for name in names if name not in task.space):
        if name in task.fixed:
            left_out[name] = f"fixed at {formatting.format_setting(task.fixed[name])}"
        else:
            left_out[name] = "without effect in this study"
    return left_out


def _importance_notes(trials: Sequence[Record], names: Sequence[str]) -> list[str]:
    """Return why importance cannot be told; nothing if it can."""
    if len(trials) < TENTH:
        text = f"Importance compares the best tenth of the trials with all: {TENTH} whole trials"
        there = "is" if len(trials) == 1 else "are"
        return [f"{text} are needed, and there {there} {len(trials)}."]
    if not names:
        return ["No hyperparameter has more than one value."]
    if len({record.score for record in trials}) == 1:
        return [
            "All whole trials have the same score: no hyperparameter can have made a difference."
        ]
    return []


def _shares(task: TaskStudy, trials: Sequence[Record], names: Sequence[str]) -> dict[str, float]:
    """Return the share of each hyperparameter, the largest first; nothing if all are 0."""
    import optuna
    from optuna.importance import PedAnovaImportanceEvaluator

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    distributions = {name: distribution(task.space[name]) for name in names}
    for record in trials:
        params = {name: simple(record.configuration[name]) for name in names}
        study.add_trial(
            optuna.trial.create_trial(
                value=record.score, params=params, distributions=distributions
            )
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few trials, which the notes tell
        values = PedAnovaImportanceEvaluator().evaluate(study, params=list(names))
    total = sum(values.values())
    ordered = sorted(values.items(), key=lambda item: (-item[1], names.index(item[0])))
    return {name: value / total for name, value in ordered} if total > 0 else {}
