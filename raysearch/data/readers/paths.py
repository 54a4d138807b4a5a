"""Paths of the files of a split under the data root.

It is apart from the readers because most formats share it, and it never opens a file.
"""

from pathlib import Path

from ...tasks.task import File, Split, Task
from ..hub_datasets import is_hub, local_folder


def folders(task: Task) -> tuple[str, ...]:
    """Return the folders under the data root in which a task may be.

    These are the task's own folder and the same folder under the name of its benchmark, so that one
    root can hold all benchmarks: "RTE", "glue/RTE".
    """
    if Path(task.folder).parts[:1] in ((), (task.benchmark,)):
        return (task.folder,)
    return task.folder, f"{task.benchmark}/{task.folder}"


def task_folder(task: Task, root: Path) -> Path:
    """Return the first existing folder of a task; the first possible one if none exists."""
    candidates = [root / folder for folder in folders(task)]
    return next((folder for folder in candidates if folder.is_dir()), candidates[0])


def file_path(task: Task, file: File, root: Path) -> Path:
    """Return the path of a file, or of the folder that takes its place."""
    parent = task_folder(task, root) if file.folder is None else root / file.folder
    return parent / file.path


def part_path(path: Path, part: str) -> Path:
    """Return the path of a part of a file; a data set of a hub lies in the cache."""
    return local_folder(part) if is_hub(part) else path / part


def split_paths(task: Task, split: Split, root: Path) -> tuple[tuple[Path, ...], ...]:
    """Return the paths of each published form of a split, in the order of `split.files`."""
    return tuple(_paths(task, file, root) for file in split.files)


def present_paths(task: Task, split: Split, root: Path) -> File:
    """Return the first published form whose files all exist."""
    return next(
        file for file in split.files if all(path.exists() for path in _paths(task, file, root))
    )


def _paths(task: Task, file: File, root: Path) -> tuple[Path, ...]:
    path = file_path(task, file, root)
    if file.parts:
        return tuple(part_path(path, part) for part in file.parts)
    return (path, path.parent / file.kept_ids.path) if file.kept_ids else (path,)
