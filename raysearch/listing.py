"""What there is to choose from, printed: tasks, hyperparameters, studies, and a study's plan."""

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import readers, tasks
from . import space as spaces
from .errors import InputError, Problem, unknown
from .recipes import RECIPES
from .study import Study, load

_GOLD = {"regress": "a number", "choose": "an option", "span": "a part of the context"}
_CUT = ("span", "tag")  # an example too long for the model becomes several: its tokenizer tells


def show(what: str) -> None:
    """Print a list. Raises InputError with the nearest name where there is no such list."""
    lists = {"tasks": _tasks, "hyperparameters": _hyperparameters, "studies": _studies}
    if what not in lists:
        raise InputError("list", [Problem(place=what, text=unknown("list", what, lists))])
    _console().print(lists[what]())


def plan(study: Study, data: Path | None) -> None:
    """Print what a study would run; with data, how many steps its published settings take."""
    table = _table("task", "searched", "trials", "confirmed", "tried first")
    for name in study.tasks:
        space = study.space_of(name)
        cells = spaces.size(space)
        searched = ", ".join(space) or "nothing"
        if cells < math.inf:
            searched += f" ({cells:.0f} configurations)"
        confirmed = f"top {study.confirm.top} x {len(study.confirm.seeds)} seeds"
        trials = f"{study.planned(name)} by {study.search.sampler}"
        first = str(len(study.start(name)) or "-")
        table.add_row(name, searched, trials, confirmed if study.confirm.seeds else "-", first)
    title = Text.assemble((study.name, "bold"), f"  model {study.model}, recipe {study.recipe}")
    _console().print(title)
    _console().print(table)
    if data:
        _console().print(_schedules(study, data))


def _schedules(study: Study, data: Path) -> Table:
    """Steps, warmup and evaluations of the configurations that are tried first."""
    from .plan import plan as schedule

    table = _table("task", "configuration", "examples", "steps", "warmup", "evaluations")
    for name in study.tasks:
        task = tasks.get(name)
        spare = study.leave_out
        train = (readers.read(task, s, data, spare=spare) for s in study.trainings(name))
        examples = sum(1 for examples in train for _ in examples)
        cut = "at least " if task.head in _CUT else ""
        for point in study.start(name) or [{}]:
            made = schedule(study.hyper(name, point), examples)
            values = " ".join(f"{key}={value}" for key, value in point.items()) or "the defaults"
            counts = [f"{cut}{n:,}" for n in (examples, made.steps, made.warmup)]
            table.add_row(name, values, *counts, str(len(made.evaluations)))
    return table


def _tasks() -> Table:
    table = _table("task", "head", "inputs", "labels", "metrics, the first selects", "folder")
    for name, task in tasks.TASKS.items():
        labels = ", ".join(task.labels) or _GOLD[task.head]
        inputs = ", ".join(task.inputs)
        table.add_row(name, task.head, inputs, labels, ", ".join(task.metrics), task.folder)
    return table


def _hyperparameters() -> Table:
    table = _table("recipe", "hyperparameter", "default", "what it is")
    for recipe in RECIPES.values():
        for name, field in recipe.hyper.model_fields.items():
            table.add_row(recipe.name, name, str(field.default), field.description or "")
    return table


def _studies() -> Table:
    table = _table("study", "tasks", "model", "published rows")
    for path in sorted(Path("search_spaces").glob("*.yaml")):
        study = load(path)
        rows = "; ".join(row.row for row in study.published) or "-"
        table.add_row(str(path), ", ".join(study.tasks), study.model, rows)
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _console() -> Console:
    console = Console(highlight=False, markup=False)  # names may hold brackets
    if not console.is_terminal:
        console.width = 160
    return console
