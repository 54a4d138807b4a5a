"""Charts of a task's results: seeds and intervals against published scores, and languages.

They are apart from the charts of the search because they show configurations over seeds.
"""

from collections.abc import Iterator

from ...statistics.intervals import Interval
from ...study import TaskStudy
from ..formatting import counted
from ..leaderboard import RankedConfiguration
from ..score_intervals import Intervals
from .chart import Chart
from .drawings import Line, in_rows
from .search_charts import percent, printed_label, settings

_MAX_CONFIGURATIONS = 12  # rows of a chart; the rest has no place on a page
_LEGEND = [("finished", "one seed"), ("result", "result"), ("interval:line", "95 % interval")]
_PUBLISHED = ("published", "published")


def seeds(task: TaskStudy, ranked: list[RankedConfiguration], intervals: Intervals) -> Chart | None:
    """Return the chart of each configuration's seeds, beside the published scores."""
    if not ranked:
        return None
    metric, rows, data = task.printed_metric, [], []
    for number, configuration in enumerate(ranked[:_MAX_CONFIGURATIONS], 1):
        name = settings(configuration.configuration) or "the study's settings"
        interval = intervals(task, configuration, metric)
        scores = [(record, record.scores_at(task.study.search.select).get(metric))
                  for record in configuration.trials]  # fmt: skip
        points: list[tuple[float, str, str]] = [
            (100 * score, record.status, f"seed {record.seed}: {100 * score:.2f}")
            for record, score in scores
            if score is not None and record.status != "diverged"
        ]
        count = len(configuration.trials)
        result = f"{task.study.confirm.report} of {count}" if count > 1 else "one seed"
        points.append((100 * configuration.score, "result", _tip(result, configuration.score)))
        label = f"{number}. {name}"
        rows.append(Line(label=label, points=points, interval=_span(interval)))
        texts = ", ".join(f"{record.seed}: {percent(score, 2)}" for record, score in scores)
        data.append([label, percent(configuration.score, 2), _ends(interval), texts])
    for row, score in _published(task, metric):
        tip = f"{row}, published\n{100 * score:g}"
        rows.append(Line(label=f"{row} (published)", points=[(100 * score, "published", tip)]))
        data.append([f"{row} (published)", f"{100 * score:g}", "-", "-"])
    first = ranked[0]
    words = f"The first configuration scores {percent(first.score)}"
    interval = intervals(task, first, metric)
    words += f", 95 % interval {_ends(interval)}" if interval else ", without an interval"
    several = len(first.trials) > 1
    words += f", over {len(first.trials)} seeds." if several else ", of one seed"
    words += "" if several else f"{', over dev examples alone' * (interval is not None)}."
    if (left := len(ranked) - _MAX_CONFIGURATIONS) > 0:
        words += f" Not drawn: {counted(left, 'further configuration')}."
    has_published = len(rows) > len(ranked[:_MAX_CONFIGURATIONS])
    return Chart(
        key=f"{task.row.slug}-seeds",
        title="Seeds and published scores" if has_published else "Seeds",
        summary=words,
        drawing=in_rows(rows, x_label=printed_label(task)),
        columns=("configuration or system", "result, %", "95 % interval", "seed: score, %"),
        rows=data,
        legend=[*_LEGEND[: 3 if interval else 2], *([_PUBLISHED] if has_published else [])],
    )


def languages(
    task: TaskStudy, leader: RankedConfiguration | None, intervals: Intervals
) -> Chart | None:
    """Return the chart of the leader's score in each language; None of a task without."""
    if leader is None or not task.row.languages:
        return None
    metric, rows, data, drawn = task.row.metric, [], [], False
    for index, code in enumerate(task.row.languages):
        name = f"dev.{metric}" if not index else f"dev.{code}.{metric}"
        score = leader.scores.get(name)
        if score is None:
            continue
        interval = intervals(task, leader, name)
        drawn = drawn or interval is not None
        published = list(_published(task, name))
        points = [(100 * score, "finished", _tip(code, score))]
        points += [(100 * value, "published", f"{row}\n{100 * value:g}")
                   for row, value in published]  # fmt: skip
        rows.append(Line(label=code, points=points, interval=_span(interval)))
        texts = ", ".join(f"{row}: {100 * value:g}" for row, value in published) or "-"
        data.append([code, percent(score, 2), _ends(interval), texts])
    if not rows:
        return None
    ordered = sorted((float(row[1]), row[0]) for row in data)
    words = f"{len(rows)} languages, from {ordered[0][1]} with {ordered[0][0]:.1f}"
    words += f" to {ordered[-1][1]} with {ordered[-1][0]:.1f}."
    legend = [("finished", "score"), *([_LEGEND[2]] if drawn else [])]
    return Chart(
        key=f"{task.row.slug}-languages",
        title="Languages",
        summary=words,
        drawing=in_rows(rows, x_label=printed_label(task, metric)),
        columns=("language", "score, %", "95 % interval", "published, %"),
        rows=data,
        legend=[*legend, *([_PUBLISHED] if any(row[3] != "-" for row in data) else [])],
    )


def _published(task: TaskStudy, name: str) -> Iterator[tuple[str, float]]:
    """Yield the systems that published a score, and the score as a fraction."""
    for system in task.study.published:
        result = system.results.get(task.name)
        score = result.scores.get(name.removeprefix("dev.")) if result else None
        if score is not None:
            yield system.row, score / 100


def _span(interval: Interval | None) -> tuple[float, float, str] | None:
    if interval is None:
        return None
    return 100 * interval.low, 100 * interval.high, f"95 % interval\n{_ends(interval)}"


def _ends(interval: Interval | None) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}" if interval else "-"


def _tip(name: str, score: float) -> str:
    return f"{name}: {100 * score:.2f}"
