"""Print what a user can choose from (tasks, hyperparameters, studies) and the plan of a study.

It is apart from `commands` because that module only parses the command line.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .. import search_space as spaces
from .. import tasks
from ..errors import InputError, Problem, printable, unknown_name
from ..recipes import RECIPES, Steps
from ..recipes.schedule import make_schedule
from ..results import study_power
from ..results.confirmation_notes import nothing_to_choose
from ..results.formatting import format_percent
from ..statistics import POWER_RULE
from ..study import Study, TaskStudy, load, shipped_studies
from ..study.model_names import resolve_model_folder
from ..study.unusual_values import unusual_value_notes

Sizes = Mapping[str, Mapping[str, int]]  # task -> split -> examples
MAX_SCHEDULES = 50  # configurations of a task whose schedules are shown
MAX_POINTS = 5000  # configurations that are counted one by one
LOG_WIDTH = 160  # columns of a table that is not printed to a terminal


def show_list(what: str) -> None:
    """Print a list.

    Args:
        what: tasks, hyperparameters or studies.

    Raises:
        InputError: there is no such list; with the nearest name.
    """
    lists = {"tasks": _tasks, "hyperparameters": _hyperparameters, "studies": _studies}
    if what not in lists:
        raise InputError("list", [Problem(location=what, text=unknown_name("list", what, lists))])
    _console().print(lists[what]())
    if what == "studies":
        _print("")
        _print("`raysearch table STUDY --published` prints the published rows of a study.")


def show_plan(
    study: Study, sizes: Sizes, notes: Iterable[str] = (), held_out: Sizes | None = None
) -> None:
    """Print what a study would run.

    Args:
        study: the study.
        sizes: of the tasks whose data were read, the number of examples of each split. For these
            tasks the data and the schedules of the first configurations are shown.
        notes: further lines.
        held_out: of these tasks, the number of held-out examples of each dev split; None if no
            examples are held out.
    """
    model = printable(f"  model {study.model}, recipe {study.recipe}")
    _console().print(Text.assemble((printable(study.name), "bold"), model))
    for name in study.tasks:
        if (model_name := study.resolve(name).model) != resolve_model_folder(study.model):
            _print(f"{name} starts from {model_name}")
    _console().print(_searches(study))
    if study.search.hours:
        _print(f"at most {study.search.hours:g} hours: after that no new trial begins")
    if sizes:
        _console().print(_data(study, sizes, held_out or {}))
        _console().print(_schedules(study, sizes))
    if unread := [name for name in study.tasks if name not in sizes]:
        all_unread = len(unread) == len(study.tasks)
        which = "the data" if all_unread else f"the data of {', '.join(unread)}"
        _print(f"{which} was not looked at: add --data FOLDER")
    _show_power(study, sizes)
    teachers = [(name, _teachers(study.resolve(name))) for name in study.tasks]
    lines = [f"{name} teachers: {counts}" for name, counts in teachers if counts]
    deviations = [f"otherwise than its source: {text}" for text in study.deviations]
    for name in study.tasks:
        if text := nothing_to_choose(study.resolve(name)):
            lines.append(f"{name}: {text}")
    for note in (*lines, *deviations, *unusual_value_notes(study), *notes):
        _print(note)


def _searches(study: Study) -> Table:
    """Return a table of what is searched for each task, and with how many trials."""
    table = _table("task", "searched", "trials", "confirmed", "tried first")
    for name in study.tasks:
        task = study.resolve(name)
        points = spaces.count_points(task.space)
        searched = ", ".join(task.space) or "nothing"
        if points < math.inf:
            searched += f" ({points:.0f} configurations)"
        planned = task.planned_trials
        trials = f"{planned} by {study.search.sampler}" if planned else "-"
        first = str(min(len(task.initial_points), planned) or "-")
        _add(table, name, searched, trials, _confirmed(task), first)
    return table


def _confirmed(task: TaskStudy) -> str:
    """Return which trials the confirmation of a task has, in words."""
    confirm = task.study.confirm
    if not confirm.seeds:
        return "-"
    count = len(confirm.seeds)
    top = min(confirm.top, task.planned_trials or 1)
    text = f"top {top} x {count} seeds"
    if confirm.choose and top > 1:
        race = "at most " * confirm.race
        text = f"top {top} x {race}{len(confirm.choose)} seeds, winner x {count}"
    return f"{text}, published x {count}" if confirm.published else text


def _show_power(study: Study, sizes: Sizes) -> None:
    """Print what differences the study will be able to see."""
    if not (powers := study_power.study_power(study, sizes)):
        return
    table = _table("task", "dev", "score", "one model's 95 %", "seeds", "sees", "published")
    for power in powers:
        each_way, sees = (format_percent(x) for x in (power.each_way, power.visible))
        ends = dict.fromkeys(
            format_percent(score) for score in power.published[:: len(power.published) - 1 or 1]
        )
        score = f"{format_percent(power.score)} {power.metric}"
        published = " to ".join(ends) or "-"
        _add(
            table,
            power.task,
            f"{power.examples:,}",
            score,
            f"+-{each_way}",
            str(power.seeds),
            sees,
            published,
        )
    _console().print(table)
    _print(POWER_RULE)
    if assumed := [power.task for power in powers if not power.published]:
        _print(f"{', '.join(assumed)}: a score of {100 * study_power.ASSUMED:.0f} is assumed")
    alike = [p.task for p in powers if len(p.published) > 1 and p.range < p.visible]
    if alike:
        _print(f"{', '.join(alike)}: all published systems differ by less than this study can see")


def _teachers(task: TaskStudy) -> str:
    """Return how many teachers the trials of a task need, in words; "" if they need none."""
    space, planned, confirm = task.space, task.planned_trials, task.study.confirm
    # A continuous dimension is represented by its ends.
    ends = {key: d if d.values else spaces.Choice(choice=d.ends) for key, d in space.items()}
    points = spaces.grid(ends) if spaces.count_points(ends) <= MAX_POINTS else []
    # Dimensions that the grid does not cover: all of a space that is too large, else continuous
    # ones. If the teachers differ along them, there may be as many teachers as trials.
    uncovered = {key: d.ends[0] for key, d in space.items() if not points or not d.values}
    count = len(_teacher_configurations(task, points))
    if uncovered:
        at_low = [{**point, **uncovered} for point in points or [{}]]
        if count != len(_teacher_configurations(task, at_low)):
            count = planned
    if not count:
        return ""
    counts = []
    if planned:
        counts.append(f"{'at most ' * (count > 1)}{min(planned, count)} in the search")
    if confirm.seeds:
        top = min(confirm.top, planned or 1, count)
        chooses = len(confirm.choose) if min(confirm.top, planned) > 1 else 0
        seeds = len(confirm.seeds)
        number = top * chooses + (1 if chooses else top) * seeds
        number += seeds * (confirm.published and count > 1)
        counts.append(f"{'at most ' * (top > 1)}{number} in the confirmation")
    return ", ".join(counts)


def _teacher_configurations(task: TaskStudy, points: Iterable[Mapping[str, Any]]) -> set[str]:
    """Return the distinct configurations of teachers at these points of a task's space."""
    configurations = map(task.teacher_configuration, points)
    return {repr(sorted(values.items())) for values in configurations if values}


