"""The rows that papers printed, and how far a study is from them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .. import metrics, tasks
from ..standing import Standing
from ..study import Published, Study
from ..tasks.glue import AVERAGED
from . import spelling
from .rows import BLANK, UNKNOWN, Cell, Row

Lines = tuple[list[Row], list[str]]


@dataclass(frozen=True, kw_only=True)
class _Score:
    """One printed number.

    Attributes:
        name: of the score: "dev.mismatched.accuracy".
        percent: as printed.
    """

    name: str
    percent: float

    @property
    def digits(self) -> int:
        """Decimals that it is printed with, one at least."""
        return max(1, len(f"{self.percent:.10g}".partition(".")[2]))

    @property
    def text(self) -> str:
        """As printed."""
        return f"{self.percent:.{self.digits}f}"

    def behind(self, fraction: float) -> float:
        """How much more ours is, in percent, both as printed."""
        return round(round(100 * fraction, self.digits) - self.percent, self.digits)


def compared(study: Study, leaders: Mapping[str, Standing | None], average: bool) -> Lines:
    """A row for each published system, the difference beneath it, and where it was printed."""
    rows: list[Row] = []
    for system in study.published:
        for metric in (None, *_beside(study, system)):
            name = f"{system.row} {metric} (published)" if metric else f"{system.row} (published)"
            row = _printed(study, system, metric, name, average)
            if any(cell.value is not None for cell in row.cells):
                rows += [row, _difference(study, system, metric, leaders, average)]
    return rows, _sources(study)


def systems(study: Study, settings: Sequence[str], average: bool) -> Lines:
    """Each published system as its paper prints it: settings, then results."""
    rows: list[Row] = []
    for system in study.published:
        printed = [system.results[task].settings for task in study.tasks if task in system.results]
        for name in dict.fromkeys((*settings, *(name for known in printed for name in known))):
            cells = []
            for task in study.tasks:
                known = system.results[task].settings if task in system.results else {}
                cell = Cell(spelling.value(known[name]), known[name]) if name in known else UNKNOWN
                cells.append(cell)
            if any(cell is not UNKNOWN for cell in cells):
                cells += [BLANK] * average
                rows.append(Row(name=name, system=system.row, cells=tuple(cells)))
        for metric in (None, *_beside(study, system)):
            row = _printed(study, system, metric, metric or "Result", average)
            if any(cell.value is not None for cell in row.cells):
                rows.append(Row(name=row.name, system=system.row, cells=row.cells))
    return rows, _sources(study)


def _printed(study: Study, system: Published, metric: str | None, name: str, average: bool) -> Row:
    cells = []
    for task, scores in _by_task(study, system, metric):
        texts = [score.text if score else spelling.NONE for score in scores]
        text = "/".join(texts) if any(scores) else spelling.NONE
        used = next((s.name.rpartition(".")[2] for s in scores if s), None)
        if metric is None and used not in (None, tasks.get(task).metric):
            text += f" ({used})"
        values = [score and score.percent / 100 for score in scores]
        value = values if len(values) > 1 else values[0]
        cells.append(Cell(text, value if any(scores) else None))
    if average:
        first = {t: s[0].percent / 100 for t, s in _by_task(study, system, metric) if s[0]}
        cells.append(_mean(first, sign=False) if metric is None else BLANK)
    return Row(name=name, cells=tuple(cells))


def _difference(
    study: Study,
    system: Published,
    metric: str | None,
    leaders: Mapping[str, Standing | None],
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
            texts.append(spelling.NONE if gap is None else spelling.percent(gap, digits, sign=True))
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
    return UNKNOWN if mean is None else Cell(spelling.percent(mean, sign=sign), mean)


def _by_task(
    study: Study, system: Published, metric: str | None
) -> Iterator[tuple[str, list[_Score | None]]]:
    """Each task's printed scores on its dev splits.

    Without `metric` they are those of the metric that selects, where a paper has another one of
    the task's metrics instead, of that.
    """
    for name in study.tasks:
        task = tasks.get(name)
        printed = system.results[name].scores if name in system.results else {}
        used = metric or _used(name, printed) or task.metric
        wanted = spelling.dev_names(task, used) if used in task.metrics else []
        found = [_Score(name=f"dev.{n}", percent=printed[n]) if n in printed else None
                 for n in wanted]  # fmt: skip
        yield name, found or [None]


def _used(name: str, printed: Mapping[str, float]) -> str | None:
    task = tasks.get(name)
    for metric in task.metrics:
        if any(n in printed for n in spelling.dev_names(task, metric)):
            return metric
    return None


def _beside(study: Study, system: Published) -> list[str]:
    """Metrics that a paper prints besides the one by which each task is compared."""
    found: dict[str, None] = {}
    for name in study.tasks:
        task = tasks.get(name)
        printed = system.results[name].scores if name in system.results else {}
        for metric in task.metrics:
            here = any(n in printed for n in spelling.dev_names(task, metric))
            if here and metric != _used(name, printed):
                found[metric] = None
    return list(found)


def _sources(study: Study) -> list[str]:
    """Where each row was printed."""
    notes = []
    for system in study.published:
        if set(system.results) & set(study.tasks):
            model = f" ({system.model})" if system.model else ""
            notes.append(f"{system.row}{model}: {system.source}.")
    return notes
