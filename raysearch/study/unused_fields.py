"""Finds fields of a study that no task reads or that have no effect.

They are hyperparameters of other heads, settings of other tasks, and languages for tasks without
languages. In a file they are mistakes. A study that is reduced to fewer tasks loses them silently.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from ..errors import Problem, shorten
from ..recipes import RECIPES, Hyperparameters
from ..search_space import Space, active_space, format_condition
from ..tasks import TASKS, Head, Task
from .error_locations import mapping_or_empty
from .own_tasks import PREFIX, known_tasks, own_tasks
from .schema import Study
from .task_study import TaskStudy

ReadByHeads = Mapping[str, tuple[Head, ...]]


def unused_field_problems(raw: Mapping[str, Any], tasks: Iterable[str]) -> list[Problem]:
    """Return a problem for each field of a file that none of its tasks reads.

    Args:
        raw: the mapping of the file.
        tasks: the tasks that the file is written for, which may be more than those that run.
    """
    tasks = list(tasks)
    problems: list[Problem] = []
    known = known_tasks(raw)
    if not (rows := [known[task] for task in tasks if task in known]):
        return []  # its own tasks have problems of their own
    recipe = RECIPES.get(str(raw.get("recipe", "finetune")))
    read_by = (recipe.hyper if recipe else Hyperparameters).read_by_heads()
    for location, part in _shared_hyperparameters(raw):
        problems += _unread_problems(location, part, rows, read_by)
    per_task = mapping_or_empty(raw.get("per_task"))
    for task, part in ((str(task), part) for task, part in per_task.items()):
        if task in tasks:
            for field in ("space", "fixed"):
                location, values = f"per_task.{task}.{field}", mapping_or_empty(part).get(field)
                problems += _unread_problems(location, values, [known[task]], read_by)
        elif task in known:
            text = f"none of the study's tasks: {shorten(', '.join(tasks))}"
            problems.append(Problem(location=f"per_task.{task}", text=f"{text}; leave it out"))
    for name in (name for name in own_tasks(raw) if name not in tasks):
        text = f"none of the study's tasks: name {name} under tasks, or leave it out"
        problems.append(Problem(location=f"own.{name.removeprefix(PREFIX)}", text=text))
    if not any(row.languages for row in rows):
        problems += _language_problems(raw)
    return problems


def _language_problems(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of fields about languages in a file whose tasks have none."""
    if mapping_or_empty(raw.get("search")).get("select_on") == "mean":
        text = "no task of the study has languages to take the mean of: leave it out"
        yield Problem(location="search.select_on", text=text)
    if raw.get("train"):
        text = "no task of the study has languages to train in: leave it out"
        yield Problem(location="train", text=text)


