"""Checks of a study that involve several fields.

They run on the mapping of a file, before it is a Study, so that all problems of a file are reported
together. Checks that need a Study are in `space_checks`.
"""

import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ..errors import Problem, nearest_names, unknown_name
from ..recipes import RECIPES, Hyperparameters
from ..search_space import parse_dimension
from ..statistics.racing import MIN_SCORES
from ..tasks import Task
from .chain_checks import chain_problems
from .error_locations import mapping_or_empty
from .error_messages import hyperparameter_message, unknown_hyperparameter
from .model_names import model_problems, score_names, training_language_problems
from .own_tasks import is_defined, known_tasks, own_problems
from .problem_limits import MAX_PROBLEMS, limit_names
from .samplers import facts
from .schema import Confirm, Search
from .unused_fields import unused_field_problems

_NOT_CHECKED = "entries after [{}] were not checked: correct these first"

# None: the recipe is unknown, so it may have any hyperparameter.
HyperparametersType = type[Hyperparameters] | None


def cross_checks(raw: Mapping[str, Any], tasks: Iterable[str] = ()) -> list[Problem]:
    """Return the problems of hyperparameters and of fields that do not fit together.

    Args:
        raw: the mapping of the file, with tasks that are expanded.
        tasks: the tasks that the file is written for; none if that is not known.
    """
    tasks = list(tasks)
    hyper, problems = _recipe_checks(raw)
    problems += own_problems(raw)
    per_task = mapping_or_empty(raw.get("per_task"))
    problems += _unknown_tasks(raw, per_task, "per_task")
    scopes: list[tuple[str, Mapping[Any, Any]]] = [("", raw)]
    scopes += [(f"per_task.{task}.", mapping_or_empty(part)) for task, part in per_task.items()]
    for prefix, part in scopes:
        for field in ("space", "fixed"):
            searched = field == "space"
            problems += _setting_checks(
                hyper, f"{prefix}{field}", part.get(field), searched=searched
            )
        for name in mapping_or_empty(part.get("space")):
            if name in mapping_or_empty(part.get("fixed")):
                text = f"searched under {prefix}space as well: keep one of the two"
                problems.append(Problem(location=f"{prefix}fixed.{name}", text=text))
        if isinstance(model := part.get("model"), str) and not model.strip():
            problems += [replace(p, location=f"{prefix}model") for p in model_problems(model)]
    problems += _start_checks(hyper, raw)
    problems += _published_checks(hyper, raw)
    problems += training_language_problems(raw)
    problems += chain_problems(raw, tasks)
    problems += unused_field_problems(raw, tasks) if tasks else []
    return [*problems, *_sampler_checks(raw), *_seed_checks(raw)]


def _unknown_tasks(
    raw: Mapping[str, Any], mapping: Mapping[Any, Any], location: str
) -> list[Problem]:
    """Return a problem for each name of a mapping in a file that is not a task."""
    known = known_tasks(raw)
    names = [x for x in mapping if str(x) not in known and not is_defined(raw, str(x))]
    shown, rest = limit_names(names, "names of no task", location)
    problems = []
    for name in shown:
        text = unknown_name("task", str(name), known)
        problems.append(Problem(location=f"{location}.{name}", text=text))
    return [*problems, *rest]


def _recipe_checks(raw: Mapping[str, Any]) -> tuple[HyperparametersType, list[Problem]]:
    """Return the hyperparameters of a study's recipe, and the problems of the recipe.

    For an unknown recipe the hyperparameters of a similar name are returned, if there is one.
    """
    name = raw.get("recipe", "finetune")
    if not isinstance(name, str):
        return None, []  # the schema reports it
    if name not in RECIPES:
        similar = next((RECIPES[near].hyper for near in nearest_names(name, RECIPES)), None)
        return similar, [Problem(location="recipe", text=unknown_name("recipe", name, RECIPES))]
    problems, known = [], known_tasks(raw)
    for task in raw["tasks"]:
        facts = known.get(task)
        if facts and not RECIPES[name].trains(facts.head):
            able = [recipe.name for recipe in RECIPES.values() if recipe.trains(facts.head)]
            text = f"'{name}' does not train {task}: {' or '.join(able)} would do"
            problems.append(Problem(location="recipe", text=text))
    return RECIPES[name].hyper, problems


