"""Reading a study and writing it again. Every problem of a file is reported at once."""

import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .. import tasks as task_table
from ..errors import InputError, Problem, refuse_unreadable, unknown_name
from ..recipes import RECIPES
from ..search_space import Dimension
from .error_locations import mapping_or_empty, sort_problems
from .error_messages import schema_problems
from .length_checks import length_problems
from .overrides import apply_overrides
from .problem_lists import limit_names, limit_problems
from .schema import Configuration, PerTask, Published, Result, Study
from .shipped_studies import find_study
from .unused_fields import without_unused_dimensions
from .validation import cross_checks, space_checks
from .value_limits import check_values, without_followups
from .yaml_file import read_yaml

_OUR_MISTAKE = "the study that was checked is not the one that would run: please report this"

Further = Callable[[Study], list[Problem]]


def load(path: str | Path, *, further: Further | None = None, **overrides: Any) -> Study:
    """Read a study. Raises InputError with every problem in the file.

    Args:
        path: a YAML file, or the name of a study that ships with the package: "amos-glue".
        further: what else is wrong, such as with the data: told together with the file's problems.
            It is asked only where there are some, and may get no more than tasks and model.
        overrides: what replaces the file's: `tasks`, `model`, `trials`, and `set`, a mapping of
            hyperparameters that are fixed instead of searched, or a list of texts NAME=VALUE.
    """
    path = find_study(path)
    try:
        raw, twice = read_yaml(path)
    except InputError as error:
        raise InputError(str(path), [*error.problems, *_besides(further, overrides)]) from None
    options = {"source": str(path), "name": path.stem, "found": twice, "further": further}
    with refuse_unreadable(path):
        return parse(raw, **options, **overrides)


def parse(
    raw: Any,
    *,
    source: str = "study",
    name: str = "study",
    found: Collection[Problem] = (),
    further: Further | None = None,
    **overrides: Any,
) -> Study:
    """A Study from the mapping that its YAML holds. Raises InputError with every problem.

    Args:
        source, name: of the file.
        found: what is wrong with its text.
        further, overrides: see `load`.
    """
    if not isinstance(raw, Mapping):
        kind = "an empty file" if raw is None else f"a {type(raw).__name__}"
        problem = Problem(
            location="file", text=f"a study is a mapping of names to values, got {kind}"
        )
        raise InputError(source, [problem, *_besides(further, overrides)])
    if kind := _other_kind(raw):
        problem = Problem(location="file", text=kind)
        raise InputError(source, [problem, *_besides(further, overrides)])
    file, refused = check_values({"name": name, **raw})
    if not file:
        raise InputError(source, [*refused, *_besides(further, overrides)])
    raw, given, problems = apply_overrides(file, overrides)
    raw, refused_given = check_values(raw)
    refused = [*refused, *refused_given]
    raw, unknown_tasks = _expand_tasks(raw)
    own, unsure = _expand_tasks(file)
    problems += [*found, *unknown_tasks]
    try:
        study = Study.model_validate(raw)
    except ValidationError as error:
        problems += schema_problems(error, raw)
    written_for = dict.fromkeys((*own["tasks"], *raw["tasks"]))
    problems += cross_checks(raw, () if unsure or unknown_tasks else written_for)
    problems = [*without_followups(problems, refused), *refused]
    if not problems:
        study = _typed(study)
        problems = space_checks(study) + length_problems(study)
    if problems:
        problems += further(_sketch(raw, problems)) if further else []
        first = [*given, *(problem.location for problem in found)]
        raise InputError(
            source, sort_problems(limit_problems(dict.fromkeys(problems)), file, first)
        )
    return without_unused_dimensions(study)


def dump(study: Study) -> str:
    """The study as YAML that `load` reads back to an equal Study, without what its tasks do not
    read."""
    return yaml.safe_dump(as_mapping(study), sort_keys=False, allow_unicode=True)


def as_mapping(study: Study) -> dict[str, Any]:
    """Return the study as `dump` writes it, a mapping."""
    return without_unused_dimensions(study).model_dump(
        mode="json", exclude_defaults=True, exclude_none=True
    )


def checked_dump(study: Study) -> str:
    """Return the study as YAML that was read again and asks for the same trials.

    Raises:
        InputError: it does not: our own mistake, or a Study that `parse` never made.
    """
    text = dump(study)
    try:
        again = parse(yaml.safe_load(text), source=study.name, name=study.name)
    except InputError as error:
        problems = [replace(p, text=f"{p.text}; {_OUR_MISTAKE}") for p in error.problems]
        raise InputError(study.name, problems) from None
    if same(again, without_unused_dimensions(study)):
        return text
    one, other = as_mapping(study), as_mapping(again)
    places = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    lost = ", ".join(places) or "a default"
    problem = Problem(location=lost, text=f"is not read back as it was written; {_OUR_MISTAKE}")
    raise InputError(study.name, [problem])


