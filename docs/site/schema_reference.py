"""Reference pages of tasks, hyperparameters, the fields of a study, and the studies that ship.

All of it is read from the tables and schemas that the program uses.
"""

import typing
from collections import defaultdict
from collections.abc import Iterator

from pydantic import BaseModel
from schema_text import field_values, yaml_text
from table_text import code, table

from raysearch import search_space, tasks
from raysearch.cli.lists import task_summary
from raysearch.recipes import RECIPES
from raysearch.recipes.field_metadata import SHARED, Condition, ReadBy
from raysearch.shipped_studies import shipped_studies
from raysearch.study import load, schema

# Fields that the program itself fills in where a file lacks them -> what with.
_FILLED_IN = {"Study.name": "the file's name"}
# Fields that hold a section or a mapping, which their own pages and sections describe.
_SECTION_FIELDS = {
    "Study.recipe": "how a trial trains: " + ", ".join(RECIPES),
    "Study.space": "hyperparameter: dimension, what is searched",
    "Study.fixed": "hyperparameter: value, what is not searched",
    "Study.per_task": "task: the settings that differ for it",
    "Study.search": "how configurations are chosen",
    "Study.confirm": "how the best ones are repeated",
    "Study.published": "rows of published tables",
    "PerTask.space": "hyperparameter: dimension, for this task",
    "PerTask.fixed": "hyperparameter: value, for this task",
    "Halving.rule": "successive halving; the default",
    "Median.rule": "median stopping",
    "Hyperband.rule": "Hyperband",
}


def tasks_page() -> str:
    """Return the page of all tasks, a table for each benchmark."""
    benchmarks: dict[str, list[tasks.Task]] = defaultdict(list)
    for task in tasks.TASKS.values():
        benchmarks[task.name.partition("/")[0]].append(task)
    lines = [
        "# Tasks",
        "What `raysearch list tasks` shows, with the splits and languages. The first metric"
        " selects. Files are described under [Files and formats](../formats.md#data).",
    ]
    header = ("task", "head", "inputs", "labels", "metrics", "dev splits", "folder")
    for benchmark, rows in benchmarks.items():
        lines += [f"## {benchmark}", table(header, map(_task_cells, rows))]
    return "\n\n".join(lines)


def hyperparameters_page() -> str:
    """Return the page of all hyperparameters: those of all recipes, then each recipe's own."""
    common = {
        name: row
        for name, row in _hyperparameter_rows("finetune").items()
        if all(_hyperparameter_rows(recipe).get(name) == row for recipe in RECIPES)
    }
    header = ("name", "default", "values", "what it is")
    lines = [
        "# Hyperparameters",
        "What `space` and `fixed` of a study may name. `raysearch list hyperparameters` shows them"
        " in the terminal. *Fixed only* means that all trials of a task share the value, so that it"
        " cannot be searched.",
        "## Of all recipes",
        table(header, common.values()),
    ]
    for recipe in RECIPES:
        own = [row for name, row in _hyperparameter_rows(recipe).items() if name not in common]
        heads = ", ".join(f"`{head}`" for head in RECIPES[recipe].heads or ())
        lines.append(f"## {recipe}")
        if heads:
            lines.append(f"Trains the heads {heads}.")
        lines.append(table(header, own) if own else "It has no others.")
    return "\n\n".join(lines)


def studies_page() -> str:
    """Return the page of the studies that ship."""
    rows, sections = [], []
    for name, path in shipped_studies().items():
        study = load(path)
        names = ", ".join(study.tasks) if len(study.tasks) < 3 else task_summary(study.tasks)
        searched = ", ".join(f"`{dimension}`" for dimension in study.space) or "-"
        count = str(len(study.published) or "-")
        rows.append(
            (f"[{name}](#{name})", names, f"`{study.model}`", study.recipe, searched, count)
        )
        file = path.read_text(encoding="utf-8")
        sections.append(
            f"## {name}\n\n```yaml\n{file.partition(chr(10) + 'published:')[0].strip()}\n```"
        )
        if published := [f"- {row.row}: {row.source}" for row in study.published]:
            sections.append("Published rows and where they are printed:\n\n" + "\n".join(published))
    header = ("study", "tasks", "model", "recipe", "searched", "published rows")
    intro = (
        "`raysearch run STUDY` runs one, `raysearch table STUDY --published` prints its published"
        " rows. Below the table stands each file, without the published numbers, with its sources"
        " and what it does otherwise."
    )
    return "\n\n".join(["# Studies that ship", intro, table(header, rows), *sections])


