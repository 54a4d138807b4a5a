"""The problems of files, told as those of a task."""

import math
import re
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, Problem, shorten
from ..tasks import Task


def task_problems(task: Task, error: InputError) -> list[Problem]:
    """The problems of a file, in the order of its lines."""
    begin = f"{task.name} {Path(error.source).name}"
    return [
        replace(p, location=f"{begin} {p.location}") for p in sorted(error.problems, key=_place)
    ]


def unreadable(name: str, error: OSError) -> Problem:
    """That a task's folder or file cannot be opened."""
    text = f"cannot be read: {error.strerror}: {shorten(str(error.filename))}"
    return Problem(location=name, text=text)


def _place(problem: Problem) -> float:
    """Where a problem of a file stands; readers tell of a block's bytes before its fields."""
    found = re.match(r"line (\d+)", problem.location)
    return int(found[1]) if found else math.inf
