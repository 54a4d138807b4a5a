"""Charts of a task's search: history, learning curves, parallel coordinates, analysis.

They are apart from the charts of results because they show single trials.
"""

from collections import Counter
from collections.abc import Sequence

from ...run_folder import Record, Records
from ...run_folder.outcomes import TrialStatus
from ...search_space import Choice, LogUniform, active_space
from ...study import TaskStudy
from .. import analysis
from ..formatting import UNKNOWN_TEXT, counted, format_setting, printed_part, search_part
from ..leaderboard import RankedConfiguration, best_of_search, counted_score
from .chart import Chart
from .drawings import (
    MISSING,
    Curve,
    Dimension,
    Line,
    Point,
    in_rows,
    over_axes,
    parallel,
    parallel_width,
)

_ENDS: dict[TrialStatus, str] = {
    "finished": "finished",
    "stopped": "stopped early",
    "degenerate": "degenerate (learned nothing)",
    "diverged": "diverged",
    "failed": "failed",
    "running": "running",
}
_FIFTHS = 5  # groups of equal size by score, in parallel coordinates


def percent(fraction: float | None, digits: int = 1) -> str:
    """Return a score in percent as the tables print it; a dash where there is none."""
    return UNKNOWN_TEXT if fraction is None else f"{100 * fraction:.{digits}f}"


def settings(configuration: dict[str, object]) -> str:
    """Return a configuration in one line."""
    return ", ".join(f"{name} {format_setting(value)}" for name, value in configuration.items())


def score_label(task: TaskStudy) -> str:
    """Return the name of the score that selects, as an axis has it."""
    name = task.printed_metric.removeprefix("dev.")
    return f"{name} on {search_part(task.study.search.hold_out)}, %"


def printed_label(task: TaskStudy, name: str | None = None) -> str:
    """Return the name of a score that is printed, as an axis has it; that of the result if None."""
    name = name or task.printed_metric.removeprefix("dev.")
    return f"{name} on {printed_part(task.study.search.hold_out)}, %"


def seen_score(task: TaskStudy, record: Record) -> float | None:
    """Return what a trial has scored, if it has; a diverged one has nothing."""
    if record.status in ("failed", "diverged"):
        return None
    if record.is_over and (score := counted_score(task, record)) is not None:
        return score
    report = record.evaluation(task.study.search.select, task.selection_metric)
    return report.scores[task.selection_metric] if report else None


def describe(task: TaskStudy, record: Record) -> str:
    """Return a trial in a few lines, for a tooltip."""
    lines = [
        f"Trial {record.number}, {record.phase}, seed {record.seed}: {_ENDS[record.status]}",
        f"score {percent(seen_score(task, record), 2)}",
    ]
    if record.configuration:
        lines.append(settings(record.configuration))
    return "\n".join(lines)


def history(task: TaskStudy, records: Records) -> Chart | None:
    """Return the chart of scores by trial, with the best so far; None without any score."""
    trials = records.of(task.name, "search")
    if all(seen_score(task, record) is None for record in trials):
        return None
    best: float | None = None
    points, steps, rows = [], [], []
    for record in trials:
        score = seen_score(task, record)
        if record.status == "finished" and score is not None:
            best = score if best is None else max(best, score)
        if best is not None:
            steps.append((float(record.number), 100 * best))
        value = None if score is None else 100 * score
        points.append(
            Point(x=record.number, y=value, kind=record.status, tip=describe(task, record))
        )
        texts = [percent(score, 2), percent(best, 2), settings(record.configuration)]
        rows.append([str(record.number), _ENDS[record.status], *texts])
    curves = [Curve(points=steps, kind="best", tip="Best so far", stepped=True)] if steps else []
    ends = Counter(record.status for record in trials)
    ended = ", ".join(f"{ends[end]} {name}" for end, name in _ENDS.items() if ends[end])
    words = f"{counted(len(trials), 'trial')} of the search: {ended}."
    if first := best_of_search(task, records):
        best_trial = f"trial {first.number} ({settings(first.configuration) or 'no search'})"
        words += f" The best scored {percent(seen_score(task, first))}: {best_trial}."
    unscored: tuple[TrialStatus, ...] = ("diverged", "failed", "running")
    missing = [end for end in unscored if ends[end]]
    if any(point.y is None for point in points):
        words += f" Those without a score ({' or '.join(missing)}) stand below the axis."
    drawing = over_axes(
        points, curves, x_label="trial number", y_label=score_label(task), whole=True
    )
    legend: list[tuple[str, str]] = [(end, name) for end, name in _ENDS.items() if ends[end]]
    return Chart(
        key=f"{task.row.slug}-history",
        title="History of the search",
        summary=words,
        drawing=drawing,
        columns=("trial", "end", "score, %", "best so far, %", "settings"),
        rows=rows,
        legend=[*legend, *([("best:line", "best so far")] if steps else [])],
    )


