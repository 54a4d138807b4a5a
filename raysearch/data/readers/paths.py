"""Where the files of a split lie. Knows paths, not what is in them."""

from pathlib import Path

from ...tasks.task import File, Split, Task


def folders(task: Task) -> tuple[str, ...]:
    """Where a task's folder may stand under the data root: as its row has it, or in a folder called
    by its benchmark, so that one root holds all benchmarks: "RTE", "glue/RTE"."""
    benchmark = task.name.partition("/")[0]
    if Path(task.folder).parts[:1] in ((), (benchmark,)):
        return (task.folder,)
    return task.folder, f"{benchmark}/{task.folder}"


def task_folder(task: Task, root: Path) -> Path:
    """The first of a task's folders that is there; the first of all where none is."""
    known = [root / folder for folder in folders(task)]
    return next((folder for folder in known if folder.is_dir()), known[0])


def file_path(task: Task, file: File, root: Path) -> Path:
    """A file's path, or the folder's where its format is a folder."""
    above = task_folder(task, root) if file.folder is None else root / file.folder
    return above / file.path


def split_paths(task: Task, split: Split, root: Path) -> tuple[tuple[Path, ...], ...]:
    """The files of each published form of a split, in the order of `split.files`."""
    return tuple(_paths(task, file, root) for file in split.files)


def present_paths(task: Task, split: Split, root: Path) -> File:
    """The first published form whose files are all there."""
    return next(
        file for file in split.files if all(path.exists() for path in _paths(task, file, root))
    )


def _paths(task: Task, file: File, root: Path) -> tuple[Path, ...]:
    path = file_path(task, file, root)
    if file.parts:
        return tuple(path / part for part in file.parts)
    return (path, path.parent / file.kept_ids.path) if file.kept_ids else (path,)
