"""By how much a printed score is too high because its trial was chosen by that very score.

It is apart from the notes on results because it estimates, and those tell what happened.
"""

import math
from collections.abc import Mapping
from statistics import fmean

import numpy as np

from ..run_folder import Records
from ..statistics.expected_performance import selection_optimism
from ..statistics.intervals import Interval
from ..statistics.power import EACH_WAY, aggregate_error, example_error, seed_spread
from ..study import Study, TaskStudy
from ..tasks.sizes import SIZES
from . import formatting
from .leaderboard import RankedConfiguration, leaderboard
from .score_intervals import Intervals, aggregate_of

_SIMULATED = 4_000_000  # scores that are simulated at most
_SEARCHED = "Fresh seeds (confirm: seeds) or a part of dev (search: hold_out) would avoid it."
_CONFIRMED = "Other seeds to choose on (confirm: choose) would avoid it."


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
        ranked = leaderboard(task, records) if leader else []
        rivals = [one for one in ranked if one.trials[0].status == "finished"]
        # Held-out examples choose nothing.
        if leader is None or len(rivals) < 2 or study.search.hold_out is not None:
            continue
        half = _half_width(task, leader, intervals(task, leader, task.printed_metric))
        if len(leader.trials) == 1:  # the interval of a single seed covers the examples alone
            noise = math.hypot(half / EACH_WAY, _seed_spread(task, leader))
        else:
            noise = _confirmed_noise(task, rivals)
        amount = _optimism([one.score for one in rivals], noise)
        if half and amount > half:
            points, width = (formatting.format_percent(value) for value in (amount, half))
            column = formatting.column_title(task.row)
            searched = leader.trials[0].phase == "search"
            words = "trials" if searched else "confirmed configurations"
            notes.append(
                f"{column}: the best of {len(rivals)} {words} is printed with the score that chose"
                f" it, about {points} points too high by chance (interval +-{width})."
                f" {_SEARCHED if searched else _CONFIRMED}"
            )
    return notes


def _optimism(scores: list[float], noise: float) -> float:
    """Return the expected optimism, a fraction.

    The noise is at most the spread of the scores: what all share, such as hard examples, moves no
    rank.
    """
    noise = min(noise, float(np.std(scores, ddof=1)))
    draws = max(100, min(4000, _SIMULATED // len(scores)))
    return selection_optimism(scores, noise, draws=draws)


def _confirmed_noise(task: TaskStudy, confirmed: list[RankedConfiguration]) -> float:
    """Return the standard error over seeds of a confirmed configuration's score."""
    spread = math.sqrt(fmean(one.standard_deviation**2 for one in confirmed))
    seeds = min(len(one.trials) for one in confirmed)
    return spread * aggregate_error(aggregate_of(task), seeds)


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
    return EACH_WAY * example_error(task.row.metric, leader.score, examples)


def _seed_spread(task: TaskStudy, leader: RankedConfiguration) -> float:
    """Return the assumed spread over seeds of a score of the search, which has one seed."""
    trial = leader.trials[0]
    if trial.plan is None:
        return 0.0
    batch = task.hyperparameters(trial.configuration).BSZ
    return seed_spread(trial.plan.per_epoch * batch)