def _setting_checks(
    hyper: HyperparametersType, location: str, part: Any, *, searched: bool
) -> list[Problem]:
    """Return the problems of a `space` or `fixed` mapping: unknown names and invalid values."""
    hypers = [hyper] if hyper else [recipe.hyper for recipe in RECIPES.values()]
    owners = {name: known for known in reversed(hypers) for name in known.model_fields}
    unknown = [name for name in mapping_or_empty(part) if hyper and name not in owners]
    shown, problems = limit_names(unknown, "names of no hyperparameter", location)
    for name in shown:
        hint = " (seeds are not searched: see search.seed and confirm.seeds)"
        text = unknown_hyperparameter(str(name), owners)
        text += hint * ("seed" in str(name))
        problems.append(Problem(location=f"{location}.{name}", text=text))
    for name, value in mapping_or_empty(part).items():
        if (hyper := owners.get(name)) is None:
            continue
        if searched and name in hyper.shared_fields():
            text = "a task's trials share its prepared data and its head: put it under fixed"
            problems.append(Problem(location=f"{location}.{name}", text=text))
            continue
        values: Sequence[Any] = (value,)
        fractions: Sequence[float] = ()
        if searched:
            try:
                dimension = parse_dimension(value)
            except ValidationError:
                continue  # the schema reports it
            values, fractions = dimension.ends, dimension.inside
            problems += _when_checks(hyper, f"{location}.{name}.when", dimension.when or {})
        messages = _value_messages(hyper, name, values, fractions)
        problems += [Problem(location=f"{location}.{name}", text=text) for text in messages]
    return problems


def _when_checks(
    hyper: type[Hyperparameters], location: str, when: Mapping[str, Sequence[Any]]
) -> Iterator[Problem]:
    """Yield the problems of a condition's names and values, each by itself."""
    for name, values in when.items():
        texts: Iterable[str] = (unknown_hyperparameter(name, hyper.model_fields),)
        if name in hyper.model_fields:
            texts = _value_messages(hyper, name, values, ())
        yield from (Problem(location=f"{location}.{name}", text=text) for text in texts)


def _value_messages(
    hyper: type[Hyperparameters], name: str, values: Sequence[Any], fractions: Sequence[float]
) -> Iterator[str]:
    """Yield what is wrong with the values of a hyperparameter.

    Args:
        hyper: the hyperparameters of a recipe.
        name: one of them.
        values: a fixed value, the values of a choice, or the ends of a range.
        fractions: values within a range of real numbers, which not every name takes.
    """
    typed: list[Any] = []
    for value in values:
        try:
            typed.append(getattr(hyper.model_validate({name: value}), name))
        except ValidationError as error:
            yield hyperparameter_message(hyper, name, value, error)
            continue
        if isinstance(value, bool) and not isinstance(typed[-1], bool | None):
            yield f"a number is needed, got {value}"
    if len(typed) < len(values):
        return
    if len(set(typed)) < len(typed):
        yield f"each choice may appear only once, got {reprlib.repr(list(values))}"
    for value in fractions:
        try:
            hyper.model_validate({name: value})
        except ValidationError:
            yield "takes no fractions: write {int: [low, high]} or {choice: [...]}"


