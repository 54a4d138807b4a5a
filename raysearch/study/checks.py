"""What can be wrong in a study: the schema's errors in our words, and what no field can tell."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from .. import tasks as task_table
from ..errors import Problem, unknown
from ..recipes import RECIPES, Hyper
from ..space import Dimension
from .schema import Study


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
        return Problem(place=place, text="this field is required")
    text = error["msg"].removeprefix("Value error, ")
    text = text[0].lower() + text[1:]
    if error["type"] != "value_error":
        text += f", got {seen!r}"
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
    problems += _start_checks(recipe.hyper, raw)
    problems += _published_checks(recipe.hyper, raw)
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
        if searched and name == "max_length":
            text = "examples are prepared once at one length: put it under fixed"
            problems.append(Problem(place=where, text=text))
            continue
        values = (value,)
        if searched:
            try:
                values = Dimension.model_validate(value).ends
            except ValidationError:
                continue  # the schema's own errors name it
        for one in values:
            try:
                hyper.model_validate({name: one})
            except ValidationError as error:
                problems.append(Problem(place=where, text=schema_problem(error.errors()[0]).text))
    return problems


def _start_checks(hyper: type[Hyper], raw: Mapping[str, Any]) -> list[Problem]:
    search = raw.get("search")
    start = search.get("start_from") if isinstance(search, Mapping) else None
    problems: list[Problem] = []
    for at, point in enumerate(start if isinstance(start, list) else ()):
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
                task, scores = task_table.TASKS[name], result.get("scores")
                for score in scores if isinstance(scores, Mapping) else ():
                    if str(score).rpartition(".")[2] not in task.metrics:
                        text = unknown("metric", str(score), task.metrics)
                        problems.append(Problem(place=f"{place}.scores", text=text))
    return problems


def _search_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """What a sampler asks of the space, and fractions that make sense."""
    search, problems = raw.get("search"), []
    if not isinstance(search, Mapping):
        return []
    space = raw.get("space") if isinstance(raw.get("space"), Mapping) else {}
    kinds = {
        name: next(iter(d), None) if isinstance(d, Mapping) else None for name, d in space.items()
    }
    if search.get("sampler") == "grid":
        for name, kind in kinds.items():
            if kind in ("uniform", "log"):
                text = "a grid needs {choice: [...]} or {int: [...]} here, or another sampler"
                problems.append(Problem(place=f"space.{name}", text=text))
    if search.get("sampler") == "cmaes":
        numeric = [name for name, kind in kinds.items() if kind in ("uniform", "log", "int")]
        if len(numeric) < 2:
            text = f"cmaes needs two numeric ranges in the space, got {len(numeric)}; use tpe"
            problems.append(Problem(place="search.sampler", text=text))
    early = search.get("stop_early")
    at = early.get("at") if isinstance(early, Mapping) else None
    for fraction in at if isinstance(at, list) else ():
        if not (isinstance(fraction, int | float) and 0 < fraction < 1):
            text = f"fractions lie between 0 and 1, got {fraction!r}"
            problems.append(Problem(place="search.stop_early.at", text=text))
    confirm = raw.get("confirm")
    seeds = confirm.get("seeds") if isinstance(confirm, Mapping) else None
    if isinstance(seeds, list) and len(set(map(str, seeds))) < len(seeds):
        text = f"each seed stands once, got {seeds}"
        problems.append(Problem(place="confirm.seeds", text=text))
    if isinstance(seeds, list) and search.get("seed", 1) in seeds and space:
        text = f"seed {search.get('seed', 1)} chose the configurations; confirm with fresh ones"
        problems.append(Problem(place="confirm.seeds", text=text))
    return problems
