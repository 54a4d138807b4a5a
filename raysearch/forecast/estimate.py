"""From the times of a task to hours, device hours and bytes of its search and confirmation.

It is apart from the timing because it is plain arithmetic.
"""

import heapq
import random
from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ..recipes import Hyperparameters
from ..recipes.schedule import Schedule, make_schedule
from ..results.confirmation import expected_trials
from ..search.stopping_rule import StoppingRule
from ..search.stopping_rules import stopping_rule
from ..study import Configuration, Study, TaskStudy
from .timing import StepTimes, Timing

SEARCHES = 100  # simulated, to estimate what early stopping saves


@dataclass(frozen=True, kw_only=True)
class TaskForecast:
    """What one task of a study will cost.

    Attributes:
        task: name of the task.
        search: seconds of each trial of the search, with its teacher where it needs one.
        confirm: seconds of each trial of the confirmation.
        between: seconds between two trials of a lane.
        saved: the share of the search's cost that early stopping is expected to save.
        whole: seconds of the search's trials without early stopping, on average.
        step: seconds of an optimizer step, on average over the points.
        evaluation: seconds of an evaluation.
        kept_bytes: that stay in the run folder: weights and dev predictions.
        most_bytes: at most while it runs, with other weights and checkpoints.
        cache_bytes: of the prepared data.
        devices: that a trial holds.
        source: the task whose winner it starts from; "" for none.
    """

    task: str
    search: tuple[float, ...]
    confirm: tuple[float, ...]
    between: float
    saved: float
    whole: float
    step: float
    evaluation: float
    kept_bytes: int
    most_bytes: int
    cache_bytes: int
    devices: int = 1
    source: str = ""

    @property
    def device_hours(self) -> float:
        """Device hours of the search and of the confirmation."""
        return (sum(self.search) + sum(self.confirm)) * self.devices / 3600


def estimate_task(
    task: TaskStudy,
    points: Sequence[Configuration],
    timing: Timing,
    *,
    cache_bytes: int,
    workers: int,
    lanes: int,
) -> TaskForecast:
    """Return what a task will cost.

    Args:
        task: of the study.
        points: the searched values of the trials that its search begins, in order.
        timing: what was measured.
        cache_bytes: of its prepared data.
        workers: that train a trial together.
        lanes: that run at the same time.
    """
    study = task.study
    hypers = [task.hyperparameters(point) for point in points]
    rule = stopping_rule(study.search.stop_early) if study.search.stop_early else None
    rungs = rule.fractions if rule else ()
    keeps = not study.confirm.seeds
    whole = [_seconds(h, timing.trial, timing, rungs, keeps, workers) for h in hypers]
    shares = expected_shares(rule, len(points)) if rule else [1.0] * len(points)
    taught = _teacher_seconds(task, hypers, timing, workers)
    search = [seconds * share for seconds, share in zip(whole, shares, strict=True)]
    search = [seconds + teacher for seconds, teacher in zip(search, taught, strict=True)]
    search += [fmean(search)] * (task.planned_trials - len(points))
    confirm = study.confirm
    top = min(confirm.top, task.planned_trials) if task.space else 1
    published = confirm.published and bool(task.space)
    count = expected_trials(confirm, top, published=published)
    each = fmean(_seconds(h, timing.trial, timing, (), True, workers) for h in hypers)
    distinct = [seconds for seconds in taught if seconds]  # each seed needs them anew
    teachers = fmean(distinct) * min(len(distinct), top) / top if distinct and top else 0.0
    confirmed = [each + teachers] * count
    if not task.planned_trials:  # the only configuration is confirmed at once
        search, whole = [], []
    is_long = max([*whole, each]) > study.search.checkpoint_every
    kept, most = _bytes(study, timing, len(search), top if count else 0, 3 * lanes * is_long)
    full = sum(whole)
    spent = sum(seconds * share for seconds, share in zip(whole, shares, strict=False))
    return TaskForecast(
        task=task.name,
        search=tuple(search),
        confirm=tuple(confirmed),
        between=timing.start,
        saved=1 - spent / full if full else 0.0,
        whole=fmean(whole) if whole else each,
        step=fmean(timing.trial.of(h.BSZ) for h in hypers) / workers,
        evaluation=timing.evaluation,
        kept_bytes=kept,
        most_bytes=most,
        cache_bytes=cache_bytes,
        devices=workers,
        source=task.source.name if task.source else "",
    )


