"""Runs several steps and reports the problems of all of them at once.

It is apart because the scoring of a file and of a folder of languages both use it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError, Problem


def collect_errors(source: str, *steps: Callable[[], Any]) -> list[Any]:
    """Return the result of each step.

    Args:
        source: the source of an error that joins several.
        steps: run in order, also after one has failed.

    Raises:
        InputError: with the problems of all steps that failed.
    """
    results, errors = [], []
    for step in steps:
        try:
            results.append(step())
        except InputError as error:
            errors.append(error)
    if errors:
        raise join_errors(source, errors)
    return results


def join_errors(
    source: str, errors: list[InputError], *, max_problems: int | None = None
) -> InputError:
    """Return one error with the problems of several, each with the name of its file.

    Args:
        source: the source of the new error.
        errors: at least one.
        max_problems: how many problems of each error are listed; None for all.
    """
    if len(errors) == 1:
        return errors[0]
    return InputError(
        source, [problem for error in errors for problem in _located(error, source, max_problems)]
    )


def _located(error: InputError, source: str, max_problems: int | None) -> list[Problem]:
    """Return an error's problems with the file's name as their location."""
    if error.source == source:
        return list(error.problems)
    file, listed = Path(error.source).name, error.problems[:max_problems]
    problems = [
        Problem(location=file, text=f"{p.location}: {p.text}", count=p.count) for p in listed
    ]
    if more := sum(problem.count for problem in error.problems[len(listed) :]):
        problems.append(Problem(location=file, text=f"and {more:,} more", count=more))
    return problems
