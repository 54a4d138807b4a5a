"""Finds what prevents a prediction before any model is loaded.

It is apart from `prediction` because it only looks at files and folders.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..data import readers
from ..data.readers.paths import task_folder
from ..errors import Problem
from ..tasks import Split, Task


def find_problems(
    models: Sequence[tuple[Task, Path]], root: Path, to: Path, names: Sequence[str]
) -> list[Problem]:
    """Return why predictions cannot be made or written.

    Args:
        models: the tasks to predict, each with the folder of its model.
        root: the data folder.
        to: the folder for the submission files.
        names: the tasks that were requested. A task that another one's model predicts needs test
            files only if it is one of them.
    """
    if not models:
        text = "nothing to predict: no task has a best/ folder yet"
        return [Problem(location="tasks", text=text)]
    required = [task.name for task, _ in models if not task.predicted_by or task.name in names]
    problems = [
        problem
        for task, folder in models
        for problem in _input_problems(task, folder, root, required=task.name in required)
    ]
    return problems + _output_problems(to, [task for task, _ in models])


def submitted_splits(task: Task) -> list[Split]:
    """Return the splits that are predicted; for SQuAD, whose test sets are hidden, dev splits."""
    return [split for split in (*task.test, *task.dev) if split.submission]


def _input_problems(task: Task, folder: Path, root: Path, *, required: bool) -> Iterator[Problem]:
    """Yield what a task lacks: weights, splits to predict, or, if required, their files."""
    if not folder.is_dir():
        yield Problem(location=task.name, text=f"no weights at '{folder}'")
    present = readers.present_splits(task, root)
    splits = submitted_splits(task)
    if not splits:
        yield Problem(location=task.name, text="the benchmark takes no predictions of it")
    elif required and not any(split.name in present for split in splits):
        files = ", ".join(file.path for split in splits[:3] for file in split.files)
        text = f"no test file under '{task_folder(task, root)}'; looked for {files}"
        yield Problem(location=task.name, text=text)


def _output_problems(to: Path, predicted: Sequence[Task]) -> list[Problem]:
    """Return why the submission files cannot be written."""
    names = [split.submission for task in predicted for split in submitted_splits(task)]
    files = {to / name for name in names if name}
    paths = {to, *files, *(parent for file in files for parent in file.parents)}
    problems = []
    for path in sorted(path for path in paths if path.is_relative_to(to)):
        if path != to and path.is_symlink():
            text = f"'{path}' is a link, which is not followed; a folder of its own would do"
            problems.append(Problem(location="to", text=text))
        elif path in files and path.is_dir():
            text = f"'{path}' is a folder, but a file is to be written there"
            problems.append(Problem(location="to", text=text))
    for folder in sorted({file.parent for file in files} | {to}):
        parent = next(p for p in (folder, *folder.absolute().parents) if p.exists())
        if not parent.is_dir():
            text = f"'{parent}' is no folder; another would do"
            problems.append(Problem(location="to", text=text))
        elif not os.access(parent, os.W_OK | os.X_OK):
            text = f"'{parent}' cannot be written; another folder would do"
            problems.append(Problem(location="to", text=text))
    return list(dict.fromkeys(problems))