def learning_curves(
    task: TaskStudy, records: Records, leader: RankedConfiguration | None
) -> list[Chart]:
    """Return the charts of the dev score and the training loss at each evaluation."""
    trials = [record for record in records.of(task.name) if record.phase != "teach"]
    winners = {record.id for record in leader.trials} if leader else set()
    metric = task.selection_metric
    scored = [
        (record, [(r.step / r.steps, 100 * r.scores[metric]) for r in record.reports if r.scores])
        for record in trials
    ]
    lost = [
        (record, [(r.step / r.steps, r.loss) for r in record.reports if r.loss is not None])
        for record in trials
    ]
    return [
        chart
        for name, title, label, curves in (
            ("curves", "Learning curves", score_label(task), scored),
            ("loss", "Training loss", "mean training loss per example", lost),
        )
        if (chart := _curves(task, name, title, label, curves, winners))
    ]


def _curves(
    task: TaskStudy,
    name: str,
    title: str,
    label: str,
    found: Sequence[tuple[Record, Sequence[tuple[float, float]]]],
    winners: set[str],
) -> Chart | None:
    """Return the chart of one value at each evaluation; None if no trial has reported it."""
    curves, rows = [], []
    for record, values in found:
        if not values:
            continue
        style = "winner" if record.id in winners else str(record.phase)
        kind = f"{style} early" if record.status == "stopped" else style
        points = [(100 * progress, value) for progress, value in values]
        curves.append(Curve(points=points, kind=kind, tip=describe(task, record)))
        texts = "; ".join(f"{x:.0f} %: {y:.4g}" for x, y in points)
        rows.append([str(record.number), record.phase, _ENDS[record.status], texts])
    if not curves:
        return None
    curves.sort(key=lambda curve: curve.kind.startswith("winner"))
    drawing = over_axes([], curves, x_label="share of the trial's own schedule, %", y_label=label)
    lasts = [curve.points[-1][1] for curve in curves]
    ends = f"the last values go from {min(lasts):.4g} to {max(lasts):.4g}"
    if len(lasts) == 1:
        ends = f"its last value is {lasts[0]:.4g}"
    words = f"{counted(len(curves), 'trial')} at each evaluation; {ends}."
    kinds = {curve.kind for curve in curves}
    names = [
        ("winner", "winner"),
        ("search", "search"),
        ("search early", "stopped early"),
        ("confirm", "confirmation of others"),
    ]
    return Chart(
        key=f"{task.row.slug}-{name}",
        title=title,
        summary=words,
        drawing=drawing,
        columns=("trial", "phase", "end", f"share of the schedule: {label}"),
        rows=rows,
        legend=[(f"{kind}:line", meaning) for kind, meaning in names if kind in kinds],
    )


def parallel_coordinates(task: TaskStudy, records: Records) -> Chart | None:
    """Return parallel coordinates of the search; None if fewer than two trials have scores."""
    scores = {r.id: seen_score(task, r) for r in records.of(task.name, "search")}
    trials = [
        record
        for record in records.of(task.name, "search")
        if scores[record.id] is not None
        and set(active_space(task.space, record.configuration)) <= set(record.configuration)
    ]
    # The best, which is the table's, lies on top: a stopped trial may have scored as much.
    best = best_of_search(task, records)
    trials.sort(key=lambda r: (r is best, r.status != "degenerate", scores[r.id] or 0.0, -r.number))
    if len(trials) < 2 or not task.space:
        return None
    dimensions = [_dimension(task, name, trials) for name in task.space]
    values = [100 * (scores[record.id] or 0.0) for record in trials]
    dimensions.append(Dimension(name="score, %", values=values, text="{:g}".format))
    kinds = [f"q{_FIFTHS * index // len(trials)}" for index in range(len(trials))]
    kinds[-1] = "winner" if trials[-1] is best else kinds[-1]
    rows = [
        [
            str(record.number),
            percent(scores[record.id], 2),
            *(
                format_setting(record.configuration[name]) if name in record.configuration else "-"
                for name in task.space
            ),
        ]
        for record in reversed(trials)
    ]
    words = f"{len(trials):,} trials with a score, one line each."
    if best:
        words += f" The best is {best.number} with {percent(scores[best.id])}:"
        words += f" {settings(best.configuration)}."
    return Chart(
        key=f"{task.row.slug}-parallel",
        title="Parallel coordinates",
        summary=words,
        drawing=parallel(dimensions, kinds, [describe(task, record) for record in trials]),
        columns=("trial", "score, %", *task.space),
        rows=rows,
        legend=[("winner:line", "best trial"), ("q4:line", "high"), ("q0:line", "low score")],
        wide=parallel_width(len(dimensions)) > 600,
    )