def _other_kind(raw: Mapping[Any, Any]) -> str:
    """Return what a mapping is where it is no study but another file that runs know; or ""."""
    if "tasks" in raw or "model" in raw:
        return ""
    if "cluster_name" in raw or {"provider", "available_node_types"} <= set(raw):
        return "a cluster file of Ray: `ray up` takes it; a study names tasks and a model"
    if {"model_type", "architectures"} & set(raw):
        return "a model's config.json; a study names tasks and a model"
    return ""


def _expand_tasks(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    names, problems = raw.get("tasks"), []
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list | tuple) or not names:
        text = f"at least one task name, got {reprlib.repr(names)}"
        return {**raw, "tasks": ["?"]}, [Problem(location="tasks", text=text)]
    matches = {str(name): task_table.expand(str(name)) for name in names}
    strange = [at for at, name in enumerate(names) if not matches[str(name)]]
    known = {name for name, task in task_table.TASKS.items() if task.train}
    shown, rest = limit_names(strange, "names of no task", "tasks")
    for at in shown:
        name = str(names[at])
        text = unknown_name("task", name, known)
        if name in task_table.TASKS:
            text = f"'{name}' has no training data: it is predicted, not searched"
        problems.append(Problem(location=f"tasks[{at}]", text=text))
    found = dict.fromkeys(one for those in matches.values() for one in those)
    return {**raw, "tasks": list(found) or ["?"]}, [*problems, *rest]


def _besides(further: Further | None, overrides: Mapping[str, Any]) -> list[Problem]:
    """What is wrong besides a file that tells nothing."""
    given, *_ = apply_overrides({"tasks": []}, overrides)
    return further(_sketch(_expand_tasks(given)[0], [])) if further else []


def _sketch(raw: Mapping[str, Any], problems: list[Problem]) -> Study:
    """What can be told of a study with problems: what it trains on, and what it starts from."""
    wrong = {re.split(r"[.\[]", problem.location)[0] for problem in problems}
    told = {name: raw[name] for name in ("model", "train", "leave_out") if name in raw}
    told = {name: value for name, value in told.items() if name not in wrong}
    study = Study.model_validate({"model": "scratch", **told, "name": "sketch", "tasks": ["?"]})
    parts = mapping_or_empty(raw.get("per_task")).items()
    models = {name: mapping_or_empty(part).get("model") for name, part in parts}
    own = {n: PerTask(model=model) for n, model in models.items() if isinstance(model, str)}
    known = tuple(name for name in raw["tasks"] if name in task_table.TASKS)
    return study.model_copy(update={"tasks": known, "per_task": own})


def _typed(study: Study) -> Study:
    """The study with every number pushed through its hyperparameter's type, inside `choice` too."""
    hyper = RECIPES[study.recipe].hyper

    def one(name: str, value: Any) -> Any:
        return getattr(hyper.model_validate({name: value}), name)

    def plain(name: str, value: Any) -> Any:
        value = one(name, value)
        return value.model_dump() if isinstance(value, BaseModel) else value

    def point(values: Mapping[str, Any]) -> Configuration:
        return {n: plain(n, v) if n in hyper.model_fields else v for n, v in values.items()}

    def dims(space: Mapping[str, Dimension]) -> dict[str, Dimension]:
        return {
            name: Dimension(choice=tuple(plain(name, v) for v in d.choice)) if d.choice else d
            for name, d in space.items()
        }

    def part(own: PerTask) -> PerTask:
        return own.model_copy(update={"space": dims(own.space), "fixed": point(own.fixed)})

    def published(row: Published) -> Published:
        results = {
            task: Result(settings=point(r.settings), scores=r.scores)
            for task, r in row.results.items()
        }
        return row.model_copy(update={"results": results})

    start = study.search.start_from
    search = study.search.model_copy(
        update={} if start == "published" else {"start_from": tuple(point(p) for p in start)}
    )
    return study.model_copy(
        update={
            "space": dims(study.space),
            "fixed": point(study.fixed),
            "per_task": {task: part(own) for task, own in study.per_task.items()},
            "search": search,
            "published": tuple(published(row) for row in study.published),
        }
    )


def same(one: Study, other: Study) -> bool:
    """Whether two studies ask for the same trials."""
    return one.model_dump(mode="json") == other.model_dump(mode="json")
