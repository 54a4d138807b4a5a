"""Turns errors of files into problems of a task.

Checks of data and of view resources share it.
"""

import math
import re
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, Problem, shorten
from ..tasks import Task


def task_problems(task: Task, error: InputError) -> list[Problem]:
    """Return the problems of a file, in the order of its lines, with the names of task and file."""
    prefix = f"{task.name} {Path(error.source).name}"
    problems = sorted(error.problems, key=_line_number)
    return [replace(problem, location=f"{prefix} {problem.location}") for problem in problems]


def unreadable_problem(name: str, error: OSError) -> Problem:
    """Return the problem of a task whose folder or file cannot be opened."""
    text = f"cannot be read: {error.strerror}: {shorten(str(error.filename))}"
    return Problem(location=name, text=text)


def _line_number(problem: Problem) -> float:
    """Return the line of a problem; readers report the bytes of a block before its fields."""
    match = re.match(r"line (\d+)", problem.location)
    return int(match[1]) if match else math.inf
