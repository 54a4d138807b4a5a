"""What there is to choose from, printed: tasks, hyperparameters, studies, and a study's plan."""

import math
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
from ..study import Study, load, shipped_studies
from ..study.model_names import resolve_model_folder
from ..study.unusual_values import unusual_value_notes

Sizes = Mapping[str, Mapping[str, int]]  # task -> split -> examples
_GOLD = {
    "regress": "a number", "choose": "an option", "span": "a part of the context",
    "thought": "the masked tokens",
}  # fmt: skip
SHOWN = 50  # configurations of a task whose schedules are shown
MANY = 5000  # configurations that are looked at one by one, no more
_CUT = ("span", "tag")  # an example too long for the model becomes several: its tokenizer tells
_JOINED = ("thought",)  # several become one, as many as their tokens fill


def show_list(what: str) -> None:
    """Print a list. Raises InputError with the nearest name where there is no such list."""
    lists = {"tasks": _tasks, "hyperparameters": _hyperparameters, "studies": _studies}
    if what not in lists:
        raise InputError("list", [Problem(location=what, text=unknown_name("list", what, lists))])
    _console().print(lists[what]())


def show_plan(study: Study, sizes: Sizes, notes: Iterable[str] = ()) -> None:
    """Print what a study would run; of tasks whose data were read also what they hold, how many
    steps the settings take that are tried first, and notes."""
    about = printable(f"  model {study.model}, recipe {study.recipe}")
    _console().print(Text.assemble((printable(study.name), "bold"), about))
    for name in study.tasks:
        if study.model_of(name) != resolve_model_folder(study.model):
            _print(f"{name} starts from {study.model_of(name)}")
    _console().print(_searches(study))
    if study.search.hours:
        _print(f"at most {study.search.hours:g} hours: after that no new trial begins")
    if sizes:
        _console().print(_data(study, sizes))
        _console().print(_schedules(study, sizes))
    if unread := [name for name in study.tasks if name not in sizes]:
        which = (
            "the data" if len(unread) == len(study.tasks) else f"the data of {', '.join(unread)}"
        )
        _print(f"{which} was not looked at: add --data FOLDER")
    taught = [(name, _teachers(study, name)) for name in study.tasks]
    lines = [f"{name} teachers: {stages}" for name, stages in taught if stages]
    for note in (*lines, *unusual_value_notes(study), *notes):
        _print(note)


def _searches(study: Study) -> Table:
    """What is searched for each task, and how often."""
    table = _table("task", "searched", "trials", "confirmed", "tried first")
    for name in study.tasks:
        space = study.space_of(name)
        cells = spaces.count_points(space)
        searched = ", ".join(space) or "nothing"
        if cells < math.inf:
            searched += f" ({cells:.0f} configurations)"
        confirmed = f"top {study.confirm.top} x {len(study.confirm.seeds)} seeds"
        planned = study.planned_trials(name)
        trials = f"{planned} by {study.search.sampler}" if planned else "-"
        first = str(min(len(study.initial_points(name)), planned) or "-")
        _add(table, name, searched, trials, confirmed if study.confirm.seeds else "-", first)
    return table


def _teachers(study: Study, name: str) -> str:
    """How many first stages a task's trials learn from; "" where they learn from none."""
    space, planned, seeds = (
        study.space_of(name),
        study.planned_trials(name),
        len(study.confirm.seeds),
    )
    ends = {key: d if d.values else spaces.Dimension(choice=d.ends) for key, d in space.items()}
    points = spaces.grid(ends) if spaces.count_points(ends) <= MANY else []
    first = {key: d.ends[0] for key, d in space.items() if not points or not d.values}
    count = len(_distinct(study, name, points))
    if first and count != len(_distinct(study, name, [{**p, **first} for p in points or [{}]])):
        count = planned  # as many as trials: it depends on what is continuous, or is not looked at
    if not count:
        return ""
    said = [f"{'at most ' * (count > 1)}{min(planned, count)} in the search"] if planned else []
    if seeds:
        top = min(study.confirm.top, planned or 1, count)
        said.append(f"{'at most ' * (top > 1)}{top * seeds} in the confirmation")
    return ", ".join(said)


