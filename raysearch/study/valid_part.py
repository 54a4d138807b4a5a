"""The part of a study's file that has no problems, so that all that can be judged is told at once.

Some checks need a whole study: those of the search space, of data, of models. They get this part.
It is apart from `loading` because it only removes.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ..errors import Problem
from ..recipes import RECIPES
from .error_locations import mapping_or_empty, names_one_of, path_of
from .own_tasks import PREFIX, known_tasks, valid_own_tasks
from .schema import Study

_PLACEHOLDERS = {"name": "sketch", "model": "scratch"}  # of required fields
_WHOLE = ("model", "name", "recipe", "train", "published", "leave_out", "deviations")
_MAX_PASSES = 20  # of removing what the schema refuses


@dataclass(frozen=True, kw_only=True)
class ValidPart:
    """A study without what has problems.

    Attributes:
        study: its tasks may be none.
        removed: the paths of the fields that were removed, such as ("space", "LR"); none if it is
            the whole study.
    """

    study: Study
    removed: frozenset[tuple[str, ...]] = frozenset()

    def lacks(self, *fields: str) -> bool:
        """Return whether one of these fields of a study, or a part of one, was removed."""
        return any(path[0] in fields for path in self.removed)

    def without_consequences(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return the problems of the part without those that a removed value may cause.

        These name it, in their text or as their place: its default stands there now.
        """
        names = {path[-1] for path in self.removed if {"space", "fixed"} & {*path[:-1]}}
        names |= {"scratch"} if self.lacks("model") else set()
        return [p for p in problems if not names_one_of(f"{p.location} {p.text}", names)]


def valid_part(raw: Mapping[str, Any], problems: Collection[Problem]) -> ValidPart:
    """Return the part of a study without problems.

    Args:
        raw: the mapping of the file, with tasks that are expanded.
        problems: everything that is known to be wrong with it.
    """
    known = known_tasks(raw)
    tasks = [name for name in raw["tasks"] if name in known]
    own = {key: x for key, x in valid_own_tasks(raw).items() if f"{PREFIX}{key}" in tasks}
    part: dict[str, Any] = {name: x for name, x in raw.items() if name not in ("tasks", "own")}
    removed: set[tuple[str, ...]] = set() if "model" in part else {("model",)}
    for problem in problems:
        if path := path_of(part, problem.location):
            removed.add(_remove(part, path))
        elif re.match(r"(?:tasks|own)(?!\w)", problem.location):
            removed.add(("tasks",))
    if ("recipe",) in removed:
        _keep_known_names(part)
    for _ in range(_MAX_PASSES):
        try:
            study = Study.model_validate({**_PLACEHOLDERS, **part, "tasks": ["?"]})
        except ValidationError as error:
            removed |= {_remove(part, [*map(str, e["loc"])]) for e in error.errors()}
            continue
        study = study.model_copy(update={"tasks": tuple(tasks), "own": own})
        return ValidPart(study=study, removed=frozenset(removed))
    raise AssertionError("a study of which nothing is left is invalid")


def _keep_known_names(part: dict[str, Any]) -> None:
    """Remove hyperparameters that the default recipe does not have: those of an unknown one."""
    known = RECIPES[Study.model_fields["recipe"].default].hyper.model_fields
    for path in [*_settings(part)]:
        if path[-1] not in known:
            _remove(part, path)


def _settings(part: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the paths of all hyperparameters that a file searches or fixes."""
    scopes: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), part)]
    per_task = mapping_or_empty(part.get("per_task")).items()
    scopes += [(("per_task", task), mapping_or_empty(section)) for task, section in per_task]
    for prefix, section in scopes:
        for field in ("space", "fixed"):
            yield from ([*prefix, field, name] for name in mapping_or_empty(section.get(field)))


def _remove(part: dict[str, Any], path: list[str]) -> tuple[str, ...]:
    """Remove the field that a path leads to or into; return its path.

    Of a dimension, and of a list, nothing is left: a part of it would be something else.
    """
    depth = 4 if path[0] == "per_task" else 1 if path[0] in _WHOLE else 2
    owner, steps = part, [path[0]]
    for name in path[1:depth]:
        inner = owner.get(steps[-1])
        if not isinstance(inner, Mapping) or name not in inner:
            break
        owner[steps[-1]] = owner = dict(inner)
        steps.append(name)
    owner.pop(steps[-1], None)
    return tuple(steps)
