"""Checks of the conditions of dimensions: `when: {schedule: polynomial}`."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..errors import Problem, shorten
from ..search_space import Choice, format_point
from .schema import Study


def condition_problems(study: Study) -> list[Problem]:
    """Return the problems of all conditions; names and values have been checked one by one.

    A condition on a fixed hyperparameter is decided before anything is searched, see
    `TaskStudy.space`; one on a searched hyperparameter needs its values to be listed.
    """
    scopes = [("space", study.space, study.space)]
    for task, part in study.per_task.items():
        scopes.append((f"per_task.{task}.space", part.space, {**study.space, **part.space}))
    problems = []
    for location, own, space in scopes:
        for name, dimension in own.items():
            for key, values in (dimension.when or {}).items():
                texts = _texts(space, name, key, values)
                place = f"{location}.{name}.when.{key}"
                problems += [Problem(location=place, text=text) for text in texts]
    return problems


def _texts(space: Mapping[str, Any], name: str, key: str, values: tuple[Any, ...]) -> Iterator[str]:
    """Yield what is wrong with the condition of a dimension on another one."""
    parent = space.get(key)
    if key == name:
        yield "a dimension cannot depend on itself"
    elif parent is None:
        return
    elif not isinstance(parent, Choice):
        yield f"{key} is searched in a range; a condition needs {{choice: [...]}} there"
    elif parent.when:
        yield f"{key} has a condition itself: one of them would do"
    elif missing := [value for value in values if value not in parent]:
        shown = shorten(", ".join(format_point({key: value}) for value in missing))
        yield f"is never true: {shown} is none of the values that {key} is searched in"
