"""The rows of a table with scores that papers printed, and the differences to a study's scores.

It is apart from the tables because both use it: that of a run and that of the published rows alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .. import metrics
from ..statistics.verdict import RULE, verdict
from ..study import Published, Study
from ..tasks import Task
from ..tasks.glue import AVERAGED
from . import formatting
from .leaderboard import RankedConfiguration
from .score_intervals import Intervals, no_interval
from .table_rows import BLANK, UNKNOWN, Cell, Row

RowsAndNotes = tuple[list[Row], list[str]]
PUBLISHED = " (published)"  # ends the name of a published row
DIFFERENCE = "difference"  # the row below it
VERDICT = "verdict"  # the row below a difference


@dataclass(frozen=True, kw_only=True)
class Score:
    """One printed number.

    Attributes:
        name: the score's name: "dev.mismatched.accuracy", "test.accuracy".
        percent: the number as printed.
        min_digits: the smallest number of decimals that the paper prints, see `Published.digits`.
    """

    name: str
    percent: float
    min_digits: int = 1

    @property
    def digits(self) -> int:
        """The number of decimals it is printed with."""
        return max(self.min_digits, len(f"{self.percent:.10g}".partition(".")[2]))

    @property
    def text(self) -> str:
        """The number as the paper prints it."""
        return f"{self.percent:.{self.digits}f}"

    def difference(self, fraction: float) -> float:
        """Return how much larger a study's score is, in percent, with both numbers as printed.

        Args:
            fraction: the study's score.
        """
        return round(round(100 * fraction, self.digits) - self.percent, self.digits)


def comparison_rows(
    study: Study,
    leaders: Mapping[str, RankedConfiguration | None],
    average: bool,
    intervals: Intervals = no_interval,
) -> RowsAndNotes:
    """Return a row for each published system with difference and verdict below it, and the sources.

    Args:
        study: the study with its published rows.
        leaders: task -> its leading configuration, or None.
        average: whether the last column is the papers' average.
        intervals: returns the interval of a score; without it there are no verdicts.
    """
    rows: list[Row] = []
    for system in study.published:
        for metric in (None, *further_metrics(study, system)):
            name = f"{system.row} {metric}{PUBLISHED}" if metric else f"{system.row}{PUBLISHED}"
            row = published_row(study, system, metric, name, average)
            if any(cell.value is not None for cell in row.cells):
                rows += [row, _difference_row(study, system, metric, leaders, average)]
                rows += _verdict_rows(study, system, metric, leaders, average, intervals)
    rule = [RULE] if any(row.name == VERDICT for row in rows) else []
    return rows, [*rule, *sources(study)]


def published_row(
    study: Study,
    system: Published,
    metric: str | None,
    name: str,
    average: bool,
    prefix: str = "",
) -> Row:
    """Return the row of a system's scores.

    Args:
        study: the study; its tasks are the columns.
        system: the published system.
        metric: the metric; None for the one that selects, or the one that the paper has instead.
        name: the name of the row.
        average: whether the last column is the papers' average.
        prefix: "test." for the scores of the test sets, "" for dev.
    """
    cells = []
    for task, scores in _scores_by_task(study, system, metric, prefix):
        texts = [score.text if score else formatting.UNKNOWN_TEXT for score in scores]
        text = "/".join(texts) if any(scores) else formatting.UNKNOWN_TEXT
        printed = next((score.name.rpartition(".")[2] for score in scores if score), None)
        if metric is None and printed not in (None, study.task(task).metric):
            text += f" ({printed})"
        values = [score and score.percent / 100 for score in scores]
        value = values if len(values) > 1 else values[0]
        cells.append(Cell(text, value if any(scores) else None))
    if average:  # papers average dev scores only
        by_task = _scores_by_task(study, system, metric, prefix)
        first = {task: scores[0].percent / 100 for task, scores in by_task if scores[0]}
        cells.append(_average(first, sign=False) if metric is None and not prefix else BLANK)
    return Row(name=name, cells=tuple(cells))


def _difference_row(
    study: Study,
    system: Published,
    metric: str | None,
    leaders: Mapping[str, RankedConfiguration | None],
    average: bool,
) -> Row:
    """Return the row of how much larger the study's scores are than those of a system."""
    cells: list[Cell] = []
    first: dict[str, float] = {}
    for task, scores in _scores_by_task(study, system, metric):
        pairs = [_difference(score, leaders[task]) for score in scores]
        texts, values = [text for text, _ in pairs], [value for _, value in pairs]
        if values[0] is not None:
            first[task] = values[0]
        known = any(value is not None for value in values)
        value = values if len(values) > 1 else values[0]
        cells.append(Cell("/".join(texts), value) if known else UNKNOWN)
    if average:
        cells.append(_average(first, sign=True) if metric is None else BLANK)
    return Row(name=DIFFERENCE, cells=tuple(cells))


