"""Finds the tasks that names stand for: of benchmarks, of a study, or of a model's own record.

It is apart because every command on predictions takes names, and some of them are known only to a
study or a run.
"""

from collections.abc import Mapping
from pathlib import Path

from .. import study as studies
from ..data.own_labels import with_labels
from ..errors import InputError, Problem, unknown_name
from ..run_folder import opening
from ..study import Study
from ..study.own_tasks import PREFIX
from ..tasks import TASKS, Task
from . import kept_files

_PARENTS = 3  # folders above kept predictions or weights that may be their run


def known_tasks(searched: Study | None) -> dict[str, Task]:
    """Return the tasks of benchmarks and a study's own, by name."""
    own = searched.own if searched else {}
    return {
        **TASKS,
        **{f"{PREFIX}{key}": block.task(f"{PREFIX}{key}") for key, block in own.items()},
    }


def load_study(path: str | Path, data: Path | None) -> Study:
    """Return a study whose own tasks have their labels, as far as the data show them.

    Args:
        path: a study file, the name of one that ships, or a run folder.
        data: the data folder; None: the labels are those that the study names.

    Raises:
        InputError: it is no study, or its labels cannot be read.
    """
    folder = Path(path)
    searched = studies.load(opening.study_file(folder) if folder.is_dir() else folder)
    root = data if data is not None and data.is_dir() else None
    searched, problems = with_labels(searched, root)
    if problems:
        raise InputError(str(path), problems.values())
    return searched


def find_task(name: str, study: str | Path | None, predictions: Path, data: Path | None) -> Task:
    """Return the task whose predictions are scored.

    Args:
        name: its name.
        study: the study or the run that defines it, see `load_study`; None: that of the run around
            the predictions, if there is one.
        predictions: a file or folder.
        data: the data folder or a gold file.

    Raises:
        InputError: there is no such task.
    """
    run = run_around(predictions)
    source = study if study is not None else run if name.startswith(PREFIX) else None
    known = known_tasks(load_study(source, data) if source is not None else None)
    if name in known:
        return known[name]
    raise InputError("tasks", [Problem(location="name", text=missing_text(name, known))])


def run_around(path: Path) -> Path | None:
    """Return the run folder that a path is, or lies in; None if there is none."""
    folders = [path, *list(path.absolute().parents)[:_PARENTS]]
    return next((folder for folder in folders if kept_files.is_run(folder)), None)


def missing_text(name: str, known: Mapping[str, Task]) -> str:
    """Return the message for a name of no task."""
    if name.startswith(PREFIX) and not any(task.is_own for task in known.values()):
        return f"'{name}' is defined in a study: name its file or its run with --study"
    return unknown_name("task", name, known)
