"""The table of all tasks, and their lookup by name or pattern."""

from fnmatch import fnmatchcase

from ..errors import InputError, Problem, unknown_name
from . import commonsense_qa, glue, race, squad, superglue, text, toy, xtreme
from .task import Task

TASKS: dict[str, Task] = {
    task.name: task
    for rows in (glue, superglue, squad, race, commonsense_qa, xtreme, text, toy)
    for task in rows.TASKS
}


def get(name: str) -> Task:
    """Return the task of a name.

    Raises:
        InputError: there is none; the message holds the nearest names.
    """
    if name not in TASKS:
        raise InputError(
            "tasks", [Problem(location="name", text=unknown_name("task", name, TASKS))]
        )
    return TASKS[name]


def expand(pattern: str) -> tuple[str, ...]:
    """Return the names of the trainable tasks that match a shell pattern such as "glue/*"."""
    if not set(pattern) & set("*?["):
        return (pattern,) if pattern in TASKS and TASKS[pattern].train else ()
    return tuple(name for name, task in TASKS.items() if task.train and fnmatchcase(name, pattern))
