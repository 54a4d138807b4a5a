"""Checks of a study that need typed values, so they run on the part of a file that has no problems.

They are apart from `validation`, which checks the mapping of a file.
"""

import math
from collections.abc import Mapping
from typing import Any

from ..errors import Problem
from ..search_space import Space, active_space, count_points
from .conditions import condition_problems
from .schema import Study
from .unused_fields import unused_dimensions
from .valid_part import ValidPart

MAX_GRID = 100_000  # configurations


def space_checks(study: Study, part: ValidPart) -> list[Problem]:
    """Return the problems that need typed values.

    They are start configurations outside the space, dev splits that cannot be divided, values that
    a task's head does not support, dimensions without effect, published settings outside the space,
    and grids that are too large.

    Args:
        study: the part, with typed values.
        part: says which fields were removed; what depends on others that are not there is not
            checked.
    """
    problems = [] if part.lacks("tasks", "per_task") else _start_problems(study)
    tasks = [study.resolve(name) for name in study.tasks]
    if study.search.hold_out is not None:
        for task in (task for task in tasks if task.row.facts.joins_examples):
            text = f"{task.name} is scored on blocks of running text, which are no examples of"
            text = f"{text} their own to hold out: leave it out"
            problems.append(Problem(location="search.hold_out", text=text))
    for task in tasks:
        if problem := task.recipe.incompatibility(task.row.head, task.shared):
            name, text = problem
            prefix = f"per_task.{task.name}." if name in task.per_task.fixed else ""
            problems.append(Problem(location=f"{prefix}fixed.{name}", text=text))
    problems += condition_problems(study)
    problems += [] if part.removed else unused_dimensions(study)
    for task in tasks if study.confirm.published and not part.removed else ():
        if task.published_setting is None:
            text = f"{task.name}: no published row has settings that its space and fixed values"
            text = f"{text} can take; add one, or leave out the task"
            problems.append(Problem(location="confirm.published", text=text))
    for task in tasks if study.search.sampler == "grid" else ():
        if (count := count_points(task.space)) > MAX_GRID:
            number = f"{count:,}" if count < math.inf else "infinitely many"
            text = f"a grid of {number} configurations for {task.name}"
            text = f"{text}, at most {MAX_GRID:,}; use tpe"
            problems.append(Problem(location="search.sampler", text=text))
    return problems


def _start_problems(study: Study) -> list[Problem]:
    """Return a problem for each configuration to start from that is in no task's space."""
    problems = []
    names = (*study.tasks, *study.per_task, "")
    spaces = [study.resolve(name).space for name in dict.fromkeys(names)]
    points = study.search.start_from
    for index, point in enumerate(points if points != "published" else ()):
        reasons = [_why_outside(point, space) for space in spaces if space]
        if reasons and all(reasons):
            problems.append(Problem(location=f"search.start_from[{index}]", text=reasons[0]))
    return problems


def _why_outside(point: Mapping[str, Any], space: Space) -> str:
    """Return why a configuration is outside a space; "" if it is inside."""
    space = active_space(space, point)
    missing = [name for name in space if name not in point]
    if missing:
        return f"every searched name is needed, it lacks {', '.join(missing)}"
    outside = [
        f"{name}: {point[name]}"
        for name, dimension in space.items()
        if point[name] not in dimension
    ]
    return f"not in the space: {', '.join(outside)}" if outside else ""
