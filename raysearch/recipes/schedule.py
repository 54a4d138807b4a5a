"""The schedule of a trial: steps, warmup, evaluations and learning rates.

It is plain arithmetic, apart from training, so that a study can be checked before a trial starts.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import InputError, Problem
from .hyperparameters import MAX_EVALUATIONS, Hyperparameters, PerEpoch, Steps

NO_STEP = "is less than one step"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule of one trial, in optimizer steps.

    Attributes:
        steps: the number of steps.
        warmup: the number of steps over which the learning rate rises.
        per_epoch: the number of steps of an epoch.
        evaluations: the steps after which the dev splits are scored; the last step is one.
        rungs: fraction of the schedule -> the step whose evaluation decides there.
    """

    steps: int
    warmup: int
    per_epoch: int
    evaluations: tuple[int, ...]
    rungs: dict[float, int]


def make_schedule(hyper: Hyperparameters, examples: int, rungs: Iterable[float] = ()) -> Schedule:
    """Return the schedule of a configuration.

    As in AMOS's run_glue.sh, an epoch has a whole number of steps, and all numbers are rounded
    down.

    Args:
        hyper: the configuration; BSZ, EPOCH, WARMUP, epoch_examples and evaluations are used.
        examples: the number of rows of the training split.
        rungs: fractions of the schedule that need an evaluation.

    Raises:
        InputError: there are too many evaluations.
    """
    if hyper.epoch_examples:
        per_epoch = max(1, hyper.epoch_examples // hyper.BSZ)
    else:
        per_epoch = math.ceil(examples / hyper.BSZ)
    if isinstance(hyper.EPOCH, Steps):
        steps = max(1, hyper.EPOCH.steps)
    else:
        steps = max(1, _floor(hyper.EPOCH * per_epoch))
    rung_steps = {fraction: max(1, _floor(steps * fraction)) for fraction in rungs}
    if isinstance(hyper.evaluations, PerEpoch):
        every = max(1, per_epoch // hyper.evaluations.per_epoch)
        if steps // every > MAX_EVALUATIONS:
            text = f"{steps // every:,} in a trial; at most {MAX_EVALUATIONS:,} would do"
            raise InputError("schedule", [Problem(location="evaluations", text=text)])
        evaluations = set(range(every, steps + 1, every))
    else:
        count = min(hyper.evaluations, steps)
        evaluations = {steps * i // count for i in range(1, count + 1)}  # rounded down like rungs
    evaluations |= {steps, *rung_steps.values()}
    return Schedule(
        steps=steps,
        warmup=warmup_steps(hyper.WARMUP, steps),
        per_epoch=per_epoch,
        evaluations=tuple(sorted(evaluations)),
        rungs=rung_steps,
    )


def schedule_differences(hyper: Hyperparameters, examples: int) -> Iterator[str]:
    """Yield a sentence for each way in which a schedule differs from its settings.

    Args:
        hyper: the configuration.
        examples: the number of rows of the training split.
    """
    schedule = make_schedule(hyper, examples)
    if not isinstance(hyper.EPOCH, Steps) and _floor(hyper.EPOCH * schedule.per_epoch) < 1:
        steps = f"{schedule.per_epoch:,} step{'s' * (schedule.per_epoch > 1)}"
        yield f"EPOCH {hyper.EPOCH:g} of an epoch of {steps} {NO_STEP}"
    if schedule.warmup >= schedule.steps:
        asked = hyper.WARMUP.steps if isinstance(hyper.WARMUP, Steps) else schedule.warmup
        text = f"WARMUP of {asked:,} steps takes the whole schedule of {schedule.steps:,}"
        yield f"{text}: the learning rate never falls"
    if not isinstance(hyper.evaluations, PerEpoch) and hyper.evaluations > schedule.steps:
        text = (
            f"{hyper.evaluations:,} evaluations of {schedule.steps:,} steps are {schedule.steps:,}"
        )
        yield f"{text}: one after each"


def warmup_steps(warmup: float | Steps, steps: int) -> int:
    """Return the number of warmup steps.

    A WARMUP of 16 for 505 steps is 31 steps, one of 10 for 2680 steps is 268 (AMOS README).

    Args:
        warmup: a number of steps; below 1 the ratio of warmup steps, else its reciprocal.
        steps: the number of steps of the schedule.
    """
    if isinstance(warmup, Steps):
        return min(warmup.steps, steps)
    if warmup >= 1:
        return _floor(steps / warmup)
    return _floor(steps * warmup)


def _floor(count: float) -> int:
    """Round down; 0.29 * 100 is 29, though their product in floating point is smaller."""
    return math.floor(count + 1e-6)


def learning_rate(hyper: Hyperparameters, schedule: Schedule, step: int) -> float:
    """Return the learning rate of a step.

    With g = step + schedule_offset, T steps and W warmup steps, the values of `schedule` mean:

    - linear: rises to LR over the warmup, then falls to 0 at the end (fairseq, transformers).
    - constant: rises to LR over the warmup, then stays there.
    - polynomial: as linear, but falls to `schedule_end` by a power (fairseq).
    - bert: rises to LR over the warmup, then is LR (1 - g/T), with a drop of LR W/T at W (Google's
      code).
    - electra: LR (1 - g/T) min(1, g/W).

    Args:
        hyper: the configuration.
        schedule: the schedule of the trial.
        step: the index of the step, from 0.
    """
    g, total, warmup = step + hyper.schedule_offset, schedule.steps, schedule.warmup
    rise = g / warmup if g < warmup else 1.0
    if hyper.schedule == "electra":
        return hyper.LR * max(0.0, 1 - g / total) * rise
    if g < warmup or hyper.schedule == "constant":
        return hyper.LR * rise
    if hyper.schedule == "bert":
        return hyper.LR * max(0.0, 1 - g / total)
    remaining = max(0.0, (total - g) / max(1, total - warmup))
    if hyper.schedule == "polynomial":
        return (
            hyper.schedule_end + (hyper.LR - hyper.schedule_end) * remaining**hyper.schedule_power
        )
    return hyper.LR * remaining
