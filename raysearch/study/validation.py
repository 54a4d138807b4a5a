"""What can be wrong in a study that no field can tell by itself."""

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from .. import search_space as spaces
from .. import tasks as task_table
from ..errors import Problem, nearest_name, unknown_name
from ..recipes import DATA_HYPERPARAMETERS, RECIPES, Hyperparameters
from ..search_space import Dimension
from .error_locations import mapping_or_empty
from .error_messages import value_problem
from .model_names import model_problems, score_names, training_language_problems
from .problem_lists import MOST, limit_names
from .schema import Search, Study
from .unused_fields import unused_dimensions, unused_field_problems

CELLS = 100_000  # the most configurations of a grid
_NOT_LOOKED_AT = "what follows [{}] was not looked at: mend these first"


def cross_checks(raw: Mapping[str, Any], tasks: Iterable[str] = ()) -> list[Problem]:
    """What no single field can tell: hyperparameter names and values, and what fits together.

    Args:
        tasks: those that the file is written for; none where that cannot be told.
    """
    tasks = list(tasks)
    hyper, problems = _recipe(raw)
    scopes: list[tuple[str, Mapping[Any, Any]]] = [("", raw)]
    per_task = mapping_or_empty(raw.get("per_task"))
    strange = [task for task in per_task if str(task) not in task_table.TASKS]
    shown, rest = limit_names(strange, "names of no task", "per_task")
    for task in shown:
        text = unknown_name("task", str(task), task_table.TASKS)
        problems.append(Problem(location=f"per_task.{task}", text=text))
    problems += rest
    scopes += [(f"per_task.{task}.", mapping_or_empty(part)) for task, part in per_task.items()]
    for prefix, part in scopes:
        for name in ("space", "fixed"):
            place = f"{prefix}{name}"
            problems += _values(hyper, place, part.get(name), searched=name == "space")
        for name in mapping_or_empty(part.get("space")):
            if name in mapping_or_empty(part.get("fixed")):
                text = f"searched under {prefix}space as well: keep one of the two"
                problems.append(Problem(location=f"{prefix}fixed.{name}", text=text))
        if isinstance(model := part.get("model"), str) and not model.strip():
            problems += [replace(p, location=f"{prefix}model") for p in model_problems(model)]
    problems += _start_checks(hyper, raw)
    problems += _published_checks(hyper, raw)
    problems += training_language_problems(raw)
    problems += unused_field_problems(raw, tasks) if tasks else []
    return problems + _search_checks(raw)


def _recipe(raw: Mapping[str, Any]) -> tuple[type[Hyperparameters] | None, list[Problem]]:
    """The hyperparameters of a study's recipe, where that is known, and what is wrong with it."""
    name = raw.get("recipe", "finetune")
    if not isinstance(name, str):
        return None, []  # the schema says it
    if name not in RECIPES:
        meant = next((RECIPES[near].hyper for near in nearest_name(name, RECIPES)), None)
        return meant, [Problem(location="recipe", text=unknown_name("recipe", name, RECIPES))]
    problems = []
    for task in raw["tasks"]:
        row = task_table.TASKS.get(task)
        if row and row.head not in RECIPES[name].heads:
            able = [recipe.name for recipe in RECIPES.values() if row.head in recipe.heads]
            text = f"'{name}' does not train {task}: {' or '.join(able)} would do"
            problems.append(Problem(location="recipe", text=text))
    return RECIPES[name].hyper, problems


