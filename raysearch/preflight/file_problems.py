"""The problems of files, told as those of a task."""

import math
import re
from dataclasses import replace
from pathlib import Path

from ..errors import InputError, Problem, shortened
from ..tasks import Task


def of_file(task: Task, error: InputError) -> list[Problem]:
    """The problems of a file, in the order of its lines."""
    begin = f"{task.name} {Path(error.source).name}"
    return [replace(p, place=f"{begin} {p.place}") for p in sorted(error.problems, key=_place)]


def unreadable(name: str, error: OSError) -> Problem:
    """That a task's folder or file cannot be opened."""
    text = f"cannot be read: {error.strerror}: {shortened(str(error.filename))}"
    return Problem(place=name, text=text)


def _place(problem: Problem) -> float:
    """Where a problem of a file stands; readers tell of a block's bytes before its fields."""
    found = re.match(r"line (\d+)", problem.place)
    return int(found[1]) if found else math.inf
