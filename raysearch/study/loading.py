"""Reads, checks and writes studies. All problems of a file are reported together.

The checks themselves are in the other modules of the package.
"""

import reprlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from .. import tasks as task_table
from ..error_pages import STUDY_FILE as PAGE
from ..errors import InputError, Problem, note_source, unknown_name
from ..recipes import RECIPES
from ..search_space import Choice, Dimension
from ..shipped_studies import find_study
from .error_locations import mapping_or_empty, sort_problems
from .error_messages import schema_problems
from .length_checks import length_problems
from .overrides import apply_overrides
from .own_tasks import PREFIX, is_defined, known_tasks
from .problem_limits import limit_names, limit_problems
from .schema import Configuration, PerTask, Published, Result, Study
from .space_checks import space_checks
from .unused_fields import without_unused_dimensions
from .valid_part import valid_part
from .validation import cross_checks
from .value_limits import check_values, without_followups
from .yaml_file import read_yaml

_OUR_MISTAKE = "the study that was checked is not the one that would run: please report this"

FurtherChecks = Callable[[Study], list[Problem]]


def load(
    path: str | Path, *, further_checks: FurtherChecks | None = None, **overrides: Any
) -> Study:
    """Read a study from a file.

    Args:
        path: a YAML file, or the name of a study that ships with the package, such as "amos-glue".
        further_checks: returns further problems, such as those of the data, to report together with
            those of the file. It is called only if the file has problems, with the part of the
            study that has none.
        overrides: values that replace those of the file: `tasks`, `model`, `trials`, `sampler`,
            and `set`, a mapping of hyperparameters that are fixed instead of searched, or a list of
            texts NAME=VALUE.

    Raises:
        InputError: the file is not a valid study; it has every problem.
    """
    path = find_study(path)
    try:
        raw, repeated_keys = read_yaml(path)
    except InputError as error:
        further = _unread_file_problems(further_checks, overrides)
        raise InputError(str(path), [*error.problems, *further], page=PAGE) from None
    with note_source(path):
        return parse(
            raw,
            source=str(path),
            name=path.stem,
            file_problems=repeated_keys,
            further_checks=further_checks,
            **overrides,
        )


def parse(
    raw: Any,
    *,
    source: str = "study",
    name: str = "study",
    file_problems: Collection[Problem] = (),
    further_checks: FurtherChecks | None = None,
    **overrides: Any,
) -> Study:
    """Return the study of a mapping that has the fields of a study's YAML.

    Args:
        raw: the mapping.
        source: the name of the file in messages.
        name: the name of the study, unless the mapping has one.
        file_problems: problems of the text of the file.
        further_checks: see `load`.
        overrides: see `load`.

    Raises:
        InputError: it is not a valid study; it has every problem.
    """
    file, refused = _check_mapping(raw, name)
    if not file:
        further = _unread_file_problems(further_checks, overrides)
        raise InputError(source, [*refused, *further], page=PAGE)
    merged, override_locations, problems = apply_overrides(file, overrides)
    merged, refused_overrides = check_values(merged)
    refused = [*refused, *refused_overrides]
    expanded, task_problems = _expand_tasks(merged)
    problems += [*file_problems, *task_problems, *_field_problems(expanded)]
    problems += cross_checks(expanded, () if task_problems else _file_tasks(file, expanded))
    problems = [*without_followups(problems, refused), *refused]
    part = valid_part(expanded, problems)
    study = _with_typed_values(part.study)
    later = space_checks(study, part) + length_problems(study)
    if problems or later:
        later += further_checks(study) if further_checks else []
        problems = list(dict.fromkeys([*problems, *part.without_consequences(later)]))
        first = [*override_locations, *(problem.location for problem in file_problems)]
        raise InputError(source, sort_problems(limit_problems(problems), file, first), page=PAGE)
    return without_unused_dimensions(study)