def _shared_hyperparameters(raw: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the locations and values of hyperparameters of all tasks."""
    yield from ((field, raw.get(field)) for field in ("space", "fixed"))
    start = mapping_or_empty(raw.get("search")).get("start_from")
    for index, point in enumerate(start if isinstance(start, list | tuple) else ()):
        yield f"search.start_from[{index}]", point


def _unread_problems(
    location: str, part: Any, tasks: list[Task], read_by: ReadByHeads
) -> Iterator[Problem]:
    """Yield a problem for each hyperparameter of a part that none of the tasks reads."""
    heads = dict.fromkeys(task.head for task in tasks)
    for name in mapping_or_empty(part):
        if not _is_read(name, heads, read_by):
            readers, present = ", ".join(read_by[name]), ", ".join(heads)
            text = f"only {readers} tasks read it, these are {present} tasks: leave it out"
            yield Problem(location=f"{location}.{name}", text=text)


def _is_read(name: Any, heads: Iterable[Head], read_by: ReadByHeads) -> bool:
    return name not in read_by or any(head in read_by[name] for head in heads)


def unused_dimensions(study: Study) -> list[Problem]:
    """Return a problem for each searched hyperparameter without effect in any trial.

    A dimension of the whole study counts as used if one of its tasks reads it. Tasks that the file
    has settings for are included.
    """
    return [
        Problem(location=location, text=f"{reason}: searching it changes nothing, leave it out")
        for location, reason in _without_effect(study, "space")
    ]


def unused_field_notes(study: Study) -> list[str]:
    """Return a line for each fixed hyperparameter without effect, and for unmet conditions."""
    fields = _without_effect(study, "fixed")
    notes = [f"{location} changes nothing: {reason}" for location, reason in fields]
    notes += _top_notes(study)
    for task in map(study.resolve, study.tasks):
        for name, dimension in {**study.space, **task.per_task.space}.items():
            if dimension.when and name not in {**task.space, **task.fixed}:
                condition = format_condition(dimension.when)
                notes.append(f"{task.name} does not search {name}: that needs {condition}")
    return notes


def _top_notes(study: Study) -> Iterator[str]:
    """Yield a line for each task that searches fewer configurations than are to be confirmed."""
    top = study.confirm.top
    if not study.confirm.seeds or "top" not in study.confirm.model_fields_set:
        return
    for task in map(study.resolve, study.tasks):
        if 0 < task.planned_trials < top:
            trials = f"{task.planned_trials} trial{'s' * (task.planned_trials > 1)}"
            yield f"{task.name}: confirm.top is {top}, but its search has only {trials} to confirm"


def _without_effect(study: Study, field: Literal["space", "fixed"]) -> Iterator[tuple[str, str]]:
    """Yield the location and the reason of hyperparameters without effect in any trial."""
    names = tuple(dict.fromkeys((*study.tasks, *study.per_task)))
    scopes: list[tuple[str, Mapping[str, Any], tuple[str, ...]]]
    scopes = [(field, getattr(study, field), names)]
    for task, part in study.per_task.items():
        scopes.append((f"per_task.{task}.{field}", getattr(part, field), (task,)))
    for location, values, tasks in scopes:
        for name, value in values.items():
            if field == "space" and value.when:  # its condition may be decided by other fields
                continue
            reasons = [_no_effect_reason(study.resolve(task), name) for task in tasks]
            if reasons and all(reasons):
                yield f"{location}.{name}", reasons[0]


def _no_effect_reason(task: TaskStudy, name: str) -> str:
    """Return why a hyperparameter has no effect in any trial of a task; "" if it may have one."""
    hyper, known = task.shared, {*TASKS, *(f"{PREFIX}{key}" for key in task.study.own)}
    if name == "null_threshold" and task.name in known and not task.row.unanswerable:
        return "every question has an answer"
    if name in hyper.ineffective_fields():
        return "the other values do not use it"
    condition = hyper.conditions().get(name)
    if condition is None:
        return ""
    values = _possible_values(task, condition.name)
    if values is None or any(condition.holds(value) for value in values):
        return ""
    shown = ", ".join(str(value) for value in values)
    return f"it is read if {condition.name} is {condition.text}, and that is {shown}"


def _possible_values(task: TaskStudy, name: str) -> Iterable[Any] | None:
    """Return the values of a hyperparameter in trials of a task; None for a continuous range."""
    dimension = task.space.get(name)
    if dimension is None:
        return (getattr(task.shared, name),)
    return dimension.values


def nothing_to_choose(task: TaskStudy) -> str:
    """Return that choosing seeds have no effect on a task, as it has one configuration; else ""."""
    confirm = task.study.confirm
    if not confirm.choose or min(confirm.top, task.planned_trials) > 1:
        return ""
    settings = "confirm.choose and confirm.race have" if confirm.race else "confirm.choose has"
    return f"there is one configuration and nothing to choose: {settings} no effect"


def without_unused_dimensions(study: Study) -> Study:
    """Return the study without the fields that its tasks do not read.

    It may have been written for more tasks.
    """
    tasks = [study.task(name) for name in study.tasks]
    heads, has_languages = {task.head for task in tasks}, any(task.languages for task in tasks)
    read_by = RECIPES[study.recipe].hyper.read_by_heads()

    def read(part: Mapping[str, Any], heads: Iterable[Head] = heads) -> dict[str, Any]:
        return {name: value for name, value in part.items() if _is_read(name, heads, read_by)}

    per_task = {}
    for task in tasks:
        if section := study.per_task.get(task.name):
            own = {name: read(getattr(section, name), {task.head}) for name in ("space", "fixed")}
            per_task[task.name] = section.model_copy(update=own)
    fields = {
        "train": study.train if has_languages else (),
        "space": read(study.space),
        "fixed": read(study.fixed),
        "per_task": {name: per_task[name] for name in study.per_task if name in per_task},
        "own": {key: x for key, x in study.own.items() if f"{PREFIX}{key}" in study.tasks},
    }
    study = study.model_copy(update=fields)
    search: dict[str, Any] = {} if has_languages else {"select_on": "first"}
    if study.search.start_from != "published":
        spaces = [space for name in (*study.tasks, "") if (space := study.resolve(name).space)]
        points = [read(point) for point in study.search.start_from]
        search["start_from"] = tuple(
            point
            for point in points
            if not spaces or any(_is_in_space(point, space) for space in spaces)
        )
    return study.model_copy(update={"search": study.search.model_copy(update=search)})


def _is_in_space(point: Mapping[str, Any], space: Space) -> bool:
    active = active_space(space, point)
    return all(name in point and point[name] in dimension for name, dimension in active.items())
