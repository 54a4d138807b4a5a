"""What can be wrong in a study: the schema's errors in our words, and what no field can tell."""

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from .. import space as spaces
from .. import tasks as task_table
from ..errors import Problem, unknown
from ..recipes import RECIPES, SHARED, Hyper
from ..space import Dimension
from .names import score_names, train_problems
from .schema import Study

CELLS = 100_000  # the most configurations of a grid

_WORDS = {
    "bool_parsing": "true or false is needed",
    "bool_type": "true or false is needed",
    "dict_type": "a mapping is needed",
    "int_from_float": "a whole number is needed",
    "int_parsing": "a whole number is needed",
    "int_type": "a whole number is needed",
    "model_type": "a mapping is needed",
    "string_pattern_mismatch": "a name without slashes, spaces or dots before it is needed",
    "string_type": "text is needed",
    "tuple_type": "a list is needed",
}


def schema_problem(error: Mapping[str, Any]) -> Problem:
    """One of pydantic's errors in our words."""
    place = ""
    for part in error["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    seen = error.get("input")
    if error["type"] == "extra_forbidden":
        owner: Any = Study
        for part in error["loc"][:-1]:
            owner = _field_type(owner, part)
        names = getattr(owner, "model_fields", {})
        return Problem(place=place, text=unknown("field", str(error["loc"][-1]), names))
    if error["type"] == "missing":
        text = "this field is required"
        if isinstance(error["loc"][-1], int):
            text = f"one value more is needed, got {reprlib.repr(seen)}"
        return Problem(place=place, text=text)
    text = error["msg"].removeprefix("Value error, ")
    text = _WORDS.get(error["type"], text[0].lower() + text[1:])
    if error["type"] != "value_error":
        text += f", got {reprlib.repr(seen)}"
    return Problem(place=place, text=text)


def _field_type(owner: Any, part: Any) -> Any:
    """The model behind a field, through optionals and containers; None where there is none."""
    field = getattr(owner, "model_fields", {}).get(part)
    stack = [field.annotation] if field else [owner]
    while stack:
        kind = stack.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        stack += [a for a in getattr(kind, "__args__", ()) if a is not type(None)]
    return None


def cross_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """What no single field can tell: hyperparameter names and values, and what fits together."""
    problems: list[Problem] = []
    recipe = RECIPES.get(str(raw.get("recipe", "finetune")))
    if recipe is None:
        text = unknown("recipe", str(raw["recipe"]), RECIPES)
        return [Problem(place="recipe", text=text)]
    scopes = [("", raw)]
    per_task = raw.get("per_task") or {}
    if isinstance(per_task, Mapping):
        for task, part in per_task.items():
            if task not in raw["tasks"] and task not in task_table.TASKS:
                text = unknown("task", str(task), task_table.TASKS)
                problems.append(Problem(place=f"per_task.{task}", text=text))
            scopes.append((f"per_task.{task}.", part if isinstance(part, Mapping) else {}))
    for prefix, part in scopes:
        problems += _values(recipe.hyper, f"{prefix}space", part.get("space"), searched=True)
        problems += _values(recipe.hyper, f"{prefix}fixed", part.get("fixed"), searched=False)
        for name in _mapping(part.get("space")):
            if name in _mapping(part.get("fixed")):
                text = f"searched under {prefix}space as well: keep one of the two"
                problems.append(Problem(place=f"{prefix}fixed.{name}", text=text))
    problems += _start_checks(recipe.hyper, raw)
    problems += _published_checks(recipe.hyper, raw)
    problems += train_problems(raw)
    return problems + _search_checks(raw)


def _values(hyper: type[Hyper], place: str, part: Any, *, searched: bool) -> list[Problem]:
    """Problems of a `space` or `fixed` mapping: unknown names and values out of bounds."""
    problems: list[Problem] = []
    for name, value in (part or {}).items() if isinstance(part, Mapping) else ():
        where = f"{place}.{name}"
        if name not in hyper.model_fields:
            hint = " (seeds are not searched: see search.seed and confirm.seeds)"
            text = unknown("hyperparameter", str(name), hyper.model_fields)
            problems.append(Problem(place=where, text=text + hint * ("seed" in str(name))))
            continue
        if searched and name in SHARED:
            text = "a task's trials share its prepared data and its head: put it under fixed"
            problems.append(Problem(place=where, text=text))
            continue
        values, inside = (value,), ()
        if searched:
            try:
                dimension = Dimension.model_validate(value)
            except ValidationError:
                continue  # the schema's own errors name it
            values, inside = dimension.ends, dimension.inside
        wrong = _wrong(hyper, name, values, inside)
        problems += [Problem(place=where, text=text) for text in wrong]
    return problems


def _wrong(
    hyper: type[Hyper], name: str, values: Sequence[Any], inside: Sequence[float]
) -> Iterator[str]:
    """What is wrong with a hyperparameter's values, and with those between them."""
    typed: list[Any] = []
    for value in values:
        try:
            typed.append(getattr(hyper.model_validate({name: value}), name))
        except ValidationError as error:
            text = schema_problem(error.errors()[0]).text
            meant = f"; it is: {hyper.model_fields[name].description}"
            yield text + meant * isinstance(value, Mapping)
            continue
        if isinstance(value, bool) and not isinstance(typed[-1], bool | None):
            yield f"a number is needed, got {value}"
    if len(typed) < len(values):
        return
    if any(typed.count(value) > 1 for value in typed):
        yield f"each choice stands once, got {list(values)}"
    for value in inside:
        try:
            hyper.model_validate({name: value})
        except ValidationError:
            yield "takes no fractions: write {int: [low, high]} or {choice: [...]}"


def _mapping(part: Any) -> Mapping[Any, Any]:
    return part if isinstance(part, Mapping) else {}


def _start_checks(hyper: type[Hyper], raw: Mapping[str, Any]) -> list[Problem]:
    search = raw.get("search")
    start = search.get("start_from") if isinstance(search, Mapping) else None
    problems: list[Problem] = []
    for at, point in enumerate(start if isinstance(start, list | tuple) else ()):
        problems += _values(hyper, f"search.start_from[{at}]", point, searched=False)
    if start == "published" and not raw.get("published"):
        text = "'published' needs a published section; write it, or a list of configurations"
        problems.append(Problem(place="search.start_from", text=text))
    return problems


def _published_checks(hyper: type[Hyper], raw: Mapping[str, Any]) -> list[Problem]:
    """Published rows name tasks, hyperparameters and metrics that there are."""
    problems: list[Problem] = []
    rows = raw.get("published")
    for at, row in enumerate(rows if isinstance(rows, list) else ()):
        results = row.get("results") if isinstance(row, Mapping) else None
        for name, result in results.items() if isinstance(results, Mapping) else ():
            place = f"published[{at}].results.{name}"
            if name not in task_table.TASKS:
                text = unknown("task", str(name), task_table.TASKS)
                problems.append(Problem(place=place, text=text))
            elif isinstance(result, Mapping):
                settings = result.get("settings")
                problems += _values(hyper, f"{place}.settings", settings, searched=False)
                known = score_names(task_table.TASKS[name])
                for score in _mapping(result.get("scores")):
                    if score not in known:
                        text = unknown("score", str(score), known)
                        problems.append(Problem(place=f"{place}.scores", text=text))
    return problems


def _search_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """What a sampler asks of the space, and seeds that make sense."""
    search, problems = _mapping(raw.get("search")), []
    searched = {task: _searched(raw, task) for task in raw["tasks"]}
    for task, dimensions in searched.items():
        if search.get("sampler") == "grid":
            text = "a grid needs {choice: [...]} or {int: [...]} here, or another sampler"
            continuous = [p for p, kind in dimensions.values() if kind in ("uniform", "log")]
            problems += [Problem(place=place, text=text) for place in continuous]
        numeric = [kind for _, kind in dimensions.values() if kind in ("uniform", "log", "int")]
        if search.get("sampler") == "cmaes" and dimensions and len(numeric) < 2:
            text = f"cmaes needs two numeric ranges, {task} has {len(numeric)}; use tpe"
            problems.append(Problem(place="search.sampler", text=text))
    seeds = _mapping(raw.get("confirm")).get("seeds")
    if isinstance(seeds, list | tuple):
        if len(set(map(str, seeds))) < len(seeds):
            text = f"each seed stands once, got {list(seeds)}"
            problems.append(Problem(place="confirm.seeds", text=text))
        seed = search.get("seed", 1)
        if seed in seeds and any(searched.values()):
            text = f"seed {seed} chose the configurations; confirm with fresh ones"
            problems.append(Problem(place="confirm.seeds", text=text))
    return problems


def _searched(raw: Mapping[str, Any], task: str) -> dict[str, tuple[str, Any]]:
    """Hyperparameter -> where a task's dimension stands in the file, and its form."""
    own = _mapping(_mapping(raw.get("per_task")).get(task))
    found = {}
    for place, part in (("space", raw.get("space")), (f"per_task.{task}.space", own.get("space"))):
        for name, form in _mapping(part).items():
            found[name] = (f"{place}.{name}", next(iter(_mapping(form)), None))
    fixed = _mapping(own.get("fixed"))
    return {name: dimension for name, dimension in found.items() if name not in fixed}


def space_checks(study: Study) -> list[Problem]:
    """What can be told once every value has its type: starts outside the space, huge grids."""
    problems = []
    places = {task: study.space_of(task) for task in (*study.tasks, *study.per_task, "")}
    points = study.search.start_from
    for at, point in enumerate(points if points != "published" else ()):
        gaps = [gap for space in places.values() if space and (gap := _gap(point, space))]
        if len(gaps) == sum(map(bool, places.values())) > 0:
            problems.append(Problem(place=f"search.start_from[{at}]", text=gaps[0]))
    for task in study.tasks if study.search.sampler == "grid" else ():
        if (cells := spaces.size(places[task])) > CELLS:
            text = f"a grid of {cells:,} configurations for {task}, at most {CELLS:,}; use tpe"
            problems.append(Problem(place="search.sampler", text=text))
    return problems


def _gap(point: Mapping[str, Any], space: spaces.Space) -> str:
    """Why a configuration is not one of the space; empty where it is."""
    lacking = [name for name in space if name not in point]
    if lacking:
        return f"every searched name is needed, it lacks {', '.join(lacking)}"
    outside = [f"{n}: {point[n]}" for n, dimension in space.items() if point[n] not in dimension]
    return f"not in the space: {', '.join(outside)}" if outside else ""
