"""Notes on schedules that differ from a study's settings, before anything is trained."""

from collections.abc import Iterator
from itertools import islice, product
from typing import Any

from ..recipes.schedule import NO_STEP, schedule_differences
from ..study import Configuration, TaskStudy
from ..tasks import HeadFacts

MAX_CONFIGURATIONS = 2000  # that are checked
_SCHEDULE_FIELDS = ("BSZ", "EPOCH", "WARMUP", "epoch_examples", "evaluations")


def schedule_notes(task: TaskStudy, examples: int) -> list[str]:
    """Return how schedules of a task's configurations differ from their settings.

    Args:
        task: the task of a study.
        examples: the number of training examples.

    Returns:
        A line for each difference, without repetitions. The values of choices and the ends of
        ranges are checked.
    """
    if examples < 1:
        return []
    lines: dict[str, None] = {}
    for point in islice(_points(task), MAX_CONFIGURATIONS):
        hyper = task.hyperparameters(point)
        lines |= dict.fromkeys(schedule_differences(hyper, hyper.examples_per_epoch(examples)))
    return list(lines)


def is_refused(facts: HeadFacts, line: str) -> bool:
    """Return whether a study is refused because of a line of `schedule_notes`.

    For some heads the number of training examples is only known after they are prepared; their
    studies are not refused.
    """
    return facts.keeps_examples and NO_STEP in line


def _points(task: TaskStudy) -> Iterator[Configuration]:
    """Yield configurations of the searched fields that determine a schedule."""
    names = [name for name in task.space if name in _SCHEDULE_FIELDS]
    values: list[tuple[Any, ...]] = [task.space[name].ends for name in names]
    yield from (dict(zip(names, row, strict=True)) for row in product(*values))
