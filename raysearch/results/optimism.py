"""By how much a printed score is too high because its trial was chosen by that very score.

It is apart from the notes on results because it estimates, and those tell what happened.
"""

import math
from collections.abc import Mapping
from statistics import fmean

import numpy as np

from .. import statistics
from ..run_folder import Records
from ..statistics import Interval
from ..statistics.power import EACH_WAY
from ..study import Study, TaskStudy
from ..tasks.sizes import SIZES
from . import formatting
from .analysis import scored_trials
from .leaderboard import RankedConfiguration, leaderboard
from .score_intervals import Intervals, aggregate_of


def optimism_notes(
    study: Study,
    records: Records,
    leaders: Mapping[str, RankedConfiguration | None],
    intervals: Intervals,
) -> list[str]:
    """Return a note for each task whose printed score is too high by more than its interval says.

    Args:
        study: the study.
        records: its trials.
        leaders: task -> the configuration that is printed, or None.
        intervals: returns the interval of a score.
    """
    notes = []
    for name, leader in leaders.items():
        task = study.resolve(name)
        if leader is None:
            continue
        interval = intervals(task, leader, task.selection_metric)
        half = _half_width(task, leader, interval)
        amount, rivals = _optimism(task, records, leader, half)
        if half and amount > half:
            points, width = (formatting.format_percent(value) for value in (amount, half))
            column = formatting.column_title(task.row)
            notes.append(
                f"{column}: the best of {rivals} is printed with the score that chose it, about"
                f" {points} points too high by chance (interval +-{width}). {_remedy(leader)}"
            )
    return notes


def _optimism(
    task: TaskStudy, records: Records, leader: RankedConfiguration, half: float
) -> tuple[float, str]:
    """Return the expected optimism, a fraction, and among what the leader was chosen, in words.

    The noise is at most the spread of the scores: what all share, such as hard examples, moves no
    rank.
    """
    if leader.trials[0].phase == "search":
        trials = scored_trials(task, records)
        scores = [score for record, score in trials if record.status == "finished"]
        noise = math.hypot(half / EACH_WAY, _seed_spread(task, leader))
        rivals = f"{len(scores)} trials"
    else:
        confirmed = [one for one in leaderboard(task, records) if len(one.trials) > 1]
        scores = [one.score for one in confirmed]
        noise = _confirmed_noise(task, confirmed)
        rivals = f"{len(scores)} confirmed configurations"
    if len(scores) < 2:
        return 0.0, rivals
    noise = min(noise, float(np.std(scores, ddof=1)))
    return statistics.selection_optimism(scores, noise), rivals


def _confirmed_noise(task: TaskStudy, confirmed: list[RankedConfiguration]) -> float:
    """Return the standard error over seeds of a confirmed configuration's score."""
    if not confirmed:
        return 0.0
    spread = math.sqrt(fmean(one.standard_deviation**2 for one in confirmed))
    seeds = min(len(one.trials) for one in confirmed)
    return spread * statistics.aggregate_error(aggregate_of(task), seeds)


def _half_width(task: TaskStudy, leader: RankedConfiguration, interval: Interval | None) -> float:
    """Return half the width of a score's interval; without predictions, that of binomial noise.

    It is 0 where the number of examples is not known either.
    """
    if interval:
        return (interval.high - interval.low) / 2
    if task.name not in SIZES:
        return 0.0
    _, examples = SIZES[task.name]
    examples = min(examples, task.shared.dev_examples or examples)
    return EACH_WAY * statistics.example_error(task.row.metric, leader.score, examples)


def _seed_spread(task: TaskStudy, leader: RankedConfiguration) -> float:
    """Return the assumed spread over seeds of a score of the search, which has one seed."""
    trial = leader.trials[0]
    if trial.plan is None:
        return 0.0
    batch = task.hyperparameters(trial.configuration).BSZ
    return statistics.seed_spread(trial.plan.per_epoch * batch)


def _remedy(leader: RankedConfiguration) -> str:
    """Return what would avoid the optimism."""
    if leader.trials[0].phase == "search":
        return "Fresh seeds (confirm: seeds) or a part of dev (search: hold_out) would avoid it."
    return "Other seeds to choose on (confirm: choose) would avoid it."