def _bytes(
    study: Study, timing: Timing, searched: int, top: int, checkpoints: int
) -> tuple[int, int]:
    """Return the bytes that a task leaves in the run folder, and the most that lie there.

    Args:
        study: the study.
        timing: what was measured.
        searched: the number of trials of the search.
        top: how many configurations are confirmed.
        checkpoints: how many times a model's weights lie in checkpoints.
    """
    confirm = study.confirm
    printed = len(confirm.seeds) * (1 if confirm.choose else top) if top else searched
    trials = expected_trials(confirm, top, published=confirm.published) if top else 0
    predictions = {"none": 0, "confirmed": printed, "all": searched + trials}
    every = study.search.keep_weights == "confirmed" and top
    kept = timing.model_bytes * (len(confirm.seeds) if every else 1)
    kept += predictions[study.search.keep_predictions] * timing.prediction_bytes
    others = 1 if confirm.choose or not top else top  # a new one is written before one is removed
    others *= len(confirm.seeds) if every else 1
    return kept, kept + (others + checkpoints) * timing.weight_bytes


def expected_shares(rule: StoppingRule, trials: int) -> list[float]:
    """Return the share of its schedule that each trial of a search is expected to run.

    The trials' order says nothing of their scores, and a trial that is better at one fraction is
    better at the others; they run one after another.

    Args:
        rule: the stopping rule.
        trials: their number.
    """
    draws, totals = random.Random(0), [0.0] * trials
    for _ in range(SEARCHES):
        reached: dict[tuple[float, int], list[float]] = {}
        for index in range(trials):
            totals[index] += _share(rule, index, draws.random(), reached)
    return [total / SEARCHES for total in totals]


def _share(
    rule: StoppingRule, index: int, score: float, reached: dict[tuple[float, int], list[float]]
) -> float:
    """Return the share of its schedule that a trial runs; add what it has reached."""
    for count, fraction in enumerate(rule.fractions, 1):
        group = rule.group(index, fraction)
        if group is None:
            continue
        scores = [score] * count
        rivals = reached.setdefault((fraction, group), [])
        goes_on = rule.continues(scores, rivals)
        insort(rivals, rule.rival_score(scores))
        if not goes_on:
            return fraction
    return 1.0


def wall_seconds(forecasts: Sequence[TaskForecast], lanes: int) -> list[float]:
    """Return when each task has ended, in seconds from the first trial's start.

    Trials begin in the order of the tasks, wherever a lane is free. A task's confirmation begins
    when its search is over, and a task that starts from a winner when it is known.
    """
    index_of = {forecast.task: index for index, forecast in enumerate(forecasts)}
    free = [0.0] * lanes
    waiting: list[tuple[float, int, Sequence[float]]] = []
    ends = [0.0] * len(forecasts)

    def run(index: int, trials: Sequence[float], ready: float) -> float:
        last = ready
        for seconds in trials:
            begin = max(heapq.heappop(free), ready)
            heapq.heappush(free, begin + seconds + forecasts[index].between)
            last = max(last, begin + seconds)
        return last

    for index, forecast in enumerate(forecasts):
        for _, earlier, trials in waiting:  # its search was over when this one found lanes free
            ends[earlier] = run(earlier, trials, ends[earlier])
        ready = ends[index_of[forecast.source]] if forecast.source else 0.0
        ends[index] = run(index, forecast.search, ready)
        waiting = [(ends[index], index, forecast.confirm)]
    for _, index, trials in waiting:
        ends[index] = run(index, trials, ends[index])
    return ends


def _seconds(
    hyper: Hyperparameters,
    steps: StepTimes,
    timing: Timing,
    rungs: Sequence[float],
    keeps: bool,
    workers: int,
) -> float:
    """Return the seconds of a whole trial."""
    schedule: Schedule = make_schedule(hyper, timing.rows, rungs)
    evaluation = timing.evaluation / workers + timing.keep * keeps
    return schedule.steps * steps.of(hyper.BSZ) / workers + len(schedule.evaluations) * evaluation


def _teacher_seconds(
    task: TaskStudy, hypers: Sequence[Hyperparameters], timing: Timing, workers: int
) -> list[float]:
    """Return for each trial the seconds of the teacher that is trained for it; 0 if it is there."""
    seconds, known = [], set()
    for hyper in hypers:
        configuration = task.recipe.teacher_configuration(hyper)
        key = repr(configuration)
        if configuration is None or key in known or timing.teacher is None:
            seconds.append(0.0)
            continue
        known.add(key)
        teacher = task.recipe.hyper.model_validate(configuration)
        seconds.append(_seconds(teacher, timing.teacher, timing, (), True, workers))
    return seconds
