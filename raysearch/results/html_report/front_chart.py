"""The chart of scores against device hours, with the Pareto front.

It is apart from the other charts of a search because only searches with two objectives have it.
"""

from ...run_folder import Records
from ...study import TaskStudy
from ..formatting import counted
from ..pareto import pareto_front
from .chart import Chart
from .drawings import Curve, Point, over_axes
from .search_charts import describe, percent, score_label, seen_score, settings


def score_against_cost(task: TaskStudy, records: Records) -> Chart | None:
    """Return the chart of a search with two objectives; None without a finished trial."""
    if task.study.search.minimize is None or not (front := pareto_front(task, records)):
        return None
    trials = [r for r in records.of(task.name, "search") if r.status == "finished"]
    best = {record.id for record in front}

    def place(trial: str) -> tuple[float, float]:
        record = records.trials[trial]
        return record.training_hours, 100 * (seen_score(task, record) or 0.0)

    points = []
    for record in trials:
        x, y = place(record.id)
        kind = "front" if record.id in best else "finished"
        tip = f"{describe(task, record)}\n{x:.3g} device hours"
        points.append(Point(x=x, y=y, kind=kind, tip=tip))
    stairs = sorted(place(record.id) for record in front)
    curve = Curve(points=stairs, kind="best", tip="Pareto front", stepped=True)
    rows = []
    for record in front:
        score, hours = percent(seen_score(task, record), 2), f"{record.training_hours:.3g}"
        rows.append([str(record.number), score, hours, settings(record.configuration)])
    words = f"On the Pareto front are {len(front)} of {counted(len(trials), 'finished trial')}: no"
    words += " other trial has a higher score in fewer device hours."
    return Chart(
        key=f"{task.row.slug}-front",
        title="Score against device hours",
        summary=words,
        drawing=over_axes(points, [curve], x_label="device hours", y_label=score_label(task)),
        columns=("trial", "score, %", "device hours", "settings"),
        rows=rows,
        legend=[("front", "on the front"), ("finished", "other trials")],
    )