def fields_page() -> str:
    """Return the page of all fields of a study's file."""
    lines = [
        "# Fields of a study's file",
        "Types, bounds and defaults as the program checks them."
        " [A study's file](../studies.md) explains how they work together.",
    ]
    sections: dict[str, type[BaseModel]] = {
        "The file": schema.Study,
        "search": schema.Search,
        "search.stop_early, halving": schema.Halving,
        "search.stop_early, median": schema.Median,
        "search.stop_early, hyperband": schema.Hyperband,
        "confirm": schema.Confirm,
        "published": schema.Published,
        "published.results": schema.Result,
        "per_task": schema.PerTask,
    }
    for title, model in sections.items():
        lines += [f"## {title}", table(("field", "default", "values", "what it is"), _rows(model))]
    forms = [(f"`{name}`", text) for name, text in _dimension_forms()]
    lines += ["## A dimension of space", table(("form", "what it is"), forms)]
    return "\n\n".join(lines)


def _task_cells(task: tasks.Task) -> tuple[str, ...]:
    labels = ", ".join(task.labels) or task.facts.output
    if task.languages:
        splits = f"one for each language: {', '.join(task.languages)}"
    else:
        splits = ", ".join(split.name for split in task.dev) or "-"
    metrics = ", ".join(task.metrics)
    return (
        f"`{task.name}`", task.head, ", ".join(task.inputs), labels, metrics, splits,
        code(task.folder),
    )  # fmt: skip


def _hyperparameter_rows(recipe: str) -> dict[str, tuple[str, str, str, str]]:
    """Return hyperparameter -> cells of its row."""
    hyper = RECIPES[recipe].hyper
    rows = {}
    for name, field in hyper.model_fields.items():
        notes = [field.description or ""]
        for item in field.metadata:
            if isinstance(item, ReadBy):
                notes.append(f"Read by {', '.join(item.heads)}.")
            elif isinstance(item, Condition):
                notes.append(f"Has an effect where `{item.name}` is {item.text}.")
        if SHARED in field.metadata:
            notes.append("*Fixed only.*")
        if not field.description:
            raise ValueError(f"hyperparameter {name} of {recipe} has no description")
        text = ". ".join(notes[:1]) + "".join(f". {note}".rstrip(".") for note in notes[1:])
        rows[name] = (f"`{name}`", f"`{yaml_text(field.default)}`", field_values(field), text)
    return rows


def _rows(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Yield the cells of each field of a section of the schema."""
    for name, field in model.model_fields.items():
        key = f"{model.__name__}.{name}"
        text = field.description or _SECTION_FIELDS.get(key)
        if not text:
            raise ValueError(f"field {key} has no description")
        default = field.get_default(call_default_factory=True)
        if key in _FILLED_IN:
            shown = _FILLED_IN[key]
        elif field.is_required():
            shown = "needed"
        elif isinstance(default, BaseModel):
            shown = "its defaults"
        elif default in ((), {}):
            shown = "empty"
        else:
            shown = f"`{yaml_text(default)}`"
        yield f"`{field.alias or name}`", shown, field_values(field), text


def _dimension_forms() -> Iterator[tuple[str, str]]:
    """Yield each form of a dimension as a study's file writes it, and what it is."""
    union, *_ = typing.get_args(search_space.Dimension)
    for form in typing.get_args(union):
        name = next(name for name in form.model_fields if name != "when")
        values = "[a, b, ...]" if name == "choice" else "[low, high]"
        yield f"{{{name}: {values}}}", (form.__doc__ or "").split("\n")[0]
    yield "when: {NAME: VALUE}", "Beside a form: only trials with this value of NAME have one."