def _values(
    hyper: type[Hyperparameters] | None, place: str, part: Any, *, searched: bool
) -> list[Problem]:
    """Problems of a `space` or `fixed` mapping: unknown names and values out of bounds."""
    if hyper is None:
        return []
    strange = [name for name in mapping_or_empty(part) if name not in hyper.model_fields]
    shown, problems = limit_names(strange, "names of no hyperparameter", place)
    for name in shown:
        hint = " (seeds are not searched: see search.seed and confirm.seeds)"
        text = unknown_name("hyperparameter", str(name), hyper.model_fields)
        text += hint * ("seed" in str(name))
        problems.append(Problem(location=f"{place}.{name}", text=text))
    for name, value in mapping_or_empty(part).items():
        where = f"{place}.{name}"
        if name not in hyper.model_fields:
            continue
        if searched and name in DATA_HYPERPARAMETERS:
            text = "a task's trials share its prepared data and its head: put it under fixed"
            problems.append(Problem(location=where, text=text))
            continue
        values, inside = (value,), ()
        if searched:
            try:
                dimension = Dimension.model_validate(value)
            except ValidationError:
                continue  # the schema's own errors name it
            values, inside = dimension.ends, dimension.inside
        wrong = _wrong(hyper, name, values, inside)
        problems += [Problem(location=where, text=text) for text in wrong]
    return problems


def _wrong(
    hyper: type[Hyperparameters], name: str, values: Sequence[Any], inside: Sequence[float]
) -> Iterator[str]:
    """What is wrong with a hyperparameter's values, and with those between them."""
    typed: list[Any] = []
    for value in values:
        try:
            typed.append(getattr(hyper.model_validate({name: value}), name))
        except ValidationError as error:
            yield value_problem(hyper, name, value, error)
            continue
        if isinstance(value, bool) and not isinstance(typed[-1], bool | None):
            yield f"a number is needed, got {value}"
    if len(typed) < len(values):
        return
    if len(set(typed)) < len(typed):
        yield f"each choice stands once, got {reprlib.repr(list(values))}"
    for value in inside:
        try:
            hyper.model_validate({name: value})
        except ValidationError:
            yield "takes no fractions: write {int: [low, high]} or {choice: [...]}"


def _start_checks(hyper: type[Hyperparameters] | None, raw: Mapping[str, Any]) -> list[Problem]:
    search = raw.get("search")
    start = search.get("start_from") if isinstance(search, Mapping) else None
    problems: list[Problem] = []
    for at, point in enumerate(start if isinstance(start, list | tuple) else ()):
        problems += _values(hyper, f"search.start_from[{at}]", point, searched=False)
        if len(problems) > MOST:
            problems.append(Problem(location="search.start_from", text=_NOT_LOOKED_AT.format(at)))
            break
    if start == "published" and not raw.get("published"):
        text = "'published' needs a published section; write it, or a list of configurations"
        problems.append(Problem(location="search.start_from", text=text))
    return problems


def _published_checks(hyper: type[Hyperparameters] | None, raw: Mapping[str, Any]) -> list[Problem]:
    """Published rows name tasks, hyperparameters and metrics that there are."""
    problems: list[Problem] = []
    rows = raw.get("published")
    for at, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
        results = row.get("results") if isinstance(row, Mapping) else None
        strange = [name for name in mapping_or_empty(results) if name not in task_table.TASKS]
        shown, rest = limit_names(strange, "names of no task", f"published[{at}].results")
        for name in shown:
            text = unknown_name("task", name, task_table.TASKS)
            problems.append(Problem(location=f"published[{at}].results.{name}", text=text))
        problems += rest
        for name, result in mapping_or_empty(results).items():
            place = f"published[{at}].results.{name}"
            if name in task_table.TASKS and isinstance(result, Mapping):
                settings = result.get("settings")
                problems += _values(hyper, f"{place}.settings", settings, searched=False)
                known = score_names(task_table.TASKS[name])
                strange = [
                    name for name in mapping_or_empty(result.get("scores")) if name not in known
                ]
                shown, rest = limit_names(strange, "names of no score", f"{place}.scores")
                for score in shown:
                    text = unknown_name("score", str(score), known)
                    problems.append(Problem(location=f"{place}.scores", text=text))
                problems += rest
        if len(problems) > MOST:
            problems.append(Problem(location="published", text=_NOT_LOOKED_AT.format(at)))
            break
    return problems