def _distinct(study: Study, name: str, points: Iterable[Mapping[str, Any]]) -> set[str]:
    """The configurations that teach at these points."""
    recipe = RECIPES[study.recipe]
    found = (
        recipe.teacher_configuration(study.hyperparameters(name, dict(point))) for point in points
    )
    return {repr(sorted(one.items())) for one in found if one}


def _data(study: Study, sizes: Sizes) -> Table:
    """Examples that are trained on, and those that are scored."""
    selects = "their mean" if study.search.select_on == "mean" else "the first"
    table = _table("task", "trains on", f"scored on, {selects} selects")
    for name in (name for name in study.tasks if name in sizes):
        task, hyper = tasks.get(name), study.hyperparameters(name, {})
        train = {split.name: sizes[name][split.name] for split in study.training_splits(name)}
        whole, most = sum(train.values()), hyper.dev_examples
        copies = hyper.examples_per_epoch(whole) - whole
        trains = _counts(train) + (f"; {copies:,} augmented copies" if copies else "")
        dev = {split.name: sizes[name].get(split.name) for split in task.dev}
        scored = {n: min(size, most or size) for n, size in dev.items() if size is not None}
        _add(table, name, trains, _counts(scored))
    return table


def _counts(sizes: Mapping[str, int]) -> str:
    """Splits with their sizes, those of equal size together: "en, de 2,000 each; sw 500"."""
    alike: dict[int, list[str]] = {}
    for name, size in sizes.items():
        alike.setdefault(size, []).append(name)
    each = [f"{', '.join(n)} {size:,}{' each' * (len(n) > 1)}" for size, n in alike.items()]
    return "; ".join(each)


def _schedules(study: Study, sizes: Sizes) -> Table:
    """Steps, warmup and evaluations of the configurations that are tried first."""
    from ..recipes.schedule import make_schedule as schedule

    table = _table("task", "configuration", "steps", "warmup", "evaluations")
    for name in (name for name in study.tasks if name in sizes):
        examples = sum(sizes[name][split.name] for split in study.training_splits(name))
        head = tasks.get(name).head
        for point in study.initial_points(name)[:SHOWN] or [{}]:
            values = spaces.format_point(point) or "the defaults"
            trials = {values: study.hyperparameters(name, point)}
            recipe = RECIPES[study.recipe]
            if first := recipe.teacher_configuration(trials[values]):
                trials = {"its teacher": recipe.hyper.model_validate(first), **trials}
            for said, hyper in trials.items():
                made = schedule(hyper, hyper.examples_per_epoch(examples))
                counted = isinstance(hyper.EPOCH, Steps) or hyper.epoch_examples
                cut = "at least " if head in _CUT and not counted else ""
                counts = [f"{cut if n else ''}{n:,}" for n in (made.steps, made.warmup)]
                if head in _JOINED and not counted:
                    counts = ["?", "?"]
                _add(table, name, said, *counts, str(len(made.evaluations)))
    return table


def _tasks() -> Table:
    table = _table("task", "head", "inputs", "labels", "metrics, the first selects", "folder")
    for name, task in tasks.TASKS.items():
        labels = ", ".join(task.labels) or _GOLD[task.head]
        inputs = ", ".join(task.inputs)
        _add(table, name, task.head, inputs, labels, ", ".join(task.metrics), task.folder)
    return table


def _hyperparameters() -> Table:
    table = _table("recipe", "hyperparameter", "default", "what it is")
    for recipe in RECIPES.values():
        for name, field in recipe.hyper.model_fields.items():
            _add(table, recipe.name, name, str(field.default), field.description or "")
    return table


def _studies() -> Table:
    table = _table("study", "tasks", "model", "published rows")
    here = Path("search_spaces")
    paths = shipped_studies()
    own = {path.resolve() for path in paths.values()}
    others = [path for path in sorted(here.glob("*.yaml")) if path.resolve() not in own]
    for name, path in (*paths.items(), *((str(path), path) for path in others)):
        try:
            study = load(path)
        except InputError:
            _add(table, name, f"cannot be read: `raysearch check {name}` says why", "-", "-")
            continue
        rows = "; ".join(row.row for row in study.published) or "-"
        _add(table, name, ", ".join(study.tasks), study.model, rows)
    return table


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
    console = Console(highlight=False, markup=False, emoji=False)  # names may hold such
    if not console.is_terminal:
        console.width = 160
    return console
