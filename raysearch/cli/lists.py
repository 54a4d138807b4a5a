"""Print what a user can choose from: tasks, hyperparameters, studies.

It is apart from the plan of a study because a list needs few packages and is there at once.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from .. import tasks
from ..errors import InputError, Problem, unknown_name
from ..shipped_studies import shipped_studies
from .options import LISTS
from .tables import add_row, make_console, make_table, print_wrapped


def show_list(what: str) -> None:
    """Print a list.

    Args:
        what: tasks, hyperparameters or studies.

    Raises:
        InputError: there is no such list; with the nearest name.
    """
    lists = dict(zip(LISTS, (_tasks, _hyperparameters, _studies), strict=True))
    if what not in lists:
        raise InputError("list", [Problem(location=what, text=unknown_name("list", what, lists))])
    make_console().print(lists[what]())
    if what == "studies":
        print_wrapped("")
        print_wrapped("`raysearch table STUDY --published` prints the published rows of a study.")


def _tasks() -> Table:
    table = make_table("task", "head", "inputs", "labels", "metrics, the first selects", "folder")
    for name, task in tasks.TASKS.items():
        labels = ", ".join(task.labels) or task.facts.output
        inputs = ", ".join(task.inputs)
        add_row(table, name, task.head, inputs, labels, ", ".join(task.metrics), task.folder)
    return table


def _hyperparameters() -> Table:
    """Return a table of all hyperparameters, each once, with the recipes that have it."""
    from ..recipes import RECIPES  # imports pydantic's schemas

    table = make_table("hyperparameter", "default", "recipes", "what it is")
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
        add_row(table, name, default, recipes, description)
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
    table = make_table("study", "tasks", "model", "published rows")
    shipped = shipped_studies()
    for name, path in shipped.items():
        add_row(table, name, *(_quick_cells(path) or _cells(name, path)))
    shipped_files = {path.resolve() for path in shipped.values()}
    for path in sorted(Path("search_spaces").glob("*.yaml")):
        if path.resolve() not in shipped_files:
            add_row(table, str(path), *_cells(str(path), path))
    return table


def _cells(name: str, path: Path) -> tuple[str, str, str]:
    """Return what the list says of a study: its tasks, its model, its published rows."""
    from ..study import load

    try:
        study = load(path)
    except InputError:
        return f"cannot be read: `raysearch check {name}` says why", "-", "-"
    rows = [row.row for row in study.published]
    return task_summary(study.tasks), study.model, _published_summary(rows)


def _quick_cells(path: Path) -> tuple[str, str, str] | None:
    """Return what `_cells` does of a shipped study, without its checks, which the tests make.

    It takes a twentieth of the time. None if the file has another form; of one that was edited,
    `raysearch check` tells the rest.
    """
    try:
        content = path.read_bytes()
        # libyaml, where PyYAML was built with it, is ten times as fast.
        fast = yaml.__with_libyaml__
        raw = yaml.load(content, yaml.CSafeLoader) if fast else yaml.safe_load(content)
        names, model = raw["tasks"], raw["model"]
        rows = [row["row"] for row in raw.get("published", ())]
        if isinstance(model, str) and all(name in tasks.TASKS for name in names):
            return task_summary(names), model, _published_summary(rows)
    except (OSError, yaml.YAMLError, AttributeError, LookupError, TypeError):
        pass
    return None


def task_summary(names: Sequence[str]) -> str:
    """Return the task of a study, or how many tasks of each benchmark it has: "8 of glue"."""
    if len(names) == 1:
        return names[0]
    benchmarks = Counter(name.partition("/")[0] for name in names)
    return ", ".join(f"{count} of {benchmark}" for benchmark, count in benchmarks.items())


def _published_summary(rows: Sequence[str]) -> str:
    """Return how many published rows a study has, and the first one's system: "5: AMOS base++"."""
    if not rows:
        return "-"
    return f"{len(rows)}: {rows[0].partition(',')[0]}{'...' * (len(rows) > 1)}"