def _data(study: Study, sizes: Sizes, held_out: Sizes) -> Table:
    """Return a table of the examples that are trained on, selected on and printed."""
    selects = "their mean" if study.search.select_on == "mean" else "the first"
    titles = [f"scored on, {selects} selects"]
    if study.search.hold_out is not None:
        titles = [f"searched on, {selects} selects", "printed on"]
    table = _table("task", "trains on", *titles)
    for name in (name for name in study.tasks if name in sizes):
        task = study.resolve(name)
        train = {split.name: sizes[name][split.name] for split in task.training_splits}
        total, max_dev = sum(train.values()), task.shared.dev_examples
        copies = task.shared.examples_per_epoch(total) - total
        trains = _counts(train) + (f"; {copies:,} augmented copies" if copies else "")
        dev = {split.name: sizes[name].get(split.name) for split in task.row.dev}
        scored = {n: min(size, max_dev or size) for n, size in dev.items() if size is not None}
        parts = [scored]
        if printed := held_out.get(name):
            parts = [{n: size - printed[n] for n, size in scored.items()}, dict(printed)]
        _add(table, name, trains, *map(_counts, parts))
    return table


def _counts(sizes: Mapping[str, int]) -> str:
    """Return splits with their sizes, equal sizes together: "en, de 2,000 each; sw 500"."""
    names_by_size: dict[int, list[str]] = {}
    for name, size in sizes.items():
        names_by_size.setdefault(size, []).append(name)
    parts = [
        f"{', '.join(names)} {size:,}{' each' * (len(names) > 1)}"
        for size, names in names_by_size.items()
    ]
    return "; ".join(parts)