def _start_checks(hyper: HyperparametersType, raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of search.start_from."""
    start = mapping_or_empty(raw.get("search")).get("start_from")
    problems: list[Problem] = []
    for index, point in enumerate(start if isinstance(start, list | tuple) else ()):
        problems += _setting_checks(hyper, f"search.start_from[{index}]", point, searched=False)
        if len(problems) > MAX_PROBLEMS:
            text = _NOT_CHECKED.format(index)
            problems.append(Problem(location="search.start_from", text=text))
            break
    if start == "published" and not raw.get("published"):
        text = "'published' needs a published section; write it, or a list of configurations"
        problems.append(Problem(location="search.start_from", text=text))
    return problems


def _published_checks(hyper: HyperparametersType, raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of published rows: unknown tasks, settings and scores."""
    problems: list[Problem] = []
    known = known_tasks(raw)
    rows = raw.get("published")
    for index, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
        results = mapping_or_empty(mapping_or_empty(row).get("results"))
        location = f"published[{index}].results"
        problems += _unknown_tasks(raw, results, location)
        for task, result in results.items():
            if task in known and isinstance(result, Mapping):
                problems += _setting_checks(
                    hyper, f"{location}.{task}.settings", result.get("settings"), searched=False
                )
                scores = result.get("scores")
                problems += _score_checks(known[task], scores, f"{location}.{task}.scores")
        if len(problems) > MAX_PROBLEMS:
            text = _NOT_CHECKED.format(index)
            problems.append(Problem(location="published", text=text))
            break
    return problems


def _score_checks(task: Task, scores: Any, location: str) -> list[Problem]:
    """Return a problem for each name that is not a score of a task."""
    known = score_names(task)
    unknown = [name for name in mapping_or_empty(scores) if name not in known]
    shown, rest = limit_names(unknown, "names of no score", location)
    texts = [unknown_name("score", str(name), known) for name in shown]
    return [*(Problem(location=location, text=text) for text in texts), *rest]


def _sampler_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of dimensions that the sampler cannot search."""
    search = mapping_or_empty(raw.get("search"))
    sampler, problems = search.get("sampler", Search().sampler), list(_objective_checks(search))
    for task in raw["tasks"]:
        dimensions = _searched(raw, task)
        if sampler == "grid":
            text = "a grid needs {choice: [...]} or {int: [...]} here, or another sampler"
            for location, form in dimensions.values():
                if form in ("uniform", "log"):
                    problems.append(Problem(location=location, text=text))
        ranges = [form for _, form in dimensions.values() if form in ("uniform", "log", "int")]
        if sampler == "cmaes" and dimensions and len(ranges) < 2:
            text = f"cmaes needs two numeric ranges, {task} has {len(ranges)}; use tpe"
            problems.append(Problem(location="search.sampler", text=text))
    return problems


def _objective_checks(search: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of a second objective."""
    if search.get("minimize") is None:
        return
    sampler = str(search.get("sampler", Search().sampler))
    if facts(sampler).objectives < 2:
        text = f"{sampler} takes one objective; nsga2, gp, tpe or random would do"
        yield Problem(location="search.minimize", text=text)
    if search.get("stop_early"):
        text = "a trial that is stopped early has neither its score nor its cost: leave one out"
        yield Problem(location="search.minimize", text=f"with search.stop_early {text}")


def _seed_checks(raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of the confirmation's seeds, and of the fields that need them."""
    confirm = mapping_or_empty(raw.get("confirm"))
    search_seed = mapping_or_empty(raw.get("search")).get("seed", Search().seed)
    used = _typed_seeds([search_seed]) if any(_searched(raw, task) for task in raw["tasks"]) else []
    seeds_by_field: list[list[int]] = []
    problems: list[Problem] = []
    for location in ("confirm.seeds", "confirm.choose"):
        values = confirm.get(location.removeprefix("confirm."), ())
        if not isinstance(values, list | tuple):
            return problems  # the schema reports it
        seeds = _typed_seeds(values)
        seeds_by_field.append(seeds)
        if len(set(seeds)) < len(seeds):
            text = f"each seed may appear only once, got {list(values)}"
            problems.append(Problem(location=location, text=text))
        if set(used) & set(seeds):
            text = f"seed {used[0]} is the search's (search.seed); confirm with fresh ones"
            problems.append(Problem(location=location, text=text))
    keep = mapping_or_empty(raw.get("search")).get("keep_weights")
    if keep == "confirmed" and len(seeds_by_field[0]) < 2:
        text = "'confirmed' keeps the weights of several seeds of the winner, for an ensemble:"
        text += f" confirm.seeds needs at least 2, got {len(seeds_by_field[0])}"
        problems.append(Problem(location="search.keep_weights", text=text))
    return [*problems, *_choice_checks(confirm, *seeds_by_field)]


def _choice_checks(
    confirm: Mapping[str, Any], seeds: list[int], choosing: list[int]
) -> Iterator[Problem]:
    """Yield the problems of fields of `confirm` that do not fit together.

    Args:
        confirm: the section as written.
        seeds: its seeds that are printed.
        choosing: its seeds that choose the winner.
    """
    texts = []
    if shared := sorted(set(seeds) & set(choosing)):
        names = ", ".join(map(str, shared))
        texts.append(f"{names} stand under confirm.seeds too, which is printed: choose with others")
    if choosing and not seeds:
        texts.append("the winner needs seeds to be printed on: write confirm.seeds too")
    if choosing and confirm.get("top", Confirm().top) in (1, "1"):
        texts.append("with top 1 there is nothing to choose: leave it out, or write top: 2 or more")
    yield from (Problem(location="confirm.choose", text=text) for text in texts)
    if confirm.get("race") is True and len(choosing) <= MIN_SCORES:
        text = f"needs {MIN_SCORES + 1} seeds or more under confirm.choose, got {len(choosing)}:"
        text += f" a race drops nothing before {MIN_SCORES} of them have ended"
        yield Problem(location="confirm.race", text=text)
    if confirm.get("published") is True and not seeds:
        text = "needs confirm.seeds, with which the published setting is trained"
        yield Problem(location="confirm.published", text=text)


def _typed_seeds(values: Iterable[Any]) -> list[int]:
    """Return seeds as numbers: 11, 11.0 and "11" are equal. The schema reports invalid ones."""
    seeds = []
    for value in values:
        with suppress(ValidationError):
            seeds.append(Search.model_validate({"seed": value}).seed)
    return seeds


def _searched(raw: Mapping[str, Any], task: str) -> dict[str, tuple[str, Any]]:
    """Return the searched hyperparameters of a task: name -> location in the file, and form."""
    per_task = mapping_or_empty(mapping_or_empty(raw.get("per_task")).get(task))
    sections = (("space", raw.get("space")), (f"per_task.{task}.space", per_task.get("space")))
    dimensions = {}
    for location, space in sections:
        for name, dimension in mapping_or_empty(space).items():
            forms = (form for form in mapping_or_empty(dimension) if form != "when")
            form = next(forms, None)
            dimensions[name] = (f"{location}.{name}", form)
    fixed = mapping_or_empty(per_task.get("fixed"))
    return {name: dimension for name, dimension in dimensions.items() if name not in fixed}
