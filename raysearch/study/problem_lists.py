"""Of many problems of the same kind the first, and how many more there are: each may be looked for
among all names that are known, which takes long for many thousands."""

from collections.abc import Iterable
from typing import Any

from ..errors import FEW, Problem

MOST = 200  # problems of a study that are told one by one


def few(problems: Iterable[Problem], most: int = MOST) -> list[Problem]:
    """Return the first problems, and one that stands for the rest, at the place of the next."""
    problems = list(problems)
    if len(problems) <= most + 1:
        return problems
    rest = problems[most:]
    count = sum(problem.count for problem in rest)
    return [*problems[:most], Problem(place="...", text=f"and {count:,} more", count=count)]


def first_few(names: Iterable[Any], what: str, place: str) -> tuple[list[Any], list[Problem]]:
    """Return the names that are told one by one, and a problem that stands for the rest.

    Args:
        what: what is wrong with each, such as "names of no hyperparameter".
        place: where they stand.
    """
    names = list(names)
    if len(names) <= FEW + 1:
        return names, []
    count = len(names) - FEW
    return names[:FEW], [Problem(place=place, text=f"{count:,} more {what}", count=count)]