def _dimension(task: TaskStudy, name: str, trials: Sequence[Record]) -> Dimension:
    """Return the axis of a searched hyperparameter."""
    form = task.space[name]
    values = [record.configuration.get(name, MISSING) for record in trials]
    known = [value for value in values if value is not MISSING]
    # A journal may have texts in the place of numbers.
    numbers = bool(known) and all(isinstance(value, int | float) for value in known)
    choices = form.choice if isinstance(form, Choice) else None if numbers else ()
    return Dimension(
        name=name,
        values=values,
        text=format_setting,
        choices=choices,
        logarithmic=isinstance(form, LogUniform),
    )


def importance(task: TaskStudy, found: analysis.Importance) -> Chart | None:
    """Return the chart of the importance of each hyperparameter; None if it cannot be told."""
    if not found.shares:
        return None
    rows = [
        Line(label=name, length=(100 * share, f"{name}\n{100 * share:.1f} % of the importance"))
        for name, share in found.shares.items()
    ]
    first = next(iter(found.shares))
    words = f"By PED-ANOVA over {found.trials:,} trials, {first} decides most about whether a trial"
    words = " ".join([f"{words} is among the best tenth.", *found.notes])
    words += "".join(f" {name}: {why}." for name, why in found.left_out.items())
    return Chart(
        key=f"{task.row.slug}-importance",
        title="Importance of the hyperparameters",
        summary=words,
        drawing=in_rows(rows, x_label="share of the importance, %"),
        columns=("hyperparameter", "share, %"),
        rows=[[name, f"{100 * share:.1f}"] for name, share in found.shares.items()],
    )


def expected_performance(task: TaskStudy, found: analysis.ExpectedPerformance) -> list[Chart]:
    """Return the charts of the expected best score against trials and device hours."""
    if len(found.scores) < 2:
        return []
    scores = [100 * score for score in found.scores]
    rows = [
        [str(count), f"{hours:.4g}", f"{score:.2f}"]
        for count, (hours, score) in enumerate(zip(found.hours, scores, strict=True), 1)
    ]
    words = f"The best of one trial is expected to score {scores[0]:.1f}, the best of"
    words += f" {len(scores):,} scored {scores[-1]:.1f}."
    charts = []
    trials = [float(count) for count in range(1, len(scores) + 1)]
    for name, title, label, xs in (
        ("trials", "Expected performance against trials", "trials of the search", trials),
        ("hours", "Expected performance against device hours", "device hours", found.hours),
    ):
        values = list(zip(xs, scores, strict=True))
        points = [
            Point(x=x, y=y, kind="dot", tip=f"{label}: {x:.4g}\nexpected best: {y:.2f} %")
            for x, y in (values if len(values) <= 100 else [])
        ]
        curve = Curve(points=values, kind="best", tip="Expected best score of so many trials")
        chart = Chart(
            key=f"{task.row.slug}-expected-{name}",
            title=title,
            summary=" ".join([words, *found.notes]) if name == "trials" else words,
            drawing=over_axes(
                points, [curve], x_label=label, y_label=score_label(task), whole=name == "trials"
            ),
            columns=("trials", "device hours", "expected best, %"),
            rows=rows,
        )
        charts.append(chart)
    return charts


def undrawn(
    task: TaskStudy, shares: analysis.Importance, expected: analysis.ExpectedPerformance
) -> list[str]:
    """Return why charts of the search are missing, in sentences."""
    if not task.space:
        return ["Nothing was searched: the study fixes every hyperparameter."]
    notes = [] if shares.shares else list(shares.notes)
    if len(expected.scores) < 2:
        text = "Parallel coordinates and expected performance need two trials of the search with"
        notes.append(f"{text} scores.")
    return notes
