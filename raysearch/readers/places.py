"""Where the files of a split lie. Knows paths, not what is in them."""

from pathlib import Path

from ..tasks.task import File, Split, Task


def place(task: Task, file: File, root: Path) -> Path:
    """A file's path, or the folder's where its format is a folder."""
    return root / (task.folder if file.folder is None else file.folder) / file.path


def paths(task: Task, split: Split, root: Path) -> tuple[tuple[Path, ...], ...]:
    """The files of each published form of a split, in the order of `split.files`."""
    return tuple(_paths(task, file, root) for file in split.files)


def present(task: Task, split: Split, root: Path) -> File:
    """The first published form whose files are all there."""
    return next(
        file for file in split.files if all(path.exists() for path in _paths(task, file, root))
    )


def _paths(task: Task, file: File, root: Path) -> tuple[Path, ...]:
    path = place(task, file, root)
    if file.parts:
        return tuple(path / part for part in file.parts)
    return (path, path.parent / file.keep.path) if file.keep else (path,)
