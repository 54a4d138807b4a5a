"""The one table of tasks."""

from fnmatch import fnmatchcase

from ..errors import InputError, Problem, unknown_name
from . import glue, race, squad, text, toy, xtreme
from .task import Task

TASKS: dict[str, Task] = {
    task.name: task for rows in (glue, squad, race, xtreme, text, toy) for task in rows.TASKS
}


def get(name: str) -> Task:
    """The task of that name. Raises InputError with the nearest name where there is none."""
    if name not in TASKS:
        raise InputError(
            "tasks", [Problem(location="name", text=unknown_name("task", name, TASKS))]
        )
    return TASKS[name]


def expand(pattern: str) -> tuple[str, ...]:
    """Names that match a shell pattern such as "glue/*", of tasks that can be trained."""
    if not set(pattern) & set("*?["):
        return (pattern,) if pattern in TASKS and TASKS[pattern].train else ()
    return tuple(n for n, task in TASKS.items() if task.train and fnmatchcase(n, pattern))
