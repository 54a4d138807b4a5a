"""The rows that papers printed, and how far a study is from them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .. import metrics, tasks
from ..study import Published, Study
from ..tasks import Task
from ..tasks.glue import AVERAGED
from . import formatting
from .leaderboard import RankedConfiguration
from .table_rows import BLANK, UNKNOWN, Cell, Row

Lines = tuple[list[Row], list[str]]


@dataclass(frozen=True, kw_only=True)
class Score:
    """One printed number.

    Attributes:
        name: of the score: "dev.mismatched.accuracy", "test.accuracy".
        percent: as printed.
        least: decimals that the paper prints at least, see `Published.digits`.
    """

    name: str
    percent: float
    least: int = 1

    @property
    def digits(self) -> int:
        """Decimals that it is printed with."""
        return max(self.least, len(f"{self.percent:.10g}".partition(".")[2]))

    @property
    def text(self) -> str:
        """As printed."""
        return f"{self.percent:.{self.digits}f}"

    def behind(self, fraction: float) -> float:
        """How much more ours is, in percent, both as printed."""
        return round(round(100 * fraction, self.digits) - self.percent, self.digits)


def compared(
    study: Study, leaders: Mapping[str, RankedConfiguration | None], average: bool
) -> Lines:
    """A row for each published system, the difference beneath it, and where it was printed."""
    rows: list[Row] = []
    for system in study.published:
        for metric in (None, *beside(study, system)):
            name = f"{system.row} {metric} (published)" if metric else f"{system.row} (published)"
            row = printed(study, system, metric, name, average)
            if any(cell.value is not None for cell in row.cells):
                rows += [row, _difference(study, system, metric, leaders, average)]
    return rows, sources(study)


def printed(
    study: Study, system: Published, metric: str | None, name: str, average: bool, of: str = ""
) -> Row:
    """A row of a system's scores.

    Args:
        metric: which; None for the one that selects, or what the paper has in its stead.
        of: "test." for those of the test sets.
    """
    cells = []
    for task, scores in _by_task(study, system, metric, of):
        texts = [score.text if score else formatting.NONE for score in scores]
        text = "/".join(texts) if any(scores) else formatting.NONE
        used = next((s.name.rpartition(".")[2] for s in scores if s), None)
        if metric is None and used not in (None, tasks.get(task).metric):
            text += f" ({used})"
        values = [score and score.percent / 100 for score in scores]
        value = values if len(values) > 1 else values[0]
        cells.append(Cell(text, value if any(scores) else None))
    if average:  # papers average dev scores only
        by_task = _by_task(study, system, metric, of)
        first = {task: scores[0].percent / 100 for task, scores in by_task if scores[0]}
        cells.append(_mean(first, sign=False) if metric is None and not of else BLANK)
    return Row(name=name, cells=tuple(cells))


def _difference(
    study: Study,
    system: Published,
    metric: str | None,
    leaders: Mapping[str, RankedConfiguration | None],
    average: bool,
) -> Row:
    cells, first = [], {}
    for task, scores in _by_task(study, system, metric):
        leader, texts, values = leaders[task], [], []
        for score in scores:
            ours = leader.scores.get(score.name) if leader and score else None
            gap = None if ours is None else score.behind(ours) / 100
            values.append(gap)
            digits = score.digits if score else 1
            texts.append(
                formatting.NONE
                if gap is None
                else formatting.format_percent(gap, digits, sign=True)
            )
        if values[0] is not None:
            first[task] = values[0]
        known = any(gap is not None for gap in values)
        value = values if len(values) > 1 else values[0]
        cells.append(Cell("/".join(texts), value) if known else UNKNOWN)
    if average:
        cells.append(_mean(first, sign=True) if metric is None else BLANK)
    return Row(name="difference", cells=tuple(cells))


def _mean(scores: Mapping[str, float], *, sign: bool) -> Cell:
    mean = metrics.average(scores, AVERAGED)
    return UNKNOWN if mean is None else Cell(formatting.format_percent(mean, sign=sign), mean)


def _by_task(
    study: Study, system: Published, metric: str | None, of: str = ""
) -> Iterator[tuple[str, list[Score | None]]]:
    """Each task's printed scores on its dev splits, or of what `of` says.

    Without `metric` they are those of the metric that selects, where a paper has another one of
    the task's metrics instead, of that.
    """
    for name in study.tasks:
        task = tasks.get(name)
        scores = system.results[name].scores if name in system.results else {}
        used = metric or _used(task, scores, of) or task.metric
        wanted = _names(task, used, of) if used in _metrics(task) else []
        found = [
            Score(
                name=f"{of or 'dev.'}{n.removeprefix(of)}", percent=scores[n], least=system.digits
            )
            if n in scores
            else None
            for n in wanted
        ]
        yield name, found or [None]


def _metrics(task: Task) -> tuple[str, ...]:
    """A task's metrics, and their means over languages."""
    return (*task.metrics, *(f"mean.{m}" for m in task.metrics if task.languages))


def _names(task: Task, metric: str, of: str) -> list[str]:
    return [of + name for name in formatting.dev_names(task, metric)]


def _used(task: Task, scores: Mapping[str, float], of: str) -> str | None:
    for metric in task.metrics:
        if any(n in scores for n in _names(task, metric, of)):
            return metric
    return None


def beside(study: Study, system: Published, of: str = "") -> list[str]:
    """Metrics that a paper prints besides the one by which each task is compared."""
    found: dict[str, None] = {}
    for name in study.tasks:
        task = tasks.get(name)
        scores = system.results[name].scores if name in system.results else {}
        for metric in _metrics(task):
            here = any(n in scores for n in _names(task, metric, of))
            if here and metric != _used(task, scores, of):
                found[metric] = None
    return list(found)


def sources(study: Study, *, models: bool = True) -> list[str]:
    """Where each row was printed, those of one source together."""
    notes: dict[str, list[str]] = {}
    for system in study.published:
        if set(system.results) & set(study.tasks):
            model = f" ({system.model})" if system.model and models else ""
            notes.setdefault(system.source, []).append(f"{system.row}{model}")
    return [f"{'; '.join(rows)}: {source}." for source, rows in notes.items()]
