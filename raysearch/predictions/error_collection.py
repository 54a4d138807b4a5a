"""Several steps of which each may find problems: all are told at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem


def collect_errors(source: str, *steps: Callable[[], Any]) -> list[Any]:
    """What each step gives. Raises InputError with the problems of all that fail."""
    found, errors = [], []
    for step in steps:
        try:
            found.append(step())
        except InputError as error:
            errors.append(error)
    if errors:
        raise join_errors(source, errors)
    return found


def join_errors(source: str, errors: list[InputError], *, most: int | None = None) -> InputError:
    """One error for several, each problem with the file that it is of; `most` of each file."""
    if len(errors) == 1:
        return errors[0]
    return InputError(source, [p for error in errors for p in _placed(error, source, most)])


def _placed(error: InputError, source: str, most: int | None) -> list[Problem]:
    if error.source == source:
        return list(error.problems)
    file, kept = Path(error.source).name, error.problems[:most]
    problems = [Problem(location=file, text=f"{p.location}: {p.text}", count=p.count) for p in kept]
    if more := sum(problem.count for problem in error.problems[len(kept) :]):
        problems.append(Problem(location=file, text=f"and {more:,} more", count=more))
    return problems