def _check_mapping(raw: Any, name: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return the mapping of a file with a name, and problems; empty if it is not a study at all."""
    if not isinstance(raw, Mapping):
        kinds = {type(None): "an empty file", list: "a list", str: "a text"}
        kind = kinds.get(type(raw), reprlib.repr(raw))
        text = f"a study is a mapping of names to values, got {kind}"
        return {}, [Problem(location="file", text=text)]
    if text := _other_kind(raw):
        return {}, [Problem(location="file", text=text)]
    return check_values({"name": name, **raw})


def _field_problems(raw: Mapping[str, Any]) -> list[Problem]:
    """Return the problems of single fields."""
    try:
        Study.model_validate(raw)
    except ValidationError as error:
        return schema_problems(error, raw)
    return []


def _file_tasks(file: dict[str, Any], raw: dict[str, Any]) -> Collection[str]:
    """Return the tasks that a file is written for; none if it names unknown ones.

    Args:
        file: the mapping of the file.
        raw: the same with overrides, which may name other tasks.
    """
    expanded, problems = _expand_tasks(file)
    return () if problems else dict.fromkeys((*expanded["tasks"], *raw["tasks"]))


def dump(study: Study) -> str:
    """Return the study as YAML that `load` reads as an equal study.

    Fields that its tasks do not read are left out.
    """
    text: str = yaml.safe_dump(
        as_mapping(study), sort_keys=False, allow_unicode=True, width=float("inf")
    )  # each text in one line: a path in two is not found
    return text


def as_mapping(study: Study) -> dict[str, Any]:
    """Return the study as the mapping that `dump` writes."""
    return without_unused_dimensions(study).model_dump(
        mode="json", exclude_defaults=True, exclude_none=True, by_alias=True
    )


def checked_dump(study: Study) -> str:
    """Return the study as YAML, after reading it again and comparing the trials it asks for.

    Raises:
        InputError: they differ. That is a bug, or `parse` did not make the study.
    """
    text = dump(study)
    try:
        again = parse(yaml.safe_load(text), source=study.name, name=study.name)
    except InputError as error:
        problems = [replace(p, text=f"{p.text}; {_OUR_MISTAKE}") for p in error.problems]
        raise InputError(study.name, problems) from None
    if same_trials(again, without_unused_dimensions(study)):
        return text
    written, read = as_mapping(study), as_mapping(again)
    fields = [name for name in {**written, **read} if written.get(name) != read.get(name)]
    location = ", ".join(fields) or "a default"
    problem = Problem(location=location, text=f"is not read as it was written; {_OUR_MISTAKE}")
    raise InputError(study.name, [problem])


def is_cluster(raw: Any) -> bool:
    """Return whether the content of a YAML file is that of a cluster file of Ray."""
    if not isinstance(raw, Mapping) or "tasks" in raw or "model" in raw:
        return False
    return "cluster_name" in raw or "provider" in raw


def _other_kind(raw: Mapping[Any, Any]) -> str:
    """Return a message for a mapping that is another known kind of file, or ""."""
    if "tasks" in raw or "model" in raw:
        return ""
    if is_cluster(raw):
        return "a cluster file of Ray: `ray up` takes it; a study names tasks and a model"
    if {"model_type", "architectures"} & set(raw):
        return "a model's config.json; a study names tasks and a model"
    return ""


def _expand_tasks(raw: dict[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Replace patterns such as glue/* by the names of tasks.

    Returns:
        The mapping with a list of known tasks, ["?"] if there are none; and the problems of names.
    """
    names = raw.get("tasks")
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list | tuple) or not names:
        text = f"at least one task name is needed, got {reprlib.repr(names)}"
        return {**raw, "tasks": ["?"]}, [Problem(location="tasks", text=text)]
    known = known_tasks(raw)
    matches = {str(name): task_table.expand(str(name), known) for name in names}
    # An own task whose entry has problems is known: its problems are reported, not its name.
    unknown = [
        index
        for index, name in enumerate(names)
        if not (matches[str(name)] or is_defined(raw, str(name)))
    ]
    trainable = {name for name, task in known.items() if task.train}
    shown, rest = limit_names(unknown, "names of no task", "tasks")
    problems = []
    for index in shown:
        name = str(names[index])
        text = unknown_name("task", name, trainable)
        if name.startswith(PREFIX):
            entries = [f"{PREFIX}{key}" for key in mapping_or_empty(raw.get("own"))]
            text = "no entry for it under own, which defines tasks on own files"
            text = unknown_name("own task", name, entries) if entries else text
        if name in task_table.TASKS:
            text = f"'{name}' has no training data: it is predicted, not searched"
        problems.append(Problem(location=f"tasks[{index}]", text=text))
    tasks = dict.fromkeys(task for expanded in matches.values() for task in expanded)
    return {**raw, "tasks": list(tasks) or ["?"]}, [*problems, *rest]


def _unread_file_problems(
    further_checks: FurtherChecks | None, overrides: Mapping[str, Any]
) -> list[Problem]:
    """Return the further problems of a study whose file has no usable content."""
    if further_checks is None:
        return []
    raw, *_ = apply_overrides({"tasks": []}, overrides)
    raw, problems = _expand_tasks({key: x for key, x in raw.items() if key in ("tasks", "model")})
    part = valid_part(raw, problems)
    return part.without_consequences(further_checks(part.study))


def _with_typed_values(study: Study) -> Study:
    """Return the study with values in the types of their hyperparameters, also in choices."""
    hyper = RECIPES[study.recipe].hyper

    def typed(name: str, value: Any) -> Any:
        value = getattr(hyper.model_validate({name: value}), name)
        return value.model_dump() if isinstance(value, BaseModel) else value

    def configuration(values: Mapping[str, Any]) -> Configuration:
        return {
            name: typed(name, value) if name in hyper.model_fields else value
            for name, value in values.items()
        }

    def dimension(name: str, untyped: Dimension) -> Dimension:
        when = untyped.when and {
            key: tuple(typed(key, value) for value in values)
            for key, values in untyped.when.items()
        }
        if not isinstance(untyped, Choice):
            return untyped.model_copy(update={"when": when})
        return Choice(choice=tuple(typed(name, value) for value in untyped.choice), when=when)

    def space(dimensions: Mapping[str, Dimension]) -> dict[str, Dimension]:
        return {name: dimension(name, untyped) for name, untyped in dimensions.items()}

    def per_task(section: PerTask) -> PerTask:
        fields = {"space": space(section.space), "fixed": configuration(section.fixed)}
        return section.model_copy(update=fields)

    def published(row: Published) -> Published:
        results = {
            task: Result(settings=configuration(result.settings), scores=result.scores)
            for task, result in row.results.items()
        }
        return row.model_copy(update={"results": results})

    search = study.search
    if search.start_from != "published":
        points = tuple(configuration(point) for point in search.start_from)
        search = search.model_copy(update={"start_from": points})
    fields = {
        "space": space(study.space),
        "fixed": configuration(study.fixed),
        "per_task": {task: per_task(section) for task, section in study.per_task.items()},
        "search": search,
        "published": tuple(published(row) for row in study.published),
    }
    return study.model_copy(update=fields)


def same_trials(first: Study, second: Study) -> bool:
    """Return whether two studies ask for the same trials."""
    return first.model_dump(mode="json") == second.model_dump(mode="json")
