"""Limits for lists of problems.

A file may hold thousands of unknown names. Each is compared with all known names, which takes long;
therefore only the first ones are reported, with the number of the rest.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from ..errors import MAX_LISTED_NAMES, Problem

MAX_PROBLEMS = 200  # problems of a study that are reported one by one

T = TypeVar("T")


def limit_problems(problems: Iterable[Problem]) -> list[Problem]:
    """Return the first problems, and one that counts the rest.

    Args:
        problems: in the order of a report.
    """
    problems = list(problems)
    if len(problems) <= MAX_PROBLEMS + 1:
        return problems
    count = sum(problem.count for problem in problems[MAX_PROBLEMS:])
    rest = Problem(location="...", text=f"and {count:,} more", count=count)
    return [*problems[:MAX_PROBLEMS], rest]


def limit_names(names: Iterable[T], what: str, location: str) -> tuple[Sequence[T], list[Problem]]:
    """Return the names that are reported one by one, and a problem that counts the rest.

    Args:
        names: all of them.
        what: what is wrong with each, such as "names of no hyperparameter".
        location: of the names.
    """
    names = list(names)
    if len(names) <= MAX_LISTED_NAMES + 1:
        return names, []
    count = len(names) - MAX_LISTED_NAMES
    rest = Problem(location=location, text=f"{count:,} more {what}", count=count)
    return names[:MAX_LISTED_NAMES], [rest]
