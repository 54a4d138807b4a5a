"""Cells of scores and of their intervals.

They are apart because the rows of the winners and those of the published setting share them.
"""

from collections.abc import Mapping, Sequence

from ..statistics.intervals import Interval
from ..study import TaskStudy
from ..tasks import Task
from . import formatting
from .table_rows import Cell


def result_scores(task: TaskStudy) -> list[str]:
    """Return the names of the scores that stand in a cell of results.

    It is the printed metric; of several dev splits that are not languages, of all of them.
    """
    if task.printed_metric != f"dev.{task.row.metric}":
        return [task.printed_metric]
    return [f"dev.{name}" for name in formatting.dev_names(task.row, task.row.metric)]


def result_cell(task: TaskStudy, scores: Mapping[str, float]) -> Cell:
    """Return the cell of the scores that `result_scores` names."""
    return values_cell([scores.get(name) for name in result_scores(task)])


def score_cell(task: Task, metric: str, scores: Mapping[str, float]) -> Cell:
    """Return a metric on every dev split, in percent."""
    return values_cell([scores.get(f"dev.{name}") for name in formatting.dev_names(task, metric)])


def format_interval(interval: Interval, digits: int = 1) -> str:
    """Return the ends of an interval in percent: "86.0 to 90.3"."""
    ends = (interval.low, interval.high)
    return " to ".join(formatting.format_percent(end, digits) for end in ends)


def interval_cell(intervals: Sequence[Interval | None]) -> Cell:
    """Return a cell of intervals; its value is None if all are unknown."""
    texts = [format_interval(i) if i else formatting.UNKNOWN_TEXT for i in intervals]
    values = [[i.low, i.high] if i else None for i in intervals]
    return Cell("/".join(texts), values if any(intervals) else None)


def values_cell(values: Sequence[float | None], *, sign: bool = False) -> Cell:
    """Return a cell of values in percent; the value of one is no list."""
    texts = [formatting.UNKNOWN_TEXT if v is None else formatting.format_percent(v, sign=sign)
             for v in values]  # fmt: skip
    return Cell("/".join(texts), list(values) if len(values) > 1 else values[0])
