"""Finds what prevents a prediction before any model is loaded.

It is apart from `prediction` because it only looks at files and folders.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ..data import readers
from ..data.readers.paths import task_folder
from ..errors import InputError, Problem
from ..run_folder import opening
from ..storage import existing_part
from ..tasks import Split, Task
from . import kept_files
from .split_names import requested_splits

Splits = Mapping[str, Sequence[Split]]  # task -> the splits to predict


def choose_splits(
    predicted: Sequence[Task], name: str | None, names: Sequence[str]
) -> tuple[Splits, list[Problem]]:
    """Return the splits of each task, see `requested_splits`, and the problems of their names.

    Args:
        predicted: the tasks to predict.
        name: which splits; None for those that the benchmarks take.
        names: the tasks that were requested. A task that another one's model predicts may lack the
            splits unless it is one of them.
    """
    splits: dict[str, Sequence[Split]] = {}
    problems: list[Problem] = []
    for task in predicted:
        try:
            splits[task.name] = requested_splits(task, name)
        except InputError as error:
            splits[task.name] = ()
            problems += error.problems if not task.predicted_by or task.name in names else ()
    return splits, problems


def find_problems(
    models: Sequence[tuple[Task, Path]],
    splits: Splits,
    root: Path,
    to: Path | None,
    names: Sequence[str],
) -> list[Problem]:
    """Return why predictions cannot be made or written.

    Args:
        models: the tasks to predict, each with the folder of its model.
        splits: of `choose_splits`.
        root: the data folder.
        to: the folder for the files of predictions; None: none are written.
        names: the tasks that were requested. A task that another one's model predicts needs test
            files only if it is one of them.
    """
    required = [task.name for task, _ in models if not task.predicted_by or task.name in names]
    problems = [
        problem
        for task, folder in models
        for problem in _input_problems(
            task, folder, root, splits[task.name], required=task.name in required
        )
    ]
    if to is None:
        return problems
    return problems + _output_problems(to, [x for task, _ in models for x in splits[task.name]])


def _input_problems(
    task: Task, folder: Path, root: Path, splits: Sequence[Split], *, required: bool
) -> Iterator[Problem]:
    """Yield what a task lacks: weights, splits to predict, or, if required, their files."""
    if not folder.is_dir():
        text = f"no weights at '{folder}'{kept_hint(folder.parent.parent, task)}"
        yield Problem(location=task.name, text=text)
    present = readers.present_splits(task, root)
    if not splits and required:
        text = "the benchmark takes no predictions of it"
        if task.is_own:
            file = folder.parent.parent / opening.STUDY
            place = f" to {task.name.replace('/', '.', 1)} in {file}" if file.is_file() else ""
            text = f"it has no test file: add `test: FILE`{place}, or predict with --split dev"
        yield Problem(location=task.name, text=text)
    elif required and not any(split.name in present for split in splits):
        files = ", ".join(
            name for split in splits[:3] for file in split.files for name in file.names
        )
        kind = "dev" if splits[0].labelled else "test"
        text = f"no {kind} file under '{task_folder(task, root)}'; looked for {files}"
        yield Problem(location=task.name, text=text)


def no_winner_problems(run: Path, searched: Sequence[Task]) -> list[Problem]:
    """Return why a run predicts nothing, and for which tasks dev predictions are kept.

    Args:
        run: the run folder.
        searched: its tasks.
    """
    hints = {task.name: kept_hint(run, task) for task in searched}
    text = "nothing to predict: no task has a best/ folder yet"
    return [
        Problem(location="tasks", text=text),
        *(Problem(location=name, text=f"no weights{hint}") for name, hint in hints.items() if hint),
    ]


def kept_hint(run: Path, task: Task) -> str:
    """Return what can be done without weights if a run has kept a task's dev predictions, or ""."""
    if not (kept_files.is_run(run) and (count := kept_files.count_kept(run, task))):
        return ""
    command = f"raysearch score {task.name} --predictions {run}"
    return f"; the dev predictions of {count} trials are kept, without weights: {command}"


def _output_problems(to: Path, splits: Sequence[Split]) -> list[Problem]:
    """Return why the files of predictions cannot be written."""
    files = {to / split.submission for split in splits if split.submission}
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
        parent = folder if folder.exists() else existing_part(folder.absolute())
        if not parent.is_dir():
            text = f"'{parent}' is no folder; another would do"
            problems.append(Problem(location="to", text=text))
        elif not os.access(parent, os.W_OK | os.X_OK):
            text = f"'{parent}' cannot be written; another folder would do"
            problems.append(Problem(location="to", text=text))
    return list(dict.fromkeys(problems))