def _search_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """What a sampler asks of the space, and seeds that make sense."""
    search, problems = mapping_or_empty(raw.get("search")), []
    searched = {task: _searched(raw, task) for task in raw["tasks"]}
    for task, dimensions in searched.items():
        if search.get("sampler") == "grid":
            text = "a grid needs {choice: [...]} or {int: [...]} here, or another sampler"
            continuous = [p for p, kind in dimensions.values() if kind in ("uniform", "log")]
            problems += [Problem(location=place, text=text) for place in continuous]
        numeric = [kind for _, kind in dimensions.values() if kind in ("uniform", "log", "int")]
        if search.get("sampler") == "cmaes" and dimensions and len(numeric) < 2:
            text = f"cmaes needs two numeric ranges, {task} has {len(numeric)}; use tpe"
            problems.append(Problem(location="search.sampler", text=text))
    seeds = mapping_or_empty(raw.get("confirm")).get("seeds")
    if isinstance(seeds, list | tuple):
        typed = _seeds(seeds)
        if len(set(typed)) < len(typed):
            text = f"each seed stands once, got {list(seeds)}"
            problems.append(Problem(location="confirm.seeds", text=text))
        chose = _seeds([search.get("seed", Search().seed)])
        if set(chose) & set(typed) and any(searched.values()):
            text = f"seed {chose[0]} chose the configurations; confirm with fresh ones"
            problems.append(Problem(location="confirm.seeds", text=text))
    return problems


def _seeds(raw: Iterable[Any]) -> list[int]:
    """Return seeds as they are typed: 11, 11.0 and "11" are one. What is none the schema tells."""
    typed = []
    for value in raw:
        with suppress(ValidationError):
            typed.append(Search.model_validate({"seed": value}).seed)
    return typed


def _searched(raw: Mapping[str, Any], task: str) -> dict[str, tuple[str, Any]]:
    """Hyperparameter -> where a task's dimension stands in the file, and its form."""
    own = mapping_or_empty(mapping_or_empty(raw.get("per_task")).get(task))
    found = {}
    for place, part in (("space", raw.get("space")), (f"per_task.{task}.space", own.get("space"))):
        for name, form in mapping_or_empty(part).items():
            found[name] = (f"{place}.{name}", next(iter(mapping_or_empty(form)), None))
    fixed = mapping_or_empty(own.get("fixed"))
    return {name: dimension for name, dimension in found.items() if name not in fixed}


def space_checks(study: Study) -> list[Problem]:
    """What can be told once every value has its type: starts outside the space, huge grids, values
    that a task's head has no use for."""
    problems = []
    places = {task: study.space_of(task) for task in (*study.tasks, *study.per_task, "")}
    points = study.search.start_from
    for at, point in enumerate(points if points != "published" else ()):
        gaps = [gap for space in places.values() if space and (gap := _gap(point, space))]
        if len(gaps) == sum(map(bool, places.values())) > 0:
            problems.append(Problem(location=f"search.start_from[{at}]", text=gaps[0]))
    for task in study.tasks:
        head = task_table.get(task).head
        if found := RECIPES[study.recipe].incompatibility(head, study.hyperparameters(task, {})):
            own = study.per_task.get(task)
            place = f"per_task.{task}." if own and found[0] in own.fixed else ""
            problems.append(Problem(location=f"{place}fixed.{found[0]}", text=found[1]))
    problems += unused_dimensions(study)
    for task in study.tasks if study.search.sampler == "grid" else ():
        if (cells := spaces.count_points(places[task])) > CELLS:
            count = f"{cells:,}" if cells < math.inf else "countless"
            text = f"a grid of {count} configurations for {task}, at most {CELLS:,}; use tpe"
            problems.append(Problem(location="search.sampler", text=text))
    return problems


def _gap(point: Mapping[str, Any], space: spaces.Space) -> str:
    """Why a configuration is not one of the space; empty where it is."""
    lacking = [name for name in space if name not in point]
    if lacking:
        return f"every searched name is needed, it lacks {', '.join(lacking)}"
    outside = [f"{n}: {point[n]}" for n, dimension in space.items() if point[n] not in dimension]
    return f"not in the space: {', '.join(outside)}" if outside else ""
