"""The points about how hyperparameters were chosen: runs, bounds, method, summary statistics.

They are apart from the points about results because they speak of all trials of the search.
"""

from collections import Counter

from ... import search_space as spaces
from ...recipes.field_metadata import ReadBy, fields_with
from ...search_space import Dimension, IntRange, LogUniform, format_condition
from ...study import Confirm, Search, TaskStudy, samplers
from .. import analysis, formatting
from ..cost import reused_hours
from ..run_results import RunResults
from .document import Point

# Settings of search and confirmation that the sentences of `selection_point` explain.
_EXPLAINED = (
    "search.sampler", "search.trials", "search.seed", "search.start_from", "search.stop_early",
    "search.select", "search.select_on", "search.hold_out", "confirm.top", "confirm.choose",
    "confirm.race", "confirm.seeds", "confirm.report",
)  # fmt: skip
CURVE = (1, 2, 4, 8, 16, 32, 64, 128)  # numbers of trials whose expected best score is told


def runs_point(run: RunResults) -> Point:
    """Return the point about the numbers of training and evaluation runs."""
    trials = [record for record in run.records.trials.values() if record.task in run.study.tasks]
    ends = Counter(str(record.status) for record in trials)
    phases = Counter(str(record.phase) for record in trials)
    evaluations = sum(len(record.reports) for record in trials)
    text = (
        f"We trained {len(trials)} models ({_counts(phases)}), of which {_counts(ends)}; they were"
        f" evaluated on dev {evaluations} times."
    )
    if reused := [record for record in trials if record.reused_from]:
        runs = ", ".join(dict.fromkeys(record.reused_from for record in reused))
        hours = sum(map(reused_hours, reused))
        text += f" {len(reused)} of them are of {runs}, where they took {hours:.2f} device hours."
    details = []
    for name in run.study.tasks:
        group = run.records.of(name)
        by_end = _counts(Counter(f"{r.phase} {r.status}" for r in group)) or "no trials"
        repeats = sum(record.repeats for record in group)
        evaluated = sum(len(record.reports) for record in group)
        details.append(
            f"{name}: {by_end}; {evaluated} evaluations; {repeats} repeats answered from the record"
        )
    return Point(title="Training and evaluation runs", text=text, details=tuple(details))


def bounds_point(run: RunResults) -> Point:
    """Return the point about the bounds of every hyperparameter, the fixed ones included."""
    details = []
    searched: dict[str, None] = {}
    for name in run.study.tasks:
        task = run.study.resolve(name)
        values, unused = task.shared.model_dump(), task.shared.ineffective_fields()
        searched |= dict.fromkeys(task.space)
        details += [f"{name} {key}: {bounds(d)}" for key, d in task.space.items()]
        fixed = [
            f"{key} = {formatting.format_setting(values[key])}"
            for key in read_fields(task)
            if key not in task.space and key not in unused
        ]
        details.append(f"{name}, fixed: {'; '.join(fixed)}")
    shown = ", ".join(searched) or "nothing"
    text = f"We searched {shown}; the bounds of each task and all fixed values are listed."
    return Point(title="Bounds of every hyperparameter", text=text, details=tuple(details))


def read_fields(task: TaskStudy) -> list[str]:
    """Return the hyperparameters that the head of a task reads."""
    hyper = task.recipe.hyper
    read_by = fields_with(hyper, ReadBy)
    everywhere = [name for name in hyper.model_fields if name not in read_by]
    own = [name for name, readers in read_by.items() if task.row.head in readers.heads]
    return [name for name in hyper.model_fields if name in {*everywhere, *own}]


def bounds(dimension: Dimension) -> str:
    """Return the bounds of a dimension in words."""
    text = _bounds(dimension)
    return f"{text}, with {format_condition(dimension.when)}" if dimension.when else text


def _bounds(dimension: Dimension) -> str:
    if dimension.values is not None and not isinstance(dimension, IntRange):
        return f"one of {{{', '.join(formatting.format_setting(v) for v in dimension.values)}}}"
    low, high = map(formatting.format_setting, dimension.ends)
    if isinstance(dimension, IntRange):
        return f"a whole number from {low} to {high}"
    kind = "log-uniform" if isinstance(dimension, LogUniform) else "uniform"
    return f"{kind} from {low} to {high}"