def _schedules(study: Study, sizes: Sizes) -> Table:
    """Return a table of steps, warmup and evaluations of the configurations that are tried first.

    Counts of steps that depend on the tokenizer are marked with "at least", or unknown ("?").
    """
    table = _table("task", "configuration", "steps", "warmup", "evaluations")
    recipe = RECIPES[study.recipe]
    for name in (name for name in study.tasks if name in sizes):
        task = study.resolve(name)
        examples = sum(sizes[name][split.name] for split in task.training_splits)
        facts = task.row.facts
        for point in task.initial_points[:MAX_SCHEDULES] or [{}]:
            hyper = task.hyperparameters(point)
            rows = [(spaces.format_point(point) or "the defaults", hyper)]
            if teacher := recipe.teacher_configuration(hyper):
                rows.insert(0, ("its teacher", recipe.hyper.model_validate(teacher)))
            for text, values in rows:
                schedule = make_schedule(values, values.examples_per_epoch(examples))
                is_fixed = isinstance(values.EPOCH, Steps) or values.epoch_examples
                prefix = "at least " if facts.splits_examples and not is_fixed else ""
                counts = [f"{prefix if n else ''}{n:,}" for n in (schedule.steps, schedule.warmup)]
                if facts.joins_examples and not is_fixed:
                    counts = ["?", "?"]
                _add(table, name, text, *counts, str(len(schedule.evaluations)))
    return table


def _tasks() -> Table:
    table = _table("task", "head", "inputs", "labels", "metrics, the first selects", "folder")
    for name, task in tasks.TASKS.items():
        labels = ", ".join(task.labels) or task.facts.output
        inputs = ", ".join(task.inputs)
        _add(table, name, task.head, inputs, labels, ", ".join(task.metrics), task.folder)
    return table


def _hyperparameters() -> Table:
    """Return a table of all hyperparameters, each once, with the recipes that have it."""
    table = _table("hyperparameter", "default", "recipes", "what it is")
    names = dict.fromkeys(name for recipe in RECIPES.values() for name in recipe.hyper.model_fields)
    for name in names:
        hypers = {
            recipe.name: recipe.hyper
            for recipe in RECIPES.values()
            if name in recipe.hyper.model_fields
        }
        recipes = "all" if len(hypers) == len(RECIPES) else ", ".join(hypers)
        default = _by_recipe(
            {recipe: _as_yaml(h.model_fields[name].default) for recipe, h in hypers.items()}
        )
        description = _by_recipe({recipe: h.description(name) for recipe, h in hypers.items()})
        _add(table, name, default, recipes, description)
    return table


def _by_recipe(texts: Mapping[str, str]) -> str:
    """Return the text of the first recipe, and every other text with its recipe."""
    first, *_ = texts.values()
    others = [f"{recipe}: {text}" for recipe, text in texts.items() if text != first]
    return "; ".join([first, *others])


def _as_yaml(value: Any) -> str:
    """Return a default as a study's file spells it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_yaml, value))}]"
    return str(value)


def _studies() -> Table:
    """Return a table of the shipped studies and of those in ./search_spaces, for 100 columns."""
    table = _table("study", "tasks", "model", "published rows")
    shipped = shipped_studies()
    shipped_files = {path.resolve() for path in shipped.values()}
    local = sorted(Path("search_spaces").glob("*.yaml"))
    others = [(str(path), path) for path in local if path.resolve() not in shipped_files]
    for name, path in (*shipped.items(), *others):
        try:
            study = load(path)
        except InputError:
            _add(table, name, f"cannot be read: `raysearch check {name}` says why", "-", "-")
            continue
        _add(table, name, _task_summary(study), study.model, _published_summary(study))
    return table


def _task_summary(study: Study) -> str:
    """Return the task of a study, or how many tasks of each benchmark it has: "8 of glue"."""
    if len(study.tasks) == 1:
        return study.tasks[0]
    benchmarks = Counter(name.partition("/")[0] for name in study.tasks)
    return ", ".join(f"{count} of {benchmark}" for benchmark, count in benchmarks.items())


def _published_summary(study: Study) -> str:
    """Return how many published rows a study has, and the first one's system: "5: AMOS base++"."""
    if not study.published:
        return "-"
    system = study.published[0].row.partition(",")[0]
    return f"{len(study.published)}: {system}{' ...' * (len(study.published) > 1)}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _add(table: Table, *cells: str) -> None:
    table.add_row(*map(printable, cells))


def _print(line: str) -> None:
    _console().print(printable(line))


def _console() -> Console:
    # Without markup, as names may contain brackets and colons.
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = LOG_WIDTH
    return console
