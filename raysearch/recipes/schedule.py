"""How long a trial trains: steps, warmup and evaluation points, computed once. Pure arithmetic."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import InputError, Problem
from .hyperparameters import MOST_EVALUATIONS, Hyperparameters, PerEpoch, Steps

NO_STEP = "is less than one step"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule of one trial, in optimizer steps.

    Attributes:
        steps: how many there are.
        warmup: how many of them raise the learning rate.
        per_epoch: how many an epoch counts.
        evaluations: after which of them the dev splits are scored; the last one always is.
        rungs: fraction -> the evaluation at which trials compete there.
    """

    steps: int
    warmup: int
    per_epoch: int
    evaluations: tuple[int, ...]
    rungs: dict[float, int]


def make_schedule(hyper: Hyperparameters, examples: int, rungs: Iterable[float] = ()) -> Schedule:
    """The schedule of a configuration.

    As AMOS's run_glue.sh does it: whole steps an epoch, and floors throughout.

    Args:
        hyper: its BSZ, EPOCH, WARMUP, epoch_examples and evaluations decide.
        examples: rows of the training split.
        rungs: fractions of the schedule that need an evaluation.

    Raises:
        InputError: more evaluations than any trial has use for.
    """
    if hyper.epoch_examples:
        per_epoch = max(1, hyper.epoch_examples // hyper.BSZ)
    else:
        per_epoch = math.ceil(examples / hyper.BSZ)
    if isinstance(hyper.EPOCH, Steps):
        steps = max(1, hyper.EPOCH.steps)
    else:
        steps = max(1, _floor(hyper.EPOCH * per_epoch))
    points = {at: max(1, _floor(steps * at)) for at in rungs}
    if isinstance(hyper.evaluations, PerEpoch):
        every = max(1, per_epoch // hyper.evaluations.per_epoch)
        if steps // every > MOST_EVALUATIONS:
            text = f"{steps // every:,} of a trial; at most {MOST_EVALUATIONS:,} would do"
            raise InputError("plan", [Problem(location="evaluations", text=text)])
        evaluations = set(range(every, steps + 1, every))
    else:
        count = min(hyper.evaluations, steps)
        evaluations = {steps * i // count for i in range(1, count + 1)}  # floors, as rungs
    evaluations |= {steps, *points.values()}
    return Schedule(
        steps=steps,
        warmup=warmup_steps(hyper.WARMUP, steps),
        per_epoch=per_epoch,
        evaluations=tuple(sorted(evaluations)),
        rungs=points,
    )


def schedule_differences(hyper: Hyperparameters, examples: int) -> Iterator[str]:
    """Yield what a schedule does otherwise than its settings say.

    Args:
        hyper: see `plan`.
        examples: rows of the training split.
    """
    made = make_schedule(hyper, examples)
    if not isinstance(hyper.EPOCH, Steps) and _floor(hyper.EPOCH * made.per_epoch) < 1:
        steps = f"{made.per_epoch:,} step{'s' * (made.per_epoch > 1)}"
        yield f"EPOCH {hyper.EPOCH:g} of an epoch of {steps} {NO_STEP}"
    if made.warmup >= made.steps:
        asked = hyper.WARMUP.steps if isinstance(hyper.WARMUP, Steps) else made.warmup
        text = f"WARMUP of {asked:,} steps takes the whole schedule of {made.steps:,}"
        yield f"{text}: the learning rate never falls"
    if not isinstance(hyper.evaluations, PerEpoch) and hyper.evaluations > made.steps:
        text = f"{hyper.evaluations:,} evaluations of {made.steps:,} steps are {made.steps:,}"
        yield f"{text}: one after each"


def warmup_steps(warmup: float | Steps, steps: int) -> int:
    """WARMUP in steps: a count, a ratio below 1, or the reciprocal of the ratio above.

    16 of 505 steps is 31, of 2680 steps at 10 it is 268 (AMOS README).
    """
    if isinstance(warmup, Steps):
        return min(warmup.steps, steps)
    if warmup >= 1:
        return _floor(steps / warmup)
    return _floor(steps * warmup)


def _floor(count: float) -> int:
    """Whole steps; 0.29 of 100 is 29, though their product in floating point is below it."""
    return math.floor(count + 1e-6)


def learning_rate(hyper: Hyperparameters, plan: Schedule, step: int) -> float:
    """The learning rate of a step, counted from 0.

    linear: up to the peak over warmup, then down to 0 at the end (fairseq, transformers).
    constant: up to the peak, then level. polynomial: down to `schedule_end` by a power.
    bert: as Google's code, LR(1 - g/T) after a warmup to LR, a drop of LR W/T at W.
    electra: LR(1 - g/T) min(1, g/W).
    """
    g, total, warmup = step + hyper.schedule_offset, plan.steps, plan.warmup
    rise = g / warmup if g < warmup else 1.0
    if hyper.schedule == "electra":
        return hyper.LR * max(0.0, 1 - g / total) * rise
    if g < warmup or hyper.schedule == "constant":
        return hyper.LR * rise
    if hyper.schedule == "bert":
        return hyper.LR * max(0.0, 1 - g / total)
    left = max(0.0, (total - g) / max(1, total - warmup))
    if hyper.schedule == "polynomial":
        return hyper.schedule_end + (hyper.LR - hyper.schedule_end) * left**hyper.schedule_power
    return hyper.LR * left