def _verdict_rows(
    study: Study,
    system: Published,
    metric: str | None,
    leaders: Mapping[str, RankedConfiguration | None],
    average: bool,
    intervals: Intervals,
) -> list[Row]:
    """Return the row of verdicts on a system's scores; none where there are no intervals.

    A winner that has learned nothing gets none: its score is no result.
    """
    cells = []
    for name, scores in _scores_by_task(study, system, metric):
        leader, task = leaders[name], study.resolve(name)
        texts, values = [], []
        for score in scores:
            ours = None
            if score and leader and not leader.learned_nothing:
                ours = intervals(task, leader, score.name)
            text, value = formatting.UNKNOWN_TEXT, None
            if score and ours:
                value = verdict(ours, score.percent / 100).value
                text = f"{value} (sees {formatting.format_percent(ours.visible)})"
            texts.append(text)
            values.append(value)
        cells.append(Cell("/".join(texts), values if any(values) else None))
    if average:
        cells.append(BLANK)
    return [Row(name=VERDICT, cells=tuple(cells))] if any(cell.value for cell in cells) else []


def _difference(
    score: Score | None, leader: RankedConfiguration | None
) -> tuple[str, float | None]:
    """Return the difference of a leader's score to a printed one, as text and as a fraction."""
    measured = leader.scores.get(score.name) if leader and score else None
    if score is None or measured is None:
        return formatting.UNKNOWN_TEXT, None
    difference = score.difference(measured) / 100
    return formatting.format_percent(difference, score.digits, sign=True), difference


def _average(scores: Mapping[str, float], *, sign: bool) -> Cell:
    mean = metrics.average(scores, AVERAGED)
    return UNKNOWN if mean is None else Cell(formatting.format_percent(mean, sign=sign), mean)


def _scores_by_task(
    study: Study, system: Published, metric: str | None, prefix: str = ""
) -> Iterator[tuple[str, list[Score | None]]]:
    """Yield each task and its printed scores, one for each dev split.

    Args:
        study: the study with the tasks.
        system: the published system.
        metric: the metric; None for the one that selects. If the paper has another of the task's
            metrics instead, that one is used.
        prefix: "test." for the scores of the test sets, "" for dev.
    """
    for name in study.tasks:
        task = study.task(name)
        printed = system.results[name].scores if name in system.results else {}
        used = metric or _selecting_metric(task, printed, prefix) or task.metric
        names = _score_names(task, used, prefix) if used in _metrics(task) else []
        scores = [
            Score(
                name=f"{prefix or 'dev.'}{score.removeprefix(prefix)}",
                percent=printed[score],
                min_digits=system.digits,
            )
            if score in printed
            else None
            for score in names
        ]
        yield name, scores or [None]


def _metrics(task: Task) -> tuple[str, ...]:
    """Return a task's metrics and their means over languages."""
    return (*task.metrics, *(f"mean.{m}" for m in task.metrics if task.languages))


def _score_names(task: Task, metric: str, prefix: str) -> list[str]:
    return [prefix + name for name in formatting.dev_names(task, metric)]


def _selecting_metric(task: Task, printed: Mapping[str, float], prefix: str) -> str | None:
    """Return the first of a task's metrics that a paper printed, in the task's order."""
    for metric in task.metrics:
        if any(name in printed for name in _score_names(task, metric, prefix)):
            return metric
    return None


def further_metrics(study: Study, system: Published, prefix: str = "") -> list[str]:
    """Return the metrics that a paper prints in addition to the one by which tasks are compared.

    Args:
        study: the study with the tasks.
        system: the published system.
        prefix: "test." for the scores of the test sets, "" for dev.
    """
    further: dict[str, None] = {}
    for name in study.tasks:
        task = study.task(name)
        printed = system.results[name].scores if name in system.results else {}
        for metric in _metrics(task):
            present = any(score in printed for score in _score_names(task, metric, prefix))
            if present and metric != _selecting_metric(task, printed, prefix):
                further[metric] = None
    return list(further)


def sources(study: Study, *, models: bool = True) -> list[str]:
    """Return a note for each source, with the rows that were printed there.

    Args:
        study: the study with its published rows.
        models: whether the notes name the model of each row.
    """
    notes: dict[str, list[str]] = {}
    for system in study.published:
        if set(system.results) & set(study.tasks):
            model = f" ({system.model})" if system.model and models else ""
            notes.setdefault(system.source, []).append(f"{system.row}{model}")
    return [f"{'; '.join(rows)}: {source}." for source, rows in notes.items()]
