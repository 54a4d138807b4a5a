"""What no task of a study reads: hyperparameters of other heads, parts on other tasks, languages
where there are none. In a file that is a mistake; a study cut to fewer tasks goes without it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from ..errors import Problem, shorten
from ..recipes import RECIPES, Hyperparameters
from ..search_space import Space
from ..tasks import TASKS, Head
from .error_locations import mapping_or_empty
from .schema import Study


def unused_field_problems(raw: Mapping[str, Any], tasks: Iterable[str]) -> list[Problem]:
    """Everything in a file that none of its tasks reads.

    Args:
        raw: the file's mapping.
        tasks: those that the file is written for, which may be more than those that run.
    """
    tasks = list(tasks)
    problems, recipe = [], RECIPES.get(str(raw.get("recipe", "finetune")))
    read_by = (recipe.hyper if recipe else Hyperparameters).READ_BY_HEADS
    for place, part in _parts(raw):
        problems += _unread(place, part, tasks, read_by)
    per_task = mapping_or_empty(raw.get("per_task"))
    for task, part in ((str(task), part) for task, part in per_task.items()):
        if task in tasks:
            for field in ("space", "fixed"):
                place = f"per_task.{task}.{field}"
                problems += _unread(place, mapping_or_empty(part).get(field), [task], read_by)
        elif task in TASKS:
            text = f"none of the study's tasks: {shorten(', '.join(tasks))}"
            problems.append(Problem(location=f"per_task.{task}", text=f"{text}; leave it out"))
    if not any(TASKS[task].languages for task in tasks):
        if mapping_or_empty(raw.get("search")).get("select_on") == "mean":
            text = "no task here has languages to take the mean of: leave it out"
            problems.append(Problem(location="search.select_on", text=text))
        if raw.get("train"):
            text = "no task here has languages to train in: leave it out"
            problems.append(Problem(location="train", text=text))
    return problems


def _parts(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Where hyperparameters of all tasks stand."""
    yield from ((field, raw.get(field)) for field in ("space", "fixed"))
    start = mapping_or_empty(raw.get("search")).get("start_from")
    for at, point in enumerate(start if isinstance(start, list | tuple) else ()):
        yield f"search.start_from[{at}]", point


def _unread(
    place: str, part: Any, tasks: list[str], read_by: Mapping[str, tuple[Head, ...]]
) -> Iterator[Problem]:
    heads = dict.fromkeys(TASKS[task].head for task in tasks)
    for name in mapping_or_empty(part):
        if not _read(name, heads, read_by):
            wanted, there = ", ".join(read_by[name]), ", ".join(heads)
            text = f"only {wanted} tasks read it, here are {there} ones: leave it out"
            yield Problem(location=f"{place}.{name}", text=text)


def _read(name: Any, heads: Iterable[Head], read_by: Mapping[str, tuple[Head, ...]]) -> bool:
    return name not in read_by or any(head in read_by[name] for head in heads)


def unused_dimensions(study: Study) -> list[Problem]:
    """Return every searched hyperparameter that changes nothing, whatever else is searched.

    A dimension of the whole study that some of its tasks read is none of them; tasks that the file
    has settings for count as well.
    """
    return [
        Problem(location=place, text=f"{reason}: searching it changes nothing, leave it out")
        for place, reason in _idle(study, "space")
    ]


def unused_field_notes(study: Study) -> list[str]:
    """Return what is fixed and changes nothing, each with the reason."""
    return [f"{place} changes nothing: {reason}" for place, reason in _idle(study, "fixed")]


def _idle(study: Study, part: Literal["space", "fixed"]) -> Iterator[tuple[str, str]]:
    """Yield the hyperparameters of a part that no task reads in any trial: place, reason."""
    names = tuple(dict.fromkeys((*study.tasks, *study.per_task)))
    scopes = [(part, getattr(study, part), names)]
    for task, own in study.per_task.items():
        scopes.append((f"per_task.{task}.{part}", getattr(own, part), (task,)))
    for place, values, tasks in scopes:
        for name in values:
            reasons = [_idle_reason(study, task, name) for task in tasks]
            if all(reasons):
                yield f"{place}.{name}", reasons[0]


def _idle_reason(study: Study, task: str, name: str) -> str:
    """Return why a hyperparameter changes nothing in any trial of a task; "" where it may."""
    hyper = study.hyperparameters(task, {})
    row = TASKS.get(task)
    if name == "null_threshold" and row is not None and not row.unanswerable:
        return "every question has an answer"
    if name in hyper.ineffective_fields():
        return "nothing beside it reads it"
    condition = hyper.EFFECTIVE_WHEN.get(name)
    if condition is None:
        return ""
    values = _values_of(study, task, condition.name)
    if values is None or any(condition.holds(value) for value in values):
        return ""
    shown = ", ".join(str(value) for value in values)
    return f"it is read where {condition.name} is {condition.text}, and that is {shown}"


def _values_of(study: Study, task: str, name: str) -> tuple[Any, ...] | None:
    """Return the values that a hyperparameter has in trials of a task; None for a range of them."""
    dimension = study.space_of(task).get(name)
    if dimension is None:
        return (getattr(study.hyperparameters(task, {}), name),)
    return dimension.values


def without_unused_dimensions(study: Study) -> Study:
    """The study without what its tasks do not read: it may have been written for more of them."""
    rows = [TASKS[name] for name in study.tasks]
    heads, languages = {row.head for row in rows}, any(row.languages for row in rows)
    read_by = RECIPES[study.recipe].hyper.READ_BY_HEADS

    def read(part: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if _read(name, heads, read_by)}

    parts = {
        "train": study.train if languages else (),
        "space": read(study.space),
        "fixed": read(study.fixed),
        "per_task": {name: own for name, own in study.per_task.items() if name in study.tasks},
    }
    study = study.model_copy(update=parts)
    search = {} if languages else {"select_on": "first"}
    if study.search.start_from != "published":
        spaces = [space for name in (*study.tasks, "") if (space := study.space_of(name))]
        points = [read(point) for point in study.search.start_from]
        fit = [p for p in points if not spaces or any(_fits(p, space) for space in spaces)]
        search["start_from"] = tuple(fit)
    return study.model_copy(update={"search": study.search.model_copy(update=search)})


def _fits(point: Mapping[str, Any], space: Space) -> bool:
    return all(name in point and point[name] in dimension for name, dimension in space.items())
