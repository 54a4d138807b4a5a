"""Of many problems of the same kind the first, and how many more there are: each may be looked for
among all names that are known, which takes long for many thousands."""

from collections.abc import Iterable
from typing import Any

from ..errors import MAX_LISTED_NAMES, Problem

MOST = 200  # problems of a study that are told one by one


def limit_problems(problems: Iterable[Problem], most: int = MOST) -> list[Problem]:
    """Return the first problems, and one that stands for the rest, at the place of the next."""
    problems = list(problems)
    if len(problems) <= most + 1:
        return problems
    rest = problems[most:]
    count = sum(problem.count for problem in rest)
    return [*problems[:most], Problem(location="...", text=f"and {count:,} more", count=count)]


def limit_names(names: Iterable[Any], what: str, place: str) -> tuple[list[Any], list[Problem]]:
    """Return the names that are told one by one, and a problem that stands for the rest.

    Args:
        what: what is wrong with each, such as "names of no hyperparameter".
        place: where they stand.
    """
    names = list(names)
    if len(names) <= MAX_LISTED_NAMES + 1:
        return names, []
    count = len(names) - MAX_LISTED_NAMES
    return names[:MAX_LISTED_NAMES], [
        Problem(location=place, text=f"{count:,} more {what}", count=count)
    ]
