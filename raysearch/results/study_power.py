"""What a study will be able to see: the smallest difference that its seeds and dev examples show.

It is apart from the intervals because nothing has been trained yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ..statistics.power import EACH_WAY, example_error, seed_spread, visible_difference
from ..study import Study, TaskStudy
from ..tasks.sizes import SIZES

ASSUMED = 0.85  # the score of a task of which nothing is published


@dataclass(frozen=True, kw_only=True)
class TaskPower:
    """What a study will see on a task.

    Attributes:
        task: the task's name.
        metric: the metric that is looked at.
        examples: the number of dev examples.
        score: the expected score, a fraction.
        each_way: how far the 95 % interval of a single model's score reaches to each side.
        seeds: the number of seeds of the printed score.
        visible: the smallest difference from a published number that is seen with 80 % power; None
            of a single seed, whose spread nothing will measure.
        published: the scores of the published systems, ascending; the expected one is their middle.
    """

    task: str
    metric: str
    examples: int
    score: float
    each_way: float
    seeds: int
    visible: float | None
    published: tuple[float, ...]

    @property
    def range(self) -> float:
        """The difference of the best and the worst published system."""
        return self.published[-1] - self.published[0] if self.published else 0.0


def study_power(study: Study, sizes: Mapping[str, Mapping[str, int]]) -> list[TaskPower]:
    """Return what a study will see on each task whose number of examples is known.

    Args:
        study: the study.
        sizes: of the tasks whose data were read, the number of examples of each split.
    """
    powers = []
    for name in study.tasks:
        task = study.resolve(name)
        counts = _counts(task, sizes.get(name))
        if counts and all(counts) and not task.row.facts.joins_examples:
            powers.append(_task_power(task, *counts))
    return powers


def _task_power(task: TaskStudy, training: int, examples: int) -> TaskPower:
    metric, published = _published(task)
    score = published[len(published) // 2] if published else ASSUMED
    error = example_error(metric, score, examples)
    seeds = len(task.study.confirm.seeds) or 1
    visible = None
    if seeds > 1:
        visible = visible_difference(error, seed_spread(training), seeds, task.study.confirm.report)
    return TaskPower(
        task=task.name,
        metric=metric,
        examples=examples,
        score=score,
        each_way=EACH_WAY * error,
        seeds=seeds,
        visible=visible,
        published=published,
    )


def _counts(task: TaskStudy, read: Mapping[str, int] | None) -> tuple[int, int] | None:
    """Return the numbers of training examples and of printed ones of the first dev split."""
    first = task.row.dev[0].name
    if read and first in read:
        training = sum(read.get(split.name, 0) for split in task.training_splits)
        dev = read[first]
    elif task.name in SIZES:
        training, dev = SIZES[task.name]
    else:
        return None
    evaluated = min(dev, task.shared.dev_examples or dev)
    return training, round(evaluated * (task.study.search.hold_out or 1))


def _published(task: TaskStudy) -> tuple[str, tuple[float, ...]]:
    """Return the first of the task's metrics that is published, and its scores, ascending."""
    for metric in task.row.metrics:
        rows = (row.results[task.name] for row in task.study.published if task.name in row.results)
        scores = [result.scores[metric] / 100 for result in rows if metric in result.scores]
        if scores:
            return metric, tuple(sorted(scores))
    return task.row.metric, ()
