"""What schedules do otherwise than a study's settings say, before anything is trained."""

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from ..recipes.schedule import NO_STEP, schedule_differences
from ..study import Configuration, Study

MOST = 2000  # configurations that are looked at
_DECIDE = ("BSZ", "EPOCH", "WARMUP", "epoch_examples", "evaluations")
_COUNTED = ("classify", "regress", "choose")  # heads of which each example is one of the training
UNKNOWN = ("thought",)  # heads whose examples are joined into blocks: their tokens tell how many


def schedule_notes(study: Study, task: str, examples: int) -> list[str]:
    """Return what the schedules of a task's configurations do otherwise than their settings say.

    Args:
        examples: of the training set.

    Returns:
        Lines, each once: at the values of a choice and at the ends of a range.
    """
    if examples < 1:
        return []
    lines: dict[str, None] = {}
    for point in islice(_points(study, task), MOST):
        hyper = study.hyperparameters(task, point)
        lines |= dict.fromkeys(schedule_differences(hyper, hyper.examples_per_epoch(examples)))
    return list(lines)


def refused(head: str, line: str) -> bool:
    """Whether a study is refused for a difference, for a task of this head: of others the number of
    training examples is not known before they are prepared."""
    return head in _COUNTED and NO_STEP in line


def _points(study: Study, task: str) -> Iterator[Configuration]:
    """Values of what decides a schedule, where they are searched."""
    space = {name: d for name, d in study.space_of(task).items() if name in _DECIDE}
    values: list[tuple[Any, ...]] = [dimension.ends for dimension in space.values()]
    yield from (dict(zip(space, row, strict=True)) for row in product(*values))