def selection_point(run: RunResults) -> Point:
    """Return the point about the method of choosing and its criterion, in words."""
    search, confirm = run.study.search, run.study.confirm
    texts = [
        f"Configurations are chosen by {samplers.facts(search.sampler).text},"
        f" {search.trials} at most for each task, sampler and trials with seed {search.seed}."
    ]
    stopping = search.stop_early
    texts.append(stopping.sentence if stopping else "No trial is stopped early.")
    texts.append(
        f"A trial counts with its {search.select} evaluation on"
        f" {_selecting(run)}; test labels are never read."
    )
    texts.append(_confirmation(confirm))
    texts += _further_settings("search", search) + _further_settings("confirm", confirm)
    details = [_start(run.study.resolve(name)) for name in run.study.tasks]
    for title, section in (("search", search), ("confirm", confirm)):
        values = section.model_dump(mode="json", exclude={"start_from"}).items()
        details += [f"{title}.{key}: {formatting.format_setting(value)}" for key, value in values]
    title = "Method and criterion of selection"
    return Point(title=title, text=" ".join(texts), details=tuple(details))


def _confirmation(confirm: Confirm) -> str:
    """Return in words how the winner is chosen and with which seeds it is printed."""
    if not confirm.seeds:
        return "Nothing is confirmed with further seeds."
    printed, choosing = (", ".join(map(str, seeds)) for seeds in (confirm.seeds, confirm.choose))
    if not choosing:
        return (
            f"The best {confirm.top} of each task are trained again with the seeds {printed}, and"
            f" the winner is the one with the highest {confirm.report} over its seeds."
        )
    race = ""
    if confirm.race:
        race = "; one that falls behind by more than one standard error is dropped"
    return (
        f"The best {confirm.top} of each task are trained again with the seeds {choosing}{race}."
        f" The winner is the one with the highest mean over them, and it alone is trained with the"
        f" seeds {printed}, whose {confirm.report} is printed."
    )


def summary_point(run: RunResults) -> Point:
    """Return the point about the statistics of all trials and the expected performance."""
    details, texts = [], []
    for name in run.study.tasks:
        task = run.study.resolve(name)
        summary, column = analysis.summary(task, run.records), formatting.column_title(task.row)
        if summary.mean is None or summary.quartiles is None:
            texts.append(f"{column}: no trial of the search has a score")
            continue
        spread = summary.standard_deviation
        deviation = "" if spread is None else f", sd {formatting.format_percent(spread, 2)}"
        quartiles = ", ".join(formatting.format_percent(q, 2) for q in summary.quartiles)
        texts.append(
            f"{column}: n = {len(summary.scores)},"
            f" mean {formatting.format_percent(summary.mean, 2)}{deviation}, quartiles {quartiles}"
        )
        expected = analysis.expected_performance(task, run.records)
        count = len(expected.scores)
        shown = [
            f"{n} {formatting.format_percent(expected.scores[n - 1], 2)}"
            f" ({expected.hours[n - 1]:.2f} h)"
            for n in sorted({*(n for n in CURVE if n < count), count})
        ]
        details.append(f"{name}, expected best score of so many trials: {', '.join(shown)}")
        details += [f"{name}: {note}" for note in expected.notes]
    part = formatting.search_part(run.study.search.hold_out)
    text = f"Scores of the search on {part}, in percent. {'; '.join(texts)}."
    return Point(title="Summary statistics of all trials", text=text, details=tuple(details))


def _selecting(run: RunResults) -> str:
    """Return the scores that select, in words."""
    by_task = {}
    for name in run.study.tasks:
        task = run.study.resolve(name)
        over = "mean over the languages of " if ".mean." in task.selection_metric else ""
        by_task[name] = f"{over}{task.row.metric} of split '{task.row.dev[0].name}' ({name})"
    part = run.study.search.hold_out
    held_out = (
        f", on the {100 * (1 - part):g} % of its examples that are not held out" if part else ""
    )
    return "; ".join(by_task.values()) + held_out


def _further_settings(title: str, section: Search | Confirm) -> list[str]:
    """Return a sentence for each setting that is not its default and that no sentence explains."""
    texts = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if f"{title}.{name}" not in _EXPLAINED and value != field.default:
            shown = formatting.format_setting(value)
            texts.append(f"Further, {title}.{name} is {shown}: {field.description}.")
    return texts


def _start(task: TaskStudy) -> str:
    points = task.initial_points
    shown = "; ".join(spaces.format_point(point) for point in points) or "none"
    return f"{task.name}, tried first: {shown}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.items())
